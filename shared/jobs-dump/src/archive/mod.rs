//! The kind `archive`: items that meet a condition move from a table to files.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `begin`, `scan`, `finish` | as of a [dump](mod@crate::dump) | a dump of the items that meet the condition |
//! | `check` | files | reads each back from where it was written: MD5, count and digest |
//! | `remove` | files | deletes each item that still is what its copy says |
//!
//! Nothing is deleted before all files were read back and found to be whole, nor by a process that may not put items.
//! An item is then read once more, strongly consistent; if it differs from its copy it stays and is reported. If it does
//! not, it is deleted on the condition that every attribute still has the copy's value, and that it has none of the
//! attributes which other items of the file have and it has not. Two limits are DynamoDB's: an expression holds some 140
//! such conditions, so of an item with more attributes the first ones by name are asked for; and no condition can say
//! "and no other attribute". What the deletion itself says that the item was is therefore compared once more: an item
//! that was changed within that moment is put back as it was, at the same time kept in an object of the job
//! (`output/put-back/`), and reported. A worker that resumes the batch puts back what it finds there; an item that can
//! never be put back stays there when the job has failed, and the failure names the object.
//!
//! What is left: an attribute whose name no item of the file has (or one of an item with more than 140), written between
//! the last read of its item and the deletion, is lost if the process dies, or the answer to the deletion does not
//! arrive, before the item is in one of the two places. The copy in the archive is not.
//!
//! `restore` brings an archive back, with `onConflict` `skip` or `fail`.

mod deletion;
mod remove;

use nextbasket_items::expression::without_constants;
use nextbasket_items::key::KeySchema;
use nextbasket_items::table::{Table, check_name};
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Assign, BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Rates, Redaction, Refusal, Site,
    StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::digest::ItemsDigest;
use crate::dump;
use crate::dump::begin::Begun;
use crate::dump::finish::Finished;
use crate::dump::parameters::DumpTask;
use crate::format::Format;
use crate::manifest::DumpKind;
use crate::parts::{dump as located, files};
use crate::settings::{ScanSettings, check_location, condition, table_lock};
use crate::source::SourceFile;
use crate::verify::check;
use crate::verify::check::Checked;
use remove::{RemoveInput, Removed};

const FINISH: &str = "finish";
const CHECK: &str = "check";
const REMOVE: &str = "remove";
const NAMED_PROBLEMS: usize = 5;

/// Moves items of a table to an archive; nothing is deleted before its copy is verified.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ArchiveParameters {
    /// The table.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    table: String,
    /// Which items: a condition.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "condition")))]
    r#where: String,
    /// The folder, or the prefix in S3, below which the archive is written.
    to: Location,
    /// Into how many segments a table is split; by default a number that fits its size.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    segments: Option<u32>,
    /// How many items a page has at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    batch_size: Option<u32>,
    /// How many batches are worked on at a time; 8 by default.
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
    /// Only estimate: nothing is written.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

#[derive(Debug, Clone)]
pub struct ArchiveTask {
    table: String,
    dump: DumpTask,
}

impl ArchiveTask {
    fn stage(&self, name: &str, batches: Vec<BatchPlan>) -> Next {
        let split = json!({ "by": "size", "files": batches.len() });
        Next::Stage(self.dump.apply(StagePlan::new(name, split, batches)))
    }
}

/// The kind `archive`.
#[derive(Debug)]
pub struct Archive;

impl Kind for Archive {
    type Task = ArchiveTask;

    fn name(&self) -> &'static str {
        "archive"
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<ArchiveTask, Refusal> {
        let parameters: ArchiveParameters = kind::parameters(parameters)?;
        check_name("table", &parameters.table)?;
        check_location("to", &parameters.to, trust)?;
        let condition = condition("where", Some(&parameters.r#where))?;
        let scan = ScanSettings {
            segments: parameters.segments,
            batch_size: parameters.batch_size,
            width: parameters.width,
            rates: Rates { read: parameters.read_units, write: parameters.write_units },
            consistent_read: false,
        };
        let dump = DumpTask {
            kind: DumpKind::Archive,
            tables: vec![parameters.table.clone()],
            tag: None,
            to: parameters.to,
            format: Format::DynamodbJson,
            r#where: Some(parameters.r#where),
            condition,
            columns: None,
            scan: scan.checked()?,
            file_bytes: None,
            gzip: true,
            keep: None,
            assign: Assign::default(),
        };
        Ok(ArchiveTask { table: parameters.table, dump })
    }

    fn lock(&self, task: &ArchiveTask) -> Option<String> {
        Some(table_lock(&task.table))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        redaction.text(parameters.get_mut("where"), without_constants);
    }

    async fn estimate(&self, site: &Site, task: &ArchiveTask) -> Result<Estimate, JobError> {
        site.check_writable(&task.table)?;
        let table = Table::of_job(&site.dynamodb, &task.table).await?;
        let estimate = Estimate {
            items: Some(table.items),
            bytes: Some(table.bytes),
            read_units: task.dump.scan.scan_units(table.bytes),
            notes: vec![
                "Items that meet the condition are read once more, strongly consistent, and deleted: for each a \
                 read unit for 4 KB and a write unit for 1 KB, and more for indexes. One put that must fail asks whether \
                 items could be put back."
                    .to_owned(),
            ],
            ..Estimate::default()
        };
        Ok(estimate.at(task.dump.scan.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &ArchiveTask) -> Result<Next, JobError> {
        planning.site.check_writable(&task.table)?;
        let last = planning.job.stage().map(|stage| (stage.name.as_str(), stage.number));
        match last {
            Some((FINISH, number)) => {
                let finished = one::<Finished>(planning, number).await?;
                let source = located(planning, &finished.folder).await?;
                refuse(&finished.folder, &source.problems)?;
                refuse(&finished.folder, source.incomplete().as_slice())?;
                Ok(task.stage(CHECK, files(0, 0, &source)))
            }
            Some((CHECK, number)) => {
                let finished = one::<Finished>(planning, number - 1).await?;
                let checked: Vec<Checked> = planning.results(number).await?;
                let problems: Vec<String> =
                    checked.iter().flat_map(|checked| checked.problems.clone()).collect();
                refuse(&finished.folder, &problems)?;
                let all: ItemsDigest = checked.iter().map(|checked| checked.digest).sum();
                if all != finished.digest {
                    let problem = format!("its files have {all}, but {} were dumped", finished.digest);
                    refuse(&finished.folder, &[problem])?;
                }
                let source = located(planning, &finished.folder).await?;
                refuse(&finished.folder, &source.problems)?;
                let keys = one::<Begun>(planning, 0).await?.keys;
                Ok(task.stage(REMOVE, removals(&source.files, &keys)))
            }
            Some((REMOVE, number)) => {
                let finished = one::<Finished>(planning, number - 2).await?;
                let all: Removed = planning.results(number).await?.into_iter().sum();
                Ok(Next::Done(json!({
                    "archive": finished.folder,
                    "archived": finished.digest,
                    "deleted": all.deleted,
                    "changed": all.changed,
                    "gone": all.gone,
                    "putBack": all.put_back,
                })))
            }
            _ => match dump::stage(planning, &task.dump).await? {
                Some(stage) => Ok(Next::Stage(stage)),
                None => Err(JobError::Failed("the archive has no next stage".to_owned())),
            },
        }
    }

    async fn work(&self, work: &mut Work, task: ArchiveTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(CHECK) => check::work(work, &files, task.dump.scan).await.or_else(CallError::outcome),
            Some(REMOVE) => remove::work(work, &files, &task.table).await.or_else(CallError::outcome),
            _ => dump::work(work, &task.dump).await,
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Archive {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<ArchiveParameters>()
    }
}

fn removals(files: &[SourceFile], keys: &KeySchema) -> Vec<BatchPlan> {
    let batch = |file: &SourceFile| BatchPlan {
        weight: file.items.unwrap_or(0),
        of: file.items,
        ..BatchPlan::new(json!(RemoveInput { file: file.clone(), keys: keys.clone() }))
    };
    files.iter().map(batch).collect()
}

/// The only batch's result.
async fn one<T: DeserializeOwned>(planning: &Planning<'_>, stage: u32) -> Result<T, JobError> {
    let first = planning.results::<T>(stage).await?.into_iter().next();
    first.ok_or_else(|| JobError::Failed(format!("stage {stage} has no result")))
}

/// A copy with problems is none.
fn refuse(folder: &Location, problems: &[String]) -> Result<(), JobError> {
    if problems.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = problems.iter().take(NAMED_PROBLEMS).map(String::as_str).collect();
    Err(JobError::Failed(format!(
        "{folder}: the copy is not whole, so nothing was deleted: {}",
        named.join("; ")
    )))
}
