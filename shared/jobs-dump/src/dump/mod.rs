//! The kind `dump`: a table's items, or those that meet a condition, to files that can be proved.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `begin` | tables | reads a table's settings and writes them where the dump will be |
//! | `scan` | segments of tables | reads items, page by page, and writes data files; left out for the schema alone |
//! | `finish` | tables | writes the manifests, the summary last, and removes dumps that are to be kept no longer |
//!
//! * [`parameters`]: what a dump is submitted with
//! * `begin`, `scan`, `finish`: the stages
//! * `encode`: items to the bytes of a page
//! * `sink`: the data file that is being written, and how it is resumed
//! * `selection`: which tables a dump is of
//! * `keep`: which dumps are removed, and why others are not
//! * `running`: the mark of a dump that is being made, which `keep` looks for
//!
//! A destination has one dump job at a time: the job holds the lock of the destination. Jobs of other stacks and
//! machines do not see that lock; they see the mark.

pub(crate) mod begin;
mod encode;
pub(crate) mod finish;
mod keep;
pub mod parameters;
pub(crate) mod running;
pub(crate) mod scan;
mod selection;
mod sink;

use nextbasket_items::expression::without_constants;
use nextbasket_items::segment::{Segment, segments};
use nextbasket_items::table::Table;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site, StagePlan, Trust,
    Work, WorkError,
};
use nextbasket_objects::Location;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::manifest::record::Filter;
use crate::manifest::{DumpKind, EXPORTS};
use begin::{BeginInput, Begun};
use finish::{DumpIndex, FinishInput, Finished};
use parameters::DumpTask;
use scan::{ScanInput, Scanned};

const BEGIN: &str = "begin";
const SCAN: &str = "scan";
const FINISH: &str = "finish";
/// A destination with a longer name is locked by its digest, since a lock's name has at most 256 bytes.
const MOST_LOCK: usize = 200;

/// The kind `dump`.
#[derive(Debug)]
pub struct Dump;

impl Kind for Dump {
    type Task = DumpTask;

    fn name(&self) -> &'static str {
        "dump"
    }

    fn writes_tables(&self) -> bool {
        false
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<DumpTask, Refusal> {
        DumpTask::parse(parameters, trust)
    }

    /// Two jobs must not write, or remove, dumps in one destination at the same time.
    fn lock(&self, task: &DumpTask) -> Option<String> {
        let to = exports(&task.to).normalized().to_string();
        let named = if to.len() <= MOST_LOCK { to } else { nextbasket_domain::digest(to, 16) };
        Some(format!("dump/{named}"))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        redaction.text(parameters.get_mut("where"), without_constants);
    }

    async fn estimate(&self, site: &Site, task: &DumpTask) -> Result<Estimate, JobError> {
        let (mut items, mut bytes) = (0, 0);
        for table in selection::tables(site, task).await? {
            let table = Table::of_job(&site.dynamodb, &table).await?;
            (items, bytes) = (items + table.items, bytes + table.bytes);
        }
        if task.kind == DumpKind::Schema {
            (items, bytes) = (0, 0);
        }
        let mut notes = vec!["DynamoDB counts items and bytes about every six hours.".to_owned()];
        if task.r#where.is_some() {
            notes.push("All items are read, also those that do not meet the condition.".to_owned());
        }
        let estimate = Estimate {
            items: Some(items),
            bytes: Some(bytes),
            read_units: task.scan.scan_units(bytes),
            notes,
            ..Estimate::default()
        };
        Ok(estimate.at(task.scan.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &DumpTask) -> Result<Next, JobError> {
        Ok(match stage(planning, task).await? {
            Some(stage) => Next::Stage(stage),
            None => Next::Done(result(planning, planning.stages() - 1).await?),
        })
    }

    async fn work(&self, work: &mut Work, task: DumpTask) -> Result<Outcome, WorkError> {
        self::work(work, &task).await
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Dump {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<parameters::DumpParameters>()
    }
}

/// The next of a dump's stages; `None` if all have ended.
pub(crate) async fn stage(planning: &Planning<'_>, task: &DumpTask) -> Result<Option<StagePlan>, JobError> {
    let Some(last) = planning.job.stage() else {
        let tables = selection::tables(planning.site, task).await?;
        let split = json!({ "by": "table", "tables": tables.len() });
        let batches = tables.into_iter().map(|table| {
            let export = export_id(planning, &table);
            let folder = exports(&task.to).join(&export);
            BatchPlan::new(json!(BeginInput { table, export, folder }))
        });
        return Ok(Some(task.apply(StagePlan::new(BEGIN, split, batches.collect()))));
    };
    match last.name.as_str() {
        BEGIN if task.kind == DumpKind::Schema => {
            let begun = planning.results(last.number).await?;
            Ok(Some(finish_stage(planning, task, begun, &[]).await?))
        }
        BEGIN => {
            let begun: Vec<Begun> = planning.results(last.number).await?;
            let batches: Vec<BatchPlan> =
                begun.iter().flat_map(|begun| scans(planning, task, begun)).collect();
            let split = json!({ "by": "size", "tables": begun.len(), "segments": batches.len() });
            Ok(Some(task.apply(StagePlan::new(SCAN, split, batches))))
        }
        SCAN => {
            let begun = planning.results(last.number - 1).await?;
            let scanned: Vec<Scanned> = planning.results(last.number).await?;
            Ok(Some(finish_stage(planning, task, begun, &scanned).await?))
        }
        _ => Ok(None),
    }
}

async fn finish_stage(
    planning: &Planning<'_>,
    task: &DumpTask,
    begun: Vec<Begun>,
    scanned: &[Scanned],
) -> Result<StagePlan, JobError> {
    let mut batches = Vec::new();
    for (n, begun) in begun.into_iter().enumerate() {
        let mut segments: Vec<Scanned> =
            scanned.iter().filter(|scanned| scanned.folder == begun.folder).cloned().collect();
        segments.sort_by_key(|scanned| scanned.record.segment);
        let filter = task.r#where.clone().map(|r#where| Filter { r#where, now: planning.job.created_at });
        let index = DumpIndex { begun, segments, filter };
        let index = planning.put_json(&format!("dump-{n:06}.json"), &index).await?;
        batches.push(BatchPlan::new(json!(FinishInput { index })));
    }
    let split = json!({ "by": "table", "tables": batches.len() });
    Ok(task.apply(StagePlan::new(FINISH, split, batches)))
}

fn scans(planning: &Planning<'_>, task: &DumpTask, begun: &Begun) -> Vec<BatchPlan> {
    let table = Table {
        name: begun.table.clone(),
        keys: begun.keys.clone(),
        items: begun.items,
        bytes: begun.bytes,
        indexes: Vec::new(),
    };
    let of = segments(task.scan.segments, begun.bytes, begun.items);
    BatchPlan::for_parts(of, begun.bytes, begun.items, |number| {
        json!(ScanInput {
            table: begun.table.clone(),
            folder: begun.folder.clone(),
            keys: begun.keys.clone(),
            segment: Segment { number, of },
            mean_bytes: table.mean_bytes(),
            now: planning.job.created_at,
        })
    })
}

/// What the batch's first attempt decides and every later one takes, so that all attempts write the same files: one that
/// was stopped in its middle may go on after another has ended the batch. `None` if the batch has to stop.
async fn decided_once<T: Serialize + DeserializeOwned>(
    work: &mut Work,
    decide: impl AsyncFnOnce() -> Result<T, WorkError>,
) -> Result<Option<T>, WorkError> {
    if let Some(decided) = work.checkpoint()? {
        return Ok(Some(decided));
    }
    let decided = decide().await?;
    Ok((work.save(&decided).await? == Go::On).then_some(decided))
}

pub(crate) async fn work(work: &mut Work, task: &DumpTask) -> Result<Outcome, WorkError> {
    let files = work.site().objects.files();
    match work.job().stage().map(|stage| stage.name.as_str()) {
        Some(BEGIN) => begin::work(work, &files, task).await,
        Some(SCAN) => scan::work(work, &files, task).await.or_else(CallError::outcome),
        _ => finish::work(work, &files, task).await,
    }
}

/// What a dump came to: the results of its stage `finish`, whose number is given.
pub(crate) async fn result(planning: &Planning<'_>, finish: u32) -> Result<Value, JobError> {
    let dumps: Vec<Finished> = planning.results(finish).await?;
    let items: u64 = dumps.iter().map(|dump| dump.digest.count).sum();
    let refused: u64 = dumps.iter().map(|dump| dump.refused).sum();
    Ok(json!({ "items": items, "refused": refused, "dumps": dumps }))
}

/// As AWS's: 14 digits of milliseconds and 8 hexadecimal ones. The same whenever it is planned.
fn export_id(planning: &Planning<'_>, table: &str) -> String {
    let hash = blake3::hash(format!("{}/{table}", planning.job.job_id).as_bytes());
    let hex = hash.to_hex();
    let created = planning.job.created_at.as_millis();
    format!("{created:014}-{}", hex.as_str().get(..8).unwrap_or_default())
}

/// Where a dump of this location is looked for.
pub(crate) fn exports(location: &Location) -> Location {
    if location.name() == EXPORTS { location.clone() } else { location.join(EXPORTS) }
}
