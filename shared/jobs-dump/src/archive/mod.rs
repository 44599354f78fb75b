//! The kind `archive`: items that meet a condition move from a table to files.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `begin`, `scan`, `finish` | as of a [dump](mod@crate::dump) | a dump of the items that meet the condition |
//! | `check` | files | reads each back from where it was written: MD5, count and digest |
//! | `remove` | files | deletes each item that still is what its copy says |
//!
//! Nothing is deleted before all files were read back and found to be whole. An item is then read once more, strongly
//! consistent; if it differs from its copy it stays and is counted. If it does not, it is deleted on the condition that
//! every attribute still has the copy's value, and that it has none of the attributes which other items around it have
//! and it has not. Two limits are DynamoDB's: an expression holds some 140 such conditions, so of an item with more
//! attributes the first ones by name are asked for; and no condition can say "and no other attribute". What the
//! deletion itself says that the item was is therefore compared once more: an item that was changed within that moment
//! is put back as it was, and counted as changed.
//!
//! `restore` brings an archive back, with `onConflict` `skip` or `fail`.

mod remove;

use nextbasket_items::key::KeySchema;
use nextbasket_items::table::{Table, check_name};
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Rates, Refusal, Site, StagePlan, Work,
    WorkError, kind,
};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::common::{
    Trust, WIDTH, check_place, check_range, check_rate, condition, scan_units, table_lock, trusted,
};
use crate::dump;
use crate::dump::begin::Begun;
use crate::dump::finish::Finished;
use crate::dump::parameters::Task as DumpTask;
use crate::format::Format;
use crate::sides::{Reading, dump as located, files};
use crate::verify::check;
use crate::verify::check::Checked;
use remove::{RemoveInput, Removed};

const FINISH: &str = "finish";
const CHECK: &str = "check";
const REMOVE: &str = "remove";
/// How many problems an error names.
const NAMED: usize = 5;

/// What an archive is submitted with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// The table.
    table: String,
    /// Which items move.
    r#where: String,
    /// The folder or prefix below which archives stand.
    to: Location,
    segments: Option<u32>,
    batch_size: Option<u32>,
    #[serde(alias = "workers")]
    width: Option<u32>,
    #[serde(alias = "rcu")]
    read_units: Option<f64>,
    #[serde(alias = "wcu")]
    write_units: Option<f64>,
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

/// An archive as it is to be made.
#[derive(Debug, Clone)]
pub struct Task {
    table: String,
    dump: DumpTask,
    rates: Rates,
}

impl Task {
    fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let parameters: Parameters = kind::parameters(value)?;
        check_name("table", &parameters.table)?;
        check_place("to", &parameters.to, trust)?;
        let condition = condition("where", Some(&parameters.r#where))?;
        check_range("segments", parameters.segments.map(u64::from), 1, 10_000)?;
        check_range("batchSize", parameters.batch_size.map(u64::from), 1, 1_000_000)?;
        check_range("width", parameters.width.map(u64::from), 1, 10_000)?;
        check_rate("readUnits", parameters.read_units)?;
        check_rate("writeUnits", parameters.write_units)?;
        let rates = Rates { read: parameters.read_units, write: parameters.write_units };
        Ok(Self {
            table: parameters.table.clone(),
            rates,
            dump: DumpTask {
                tables: vec![parameters.table],
                to: parameters.to,
                format: Format::DynamodbJson,
                r#where: Some(parameters.r#where),
                condition,
                columns: None,
                segments: parameters.segments,
                batch_size: parameters.batch_size,
                file_bytes: None,
                width: parameters.width.unwrap_or(WIDTH),
                rates,
                consistent_read: false,
                gzip: true,
                keep: None,
                assign: nextbasket_job_engine::Assign::default(),
            },
        })
    }

    fn stage(&self, name: &str, batches: Vec<BatchPlan>) -> Next {
        let split = json!({ "by": "size", "files": batches.len() });
        Next::Stage(self.dump.apply(StagePlan::new(name, split, batches)))
    }

    fn reading(&self) -> Reading {
        Reading { segments: self.dump.segments, batch_size: self.dump.batch_size, consistent_read: false }
    }
}

/// The kind `archive`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Archive(Trust);

impl Archive {
    /// To S3.
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

impl Kind for Archive {
    type Task = Task;

    fn name(&self) -> &'static str {
        "archive"
    }

    fn task(&self, parameters: &Value) -> Result<Task, Refusal> {
        Task::parse(parameters, self.0)
    }

    fn lock(&self, task: &Task) -> Option<String> {
        Some(table_lock(&task.table))
    }

    async fn estimate(&self, site: &Site, task: &Task) -> Result<Estimate, JobError> {
        let table = Table::of_job(&site.dynamodb, &task.table).await?;
        let estimate = Estimate {
            items: Some(table.items),
            bytes: Some(table.bytes),
            read_units: scan_units(table.bytes, false),
            notes: vec![
                "Items that meet the condition are read once more, strongly consistent, and deleted: for each a \
                 read unit for 4 KB and a write unit for 1 KB, and more for indexes."
                    .to_owned(),
            ],
            ..Estimate::default()
        };
        Ok(estimate.at(task.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &Task) -> Result<Next, JobError> {
        let last = planning.job.stage().map(|stage| (stage.name.as_str(), stage.number));
        match last {
            Some((FINISH, number)) => {
                let finished = one::<Finished>(planning, number).await?;
                let source = located(planning, &finished.folder, None).await?;
                refuse(&finished.folder, &source.problems)?;
                refuse(&finished.folder, source.incomplete().as_slice())?;
                Ok(task.stage(CHECK, files(0, &source)))
            }
            Some((CHECK, number)) => {
                let finished = one::<Finished>(planning, number - 1).await?;
                let checked: Vec<Checked> = planning.results(number).await?;
                let problems: Vec<String> =
                    checked.iter().flat_map(|checked| checked.problems.clone()).collect();
                refuse(&finished.folder, &problems)?;
                let mut all = crate::Digest::default();
                checked.iter().for_each(|checked| all += checked.digest);
                if all != finished.digest {
                    let problem = format!("its files have {all}, but {} were dumped", finished.digest);
                    refuse(&finished.folder, &[problem])?;
                }
                let source = located(planning, &finished.folder, None).await?;
                refuse(&finished.folder, &source.problems)?;
                let keys = one::<Begun>(planning, 0).await?.keys;
                Ok(task.stage(REMOVE, removals(&source.files, &keys)))
            }
            Some((REMOVE, number)) => {
                let finished = one::<Finished>(planning, number - 2).await?;
                let mut all = Removed::default();
                planning.results::<Removed>(number).await?.into_iter().for_each(|removed| all += removed);
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

    async fn work(&self, work: &mut Work, task: Task) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(CHECK) => check::work(work, &files, task.reading()).await,
            Some(REMOVE) => remove::work(work, &files, &task.table).await,
            _ => dump::work(work, &task.dump).await,
        }
    }
}

fn removals(files: &[crate::source::SourceFile], keys: &KeySchema) -> Vec<BatchPlan> {
    let batch = |file: &crate::source::SourceFile| BatchPlan {
        weight: file.items.unwrap_or(0),
        of: file.items,
        ..BatchPlan::new(json!(RemoveInput { file: file.clone(), keys: keys.clone() }))
    };
    files.iter().map(batch).collect()
}

/// The only batch's result.
async fn one<T: serde::de::DeserializeOwned>(planning: &Planning<'_>, stage: u32) -> Result<T, JobError> {
    let first = planning.results::<T>(stage).await?.into_iter().next();
    first.ok_or_else(|| JobError::Failed(format!("stage {stage} has no result")))
}

/// A copy with problems is none.
fn refuse(folder: &Location, problems: &[String]) -> Result<(), JobError> {
    if problems.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = problems.iter().take(NAMED).map(String::as_str).collect();
    Err(JobError::Failed(format!(
        "{folder}: the copy is not whole, so nothing was deleted: {}",
        named.join("; ")
    )))
}
