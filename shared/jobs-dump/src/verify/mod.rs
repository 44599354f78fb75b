//! The kind `verify`: whether a dump is what its manifest says, a table what a dump says, or two tables are equal.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `check` | files and segments | reads each once: of a file MD5, count and digest, of a segment count and digest |
//!
//! All problems are named, not the first alone. A dump that was made with a condition is compared with those items of
//! the table that meet it.
//!
//! * `check`: a batch

pub(crate) mod check;

use nextbasket_items::table::TableAddress;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Rates, Refusal, Site, StagePlan, Work,
    WorkError, kind,
};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::{Trust, WIDTH, check_range, check_rate, json as to_json, scan_units, trusted};
use crate::digest::Digest;
use crate::manifest::RECORD;
use crate::sides::{DumpSide, Reading, Side, dump, files, filter_of, table};
use crate::source::{Source, locate};
use check::Checked;

const CHECK: &str = "check";
/// How many problems the result names; all of them stand in the job's objects.
const NAMED: usize = 200;

/// What a verification is submitted with: `dump`, `dump` and `table`, or `table` and `other`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// A dump's or an export's folder, or a place that holds some: the newest complete one is meant.
    dump: Option<Location>,
    /// The table.
    table: Option<String>,
    /// Another table: `{"table": "NAME", "region": "…", "endpoint": "…"}`.
    other: Option<TableAddress>,
    segments: Option<u32>,
    batch_size: Option<u32>,
    #[serde(alias = "workers")]
    width: Option<u32>,
    #[serde(alias = "rcu")]
    read_units: Option<f64>,
    #[serde(default)]
    consistent_read: bool,
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

/// A verification as it is to be done.
#[derive(Debug, Clone)]
pub struct Task {
    left: Side,
    right: Option<TableAddress>,
    reading: Reading,
    width: u32,
    rates: Rates,
}

impl Task {
    fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let parameters: Parameters = kind::parameters(value)?;
        let table = parameters.table.as_deref().map(TableAddress::of_site);
        let (left, right) = match (parameters.dump, table, parameters.other) {
            (Some(dump), table, None) => (Side::Dump(DumpSide { dump }), table),
            (None, Some(table), Some(other)) => (Side::Table(table), Some(other)),
            (None, Some(_), None) => {
                return Err(Refusal::parameter("other", "required with table, or dump"));
            }
            (Some(_), _, Some(_)) => {
                return Err(Refusal::parameter("other", "only accepted with table"));
            }
            (None, None, _) => return Err(Refusal::parameter("dump", "required, or table")),
        };
        left.check("", trust)?;
        if let Some(right) = &right {
            right.check(if matches!(left, Side::Dump(_)) { "" } else { "other." }, trust)?;
        }
        check_range("segments", parameters.segments.map(u64::from), 1, 10_000)?;
        check_range("batchSize", parameters.batch_size.map(u64::from), 1, 1_000_000)?;
        check_range("width", parameters.width.map(u64::from), 1, 10_000)?;
        check_rate("readUnits", parameters.read_units)?;
        Ok(Self {
            left,
            right,
            reading: Reading {
                segments: parameters.segments,
                batch_size: parameters.batch_size,
                consistent_read: parameters.consistent_read,
            },
            width: parameters.width.unwrap_or(WIDTH),
            rates: Rates { read: parameters.read_units, write: None },
        })
    }
}

/// The kind `verify`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verify(Trust);

impl Verify {
    /// Of tables and dumps in S3.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what its jobs may do. If they may use files of the machine, they accept folders too.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self(trusted(trust))
    }
}

impl Kind for Verify {
    type Task = Task;

    fn name(&self) -> &'static str {
        "verify"
    }

    fn task(&self, parameters: &Value) -> Result<Task, Refusal> {
        Task::parse(parameters, self.0)
    }

    async fn estimate(&self, site: &Site, task: &Task) -> Result<Estimate, JobError> {
        let right = task.right.clone().map(Side::Table);
        let sides: Vec<&Side> = std::iter::once(&task.left).chain(&right).collect();
        Ok(estimate(site, &sides, task.reading.consistent_read, 1.0).await?.at(task.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &Task) -> Result<Next, JobError> {
        let key = planning.job.job_id.object_key("dump.json");
        if planning.job.stage().is_some() {
            let source = match &task.left {
                Side::Dump(_) => Some(planning.objects().get(&key).await?),
                Side::Table(_) => None,
            };
            let source = source.map(|content| serde_json::from_slice::<Source>(&content)).transpose();
            let source = source.map_err(|error| JobError::Failed(error.to_string()))?;
            return done(planning, task, source).await;
        }
        let mut batches = Vec::new();
        let mut filter = None;
        match &task.left {
            Side::Dump(side) => {
                let named = task.right.as_ref().map(|right| right.table.as_str());
                let source = dump(planning, &side.dump, named).await?;
                planning.objects().put(&key, to_json(&source)?).await?;
                batches.extend(files(0, &source));
                filter = filter_of(&source).cloned();
            }
            Side::Table(side) => batches.extend(table(planning, 0, side, task.reading, None).await?.0),
        }
        if let Some(right) = &task.right {
            batches.extend(table(planning, 1, right, task.reading, filter.as_ref()).await?.0);
        }
        Ok(Next::Stage(stage(task, batches)))
    }

    async fn work(&self, work: &mut Work, task: Task) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        check::work(work, &files, task.reading).await
    }
}

fn stage(task: &Task, batches: Vec<BatchPlan>) -> StagePlan {
    let split = json!({ "by": "size", "parts": batches.len() });
    StagePlan { width: task.width, rates: task.rates, ..StagePlan::new(CHECK, split, batches) }
}

/// What the batches say, put together.
async fn done(planning: &Planning<'_>, task: &Task, source: Option<Source>) -> Result<Next, JobError> {
    let mut problems = source.as_ref().map(|source| source.problems.clone()).unwrap_or_default();
    problems.extend(source.as_ref().and_then(Source::incomplete));
    let (mut left, mut right) = (Digest::default(), Digest::default());
    for checked in planning.results::<Checked>(0).await? {
        if checked.side == 0 {
            left += checked.digest;
        } else {
            right += checked.digest;
        }
        problems.extend(checked.problems);
    }
    if let Some(record) = source.as_ref().and_then(|source| source.record.as_ref())
        && record.digest != left
    {
        problems.push(format!("{RECORD}: says {}, but the files have {left}", record.digest));
    }
    if let Some(other) = &task.right
        && left != right
    {
        let other = Side::Table(other.clone());
        problems.push(if left.count == right.count {
            format!(
                "{} and {other} have {} items each, but not the same ones; diff names them",
                task.left, left.count
            )
        } else {
            format!("{} has {} items, {other} has {}; diff names them", task.left, left.count, right.count)
        });
    }
    let mut result = json!({ "equal": problems.is_empty(), "left": left });
    let Some(fields) = result.as_object_mut() else { return Ok(Next::Done(result)) };
    if task.right.is_some() {
        fields.insert("right".to_owned(), json!(right));
    }
    if let Some(source) = &source {
        fields.insert("dump".to_owned(), json!(source.at));
    }
    if problems.len() > NAMED {
        let key = planning.job.job_id.object_key("problems.json");
        planning.objects().put(&key, to_json(&problems)?).await?;
        fields.insert("allProblems".to_owned(), json!({ "count": problems.len(), "object": key }));
        problems.truncate(NAMED);
    }
    fields.insert("problems".to_owned(), json!(problems));
    Ok(Next::Done(result))
}

/// What reading both sides takes, so often.
pub(crate) async fn estimate(
    site: &Site,
    sides: &[&Side],
    consistent: bool,
    times: f64,
) -> Result<Estimate, JobError> {
    let mut estimate = Estimate::default();
    let (mut items, mut bytes) = (0, 0);
    for side in sides {
        match side {
            Side::Table(side) => {
                let table = side.describe(site).await?;
                (items, bytes) = (items + table.items, bytes + table.bytes);
                estimate.read_units += scan_units(table.bytes, consistent) * times;
            }
            Side::Dump(side) => {
                let source = locate(&site.objects.files(), &side.dump, None, None).await?;
                items += source.files.iter().filter_map(|file| file.items).sum::<u64>();
                bytes += source
                    .files
                    .iter()
                    .filter_map(|file| file.found.as_ref())
                    .map(|file| file.bytes)
                    .sum::<u64>();
            }
        }
    }
    Ok(Estimate { items: Some(items), bytes: Some(bytes), ..estimate })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (value, problem) in [
            (json!({}), "parameters.dump: required, or table"),
            (json!({ "table": "abc" }), "parameters.other: required with table, or dump"),
            (
                json!({ "dump": "/d", "other": { "table": "abc" } }),
                "parameters.other: only accepted with table",
            ),
            (json!({ "dump": "d" }), "parameters.dump: must be an absolute path"),
            (
                json!({ "table": "abc", "other": { "table": "a" } }),
                "parameters.other.table: must be a table's name",
            ),
            (
                json!({ "table": "abc", "other": { "table": "abc", "endpoint": "x" } }),
                "parameters.other.endpoint: must be a URL",
            ),
        ] {
            let refusal = Task::parse(&value, Trust::Machine).unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{value}: {refusal}");
        }
    }
}
