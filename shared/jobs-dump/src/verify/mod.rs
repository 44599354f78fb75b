//! The kind `verify`: whether a dump is what its manifest says, a table what a dump says, or two tables are equal.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `check` | files and segments | reads each once: of a file MD5, count and digest, of a segment count and digest |
//!
//! All problems are named, not the first alone. A dump that was made with a condition is compared with those items of
//! the table that meet it. Where a location stands for several exports, such as a full one and the increments after it,
//! each is checked by itself; `diff` compares them with a table.
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
use crate::parts::{DumpSide, Side, files, filter_of, located, one_source, table};
use crate::settings::{ScanSettings, scan_parameters};
use crate::source::place::Located;
use crate::source::{Source, locate};
use check::Checked;

const CHECK: &str = "check";
/// The object of the job with what the dump's manifests say.
const DUMP: &str = "dump.json";
/// How many problems the result names; all of them stand in the job's objects.
const NAMED: usize = 200;

scan_parameters! {
    /// Checks that a dump is complete, or that a table equals a dump or another table. Give `dump`, `dump` and `table`,
    /// or `table` and `other`.
    #[cfg_attr(feature = "schema", schemars(extend("anyOf" = [{ "required": ["dump"] }, { "required": ["table", "other"] }])))]
    struct VerifyParameters {
        /// The folder or the prefix of a dump or an export, or one that holds some.
        dump: Option<Location>,
        /// The table that is compared.
        #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
        table: Option<String>,
        /// Another table to compare `table` with.
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
            let located = match &task.left {
                Side::Dump(_) => Some(planning.read_json(DUMP).await?),
                Side::Table(_) => None,
            };
            return done(planning, task, located).await;
        }
        let mut batches = Vec::new();
        let mut filter = None;
        match &task.left {
            Side::Dump(side) => {
                let named = task.right.as_ref().map(|right| right.table.as_str());
                let located = located(planning, &side.dump, named).await?;
                planning.put_json(DUMP, &located).await?;
                for (number, source) in located.sources.iter().enumerate() {
                    batches.extend(files(0, number, source));
                }
                if named.is_some() {
                    filter = filter_of(&one_source(&side.dump, located)?).cloned();
                }
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

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Verify {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<VerifyParameters>()
    }
}

async fn done(
    planning: &Planning<'_>,
    task: &VerifyTask,
    located: Option<Located>,
) -> Result<Next, JobError> {
    let located = located.unwrap_or(Located { sources: Vec::new(), notes: Vec::new() });
    let mut problems: Vec<String> = located.problems().cloned().collect();
    problems.extend(located.sources.iter().filter_map(Source::incomplete));
    let (mut left, mut right) = (ItemsDigest::default(), ItemsDigest::default());
    let mut by_source = vec![ItemsDigest::default(); located.sources.len()];
    for checked in planning.results::<Checked>(0).await? {
        if checked.side == 0 {
            left += checked.digest;
            if let Some(sum) = by_source.get_mut(checked.source) {
                *sum += checked.digest;
            }
        } else {
            right += checked.digest;
        }
        problems.extend(checked.problems);
    }
    for (source, sum) in located.sources.iter().zip(&by_source) {
        let record = source.record.as_ref().map(|record| record.digest);
        if let Some(told) = record.filter(|told| told != sum) {
            let of = if by_source.len() > 1 { format!("{}/", source.at.name()) } else { String::new() };
            problems.push(format!("{of}{RECORD}: says {told}, but the files have {sum}"));
        }
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
    match located.folders().as_slice() {
        [] => {}
        [only] => {
            fields.insert("dump".to_owned(), json!(only));
        }
        several => {
            fields.insert("dumps".to_owned(), json!(several));
        }
    }
    if !located.notes.is_empty() {
        fields.insert("notes".to_owned(), json!(located.notes));
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
    let table = sides.iter().find_map(|side| match side {
        Side::Table(table) => Some(table.table.as_str()),
        Side::Dump(_) => None,
    });
    let (mut items, mut bytes) = (0_u64, 0_u64);
    for side in sides {
        match side {
            Side::Table(side) => {
                let table = side.describe(site).await?;
                (items, bytes) = (items.saturating_add(table.items), bytes.saturating_add(table.bytes));
                estimate.read_units += scan.scan_units(table.bytes) * times;
            }
            Side::Dump(side) => {
                let located = locate(&site.objects.files(), &side.dump, table, None).await?;
                for source in &located.sources {
                    items = items.saturating_add(source.items().unwrap_or(0));
                    bytes = bytes.saturating_add(source.bytes());
                }
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
