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
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_objects::Location;
use serde_json::{Value, json};

use crate::digest::ItemsDigest;
use crate::manifest::RECORD;
use crate::parts::{DumpSide, Side, dump, files, filter_of, table};
use crate::settings::{ScanSettings, scan_parameters};
use crate::source::{Source, locate};
use check::Checked;

const CHECK: &str = "check";
/// The object of the job with what the dump's manifests say.
const DUMP: &str = "dump.json";
/// How many problems the result names; all of them stand in the job's objects.
const NAMED: usize = 200;

scan_parameters! {
    /// What a verification is submitted with: `dump`, `dump` and `table`, or `table` and `other`.
    struct VerifyParameters {
        /// A dump's or an export's folder, or a location that holds some: the newest complete one is meant.
        dump: Option<Location>,
        table: Option<String>,
        /// Another table: `{"table": "NAME", "region": "…", "endpoint": "…"}`.
        other: Option<TableAddress>,
    }
}

#[derive(Debug, Clone)]
pub struct VerifyTask {
    left: Side,
    right: Option<TableAddress>,
    scan: ScanSettings,
}

/// The kind `verify`.
#[derive(Debug)]
pub struct Verify;

impl Kind for Verify {
    type Task = VerifyTask;

    fn name(&self) -> &'static str {
        "verify"
    }

    fn writes_tables(&self) -> bool {
        false
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<VerifyTask, Refusal> {
        let parameters: VerifyParameters = kind::parameters(parameters)?;
        let scan = parameters.scan();
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
        Ok(VerifyTask { left, right, scan: scan.checked()? })
    }

    async fn estimate(&self, site: &Site, task: &VerifyTask) -> Result<Estimate, JobError> {
        let right = task.right.clone().map(Side::Table);
        let sides: Vec<&Side> = std::iter::once(&task.left).chain(&right).collect();
        estimate(site, &sides, task.scan, 1.0).await
    }

    async fn plan(&self, planning: &Planning<'_>, task: &VerifyTask) -> Result<Next, JobError> {
        if planning.job.stage().is_some() {
            let source = match &task.left {
                Side::Dump(_) => Some(planning.read_json(DUMP).await?),
                Side::Table(_) => None,
            };
            return done(planning, task, source).await;
        }
        let mut batches = Vec::new();
        let mut filter = None;
        match &task.left {
            Side::Dump(side) => {
                let named = task.right.as_ref().map(|right| right.table.as_str());
                let source = dump(planning, &side.dump, named).await?;
                planning.put_json(DUMP, &source).await?;
                batches.extend(files(0, &source));
                filter = filter_of(&source).cloned();
            }
            Side::Table(side) => batches.extend(table(planning, 0, side, task.scan, None).await?.0),
        }
        if let Some(right) = &task.right {
            batches.extend(table(planning, 1, right, task.scan, filter.as_ref()).await?.0);
        }
        let split = json!({ "by": "size", "parts": batches.len() });
        Ok(Next::Stage(task.scan.apply(StagePlan::new(CHECK, split, batches))))
    }

    async fn work(&self, work: &mut Work, task: VerifyTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        check::work(work, &files, task.scan).await.or_else(CallError::outcome)
    }
}

async fn done(planning: &Planning<'_>, task: &VerifyTask, source: Option<Source>) -> Result<Next, JobError> {
    let mut problems = source.as_ref().map(|source| source.problems.clone()).unwrap_or_default();
    problems.extend(source.as_ref().and_then(Source::incomplete));
    let (mut left, mut right) = (ItemsDigest::default(), ItemsDigest::default());
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
        let key = planning.put_output("problems.json", &problems).await?;
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
    scan: ScanSettings,
    times: f64,
) -> Result<Estimate, JobError> {
    let mut estimate = Estimate::default();
    let (mut items, mut bytes) = (0, 0);
    for side in sides {
        match side {
            Side::Table(side) => {
                let table = side.describe(site).await?;
                (items, bytes) = (items + table.items, bytes + table.bytes);
                estimate.read_units += scan.scan_units(table.bytes) * times;
            }
            Side::Dump(side) => {
                let source = locate(&site.objects.files(), &side.dump, None, None).await?;
                items += source.files.iter().filter_map(|file| file.items).sum::<u64>();
                bytes += source.bytes();
            }
        }
    }
    Ok(Estimate { items: Some(items), bytes: Some(bytes), ..estimate }.at(scan.rates))
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
            let refusal = Verify.task(&value, Trust::Machine).unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{value}: {refusal}");
        }
    }
}
