//! The kind `revert`: items that changed within an incremental export of AWS, back to what they were before.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `revert` | files | compares a file's MD5, then brings its items back |
//!
//! The export must have both images. Each of its items is read, strongly consistent: if it still is what the export says
//! that it became, it is put back to what it was, or deleted if it was not there. The write asks for the item once more, as
//! far as a condition can (see [`archive`](mod@crate::archive)); what it replaced is compared, too, and an item that was
//! changed within that moment is put back, and kept in an object of the job until it is. An item that was changed since stays, and is listed; `force` reverts it as
//! well. An item that is already what it was before is counted and left: so a job that resumes does nothing twice. Items
//! that the export does not have are never touched.

mod images;
mod work;
mod writes;

use nextbasket_items::key::KeySchema;
use nextbasket_items::table::{Table, check_name};
use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::kind::{self, check_range, check_rate, check_tolerated};
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Rates, Refusal, Site, StagePlan, Trust,
    Work, WorkError,
};
use nextbasket_objects::{Files, Location};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::dump::exports;
use crate::manifest::SUMMARY;
use crate::manifest::summary::BOTH_IMAGES;
use crate::settings::{check_location, table_lock};
use crate::source::{Source, SourceFile, export};
use work::{RevertInput, Reverted};

const REVERT: &str = "revert";
/// How many files are read at a time, if it is not said.
const WIDTH: u32 = 2;
const NAMED_PROBLEMS: usize = 5;

/// Brings items that changed within an incremental export of AWS back to what they were before.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RevertTask {
    /// The table.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    table: String,
    /// The folder or prefix of an incremental export with both images, or one that holds some.
    from: Location,
    /// Whether items are reverted that were changed since.
    #[serde(default)]
    force: bool,
    /// How many files are read at a time; 2 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Read units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "rcu")]
    read_units: Option<f64>,
    /// Write units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "wcu")]
    write_units: Option<f64>,
    /// How many files may fail for good, in percent.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100), extend("x-unit" = "percent")))]
    #[serde(default)]
    tolerated: f64,
    /// Only estimate: nothing is written.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

impl RevertTask {
    fn rates(&self) -> Rates {
        Rates { read: self.read_units, write: self.write_units }
    }
}

/// The kind `revert`. What a table must not get is left out, and counted as `erased`.
#[derive(Debug, Default)]
pub struct Revert(pub WriteGuard);

impl Kind for Revert {
    type Task = RevertTask;

    fn name(&self) -> &'static str {
        REVERT
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<RevertTask, Refusal> {
        let task: RevertTask = kind::parameters(parameters)?;
        check_name("table", &task.table)?;
        check_location("from", &task.from, trust)?;
        check_range("width", task.width, 1, 10_000)?;
        check_rate("readUnits", task.read_units)?;
        check_rate("writeUnits", task.write_units)?;
        check_tolerated(task.tolerated)?;
        Ok(task)
    }

    fn lock(&self, task: &RevertTask) -> Option<String> {
        Some(table_lock(&task.table))
    }

    async fn estimate(&self, site: &Site, task: &RevertTask) -> Result<Estimate, JobError> {
        site.check_writable(&task.table)?;
        let source = located(&site.objects.files(), task).await?;
        let items = source.files.iter().map(|file| file.items).sum::<Option<u64>>();
        let notes = vec![
            format!("{} files of {}", source.files.len(), source.at),
            "Every item is read; those that were changed since, or are as before already, are not written."
                .to_owned(),
        ];
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let units = items.unwrap_or(0) as f64;
        let bytes = Some(source.bytes());
        let estimate = Estimate {
            items,
            changes: items,
            bytes,
            read_units: units,
            write_units: units,
            notes,
            ..Estimate::default()
        };
        Ok(estimate.at(task.rates()))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &RevertTask) -> Result<Next, JobError> {
        if planning.job.stage().is_some() {
            let all: Reverted = planning.results(0).await?.into_iter().sum();
            return Ok(Next::Done(json!({
                "lines": all.lines,
                "restored": all.restored,
                "deleted": all.deleted,
                "already": all.already,
                "changedSince": all.changed_since,
                "putBack": all.put_back,
                "erased": all.erased,
                "refused": all.refused,
            })));
        }
        planning.site.check_writable(&task.table)?;
        let source = located(&planning.objects().files(), task).await?;
        let keys = Table::of_job(&planning.site.dynamodb, &task.table).await?.keys;
        let split = json!({ "by": "size", "files": source.files.len(), "from": source.at });
        let batches = source.files.iter().map(|file| batch(file, &keys)).collect();
        let width = task.width.unwrap_or(WIDTH);
        let stage = StagePlan::new(REVERT, split, batches);
        Ok(Next::Stage(StagePlan { width, rates: task.rates(), tolerated: task.tolerated, ..stage }))
    }

    async fn work(&self, work: &mut Work, task: RevertTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        work::work(work, &files, &task, &self.0).await.or_else(CallError::outcome)
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Revert {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<RevertTask>()
    }
}

fn batch(file: &SourceFile, keys: &KeySchema) -> BatchPlan {
    BatchPlan {
        weight: file.found.as_ref().map_or(0, |found| found.bytes),
        of: file.items,
        ..BatchPlan::new(json!(RevertInput { file: file.clone(), keys: keys.clone() }))
    }
}

/// The export whose folder this is, or the only one below a location.
async fn only_export(files: &Files, from: &Location) -> Result<Source, JobError> {
    if files.find(&from.join(SUMMARY)).await?.is_some() {
        return export(files, from).await;
    }
    let mut below = Vec::new();
    for folder in files.folders(&exports(from)).await? {
        if files.find(&folder.join(SUMMARY)).await?.is_some() {
            below.push(folder);
        }
    }
    match below.as_slice() {
        [only] => export(files, only).await,
        [] => Err(JobError::Failed(format!("{from}: no export found. Give an incremental export of AWS."))),
        _ => {
            let named: Vec<String> = below.iter().map(ToString::to_string).collect();
            let named = named.join(", ");
            Err(JobError::Failed(format!(
                "{from}: contains several exports ({named}). Give the folder of one."
            )))
        }
    }
}

/// The export, if it is one that can be reverted.
async fn located(files: &Files, task: &RevertTask) -> Result<Source, JobError> {
    let source = only_export(files, &task.from).await?;
    let problem = if !source.incremental {
        Some("expected an incremental export of AWS: what items were before is in no other file".to_owned())
    } else if source.view.as_deref() != Some(BOTH_IMAGES) {
        let view = source.view.as_deref().unwrap_or("unknown");
        Some(format!(
            "its view is {view}, which does not say what items were before. Export with the view {BOTH_IMAGES}."
        ))
    } else if source.problems.is_empty() {
        None
    } else {
        Some(source.problems.iter().take(NAMED_PROBLEMS).cloned().collect::<Vec<_>>().join("; "))
    };
    match problem {
        Some(problem) => Err(JobError::Failed(format!("{}: {problem}", source.at))),
        None => Ok(source),
    }
}
