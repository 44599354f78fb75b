//! `import`: files of purchases or products into the tables.
//!
//! * stage `split`: a batch for each file reads it from beginning to end, rejects invalid records by line and reason,
//!   and leaves the others sorted by the purchase or product that they belong to. It resumes from its checkpoint
//! * stage `gather`: a batch for some of these parts combines lines, wherever in the file they are, into purchases,
//!   rejects those that contradict each other, and leaves chunks of whole records as objects
//! * stage `merge`: a batch for some users and products combines what the purchases say about them
//! * stage `write`: a batch for each chunk writes its records: a purchase that is there already stays as it is, and is
//!   refused if it differs, unless `onChange` says otherwise
//! * stage `histories`, if asked for: refreshes the users' histories, as the stream's consumer does by itself where there
//!   is one
//!
//! With `check`, the job ends before `write`: it tells what is in the files, and changes nothing. With `report`, it leaves
//! the files' summaries as its output [`REPORT`]: they name persons, so the job's result, which is kept with its record,
//! has them without that.
//!
//! Importing the same file again changes nothing. What was written is counted with each checkpoint: of records that
//! were being written when a worker was killed or an answer was lost, those that had arrived count as known, not as new. So
//! the histories are refreshed even if no purchase counts as new.

mod gather;
mod merge;
mod parameters;
mod partitions;
mod record_chunk;
pub mod refusals;
mod result;
mod split;
pub mod write;

use std::collections::{BTreeMap, HashSet};

use nextbasket_domain::Timestamp;
use nextbasket_importer::ImportOptions;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Assign, BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site,
    StagePlan, Trust, Work, WorkError,
};
use nextbasket_objects::{Bucket, FoundFile, ObjectError};
use nextbasket_tables::Tables;
use serde_json::{Value, json};

use gather::{FACT_PARTS, GatherInput};
use merge::MergeInput;
use parameters::ImportParameters;
use partitions::PartitionedObject;
use record_chunk::RecordChunk;
pub use result::REPORT;
use result::{FileResult, GatherResult, MergeResult};
use split::SplitInput;

use crate::run_settings::{RunSettings, parse};

const SPLIT: &str = "split";
const GATHER: &str = "gather";
const MERGE: &str = "merge";
const WRITE: &str = "write";
const HISTORIES: &str = "histories";

/// The names of objects that the first stages leave for each other.
const LAYOUT: &str = "layout";
const RUN: &str = "run";
const INDEX: &str = "index";
const SIDE: &str = "side";
/// The maximum number of files of one known export; more files are read each on its own.
const MAX_EXPORT_FILES: usize = 12;
/// The number of chunks for each worker: enough that none is left with a large one at the end.
const ROUNDS: usize = 4;

/// How files are read with these parameters of the job, for whoever reads them in another way.
///
/// # Errors
/// The first parameter that is invalid.
pub fn import_options(parameters: &Value, now: Timestamp) -> Result<ImportOptions, Refusal> {
    let (parameters, _) = parse::<ImportParameters>(parameters)?;
    parameters.options(now)
}

/// The kind `import`, into these tables: products, purchases and, for `histories`, histories.
#[derive(Debug, Clone)]
pub struct Import(pub Tables);

impl Kind for Import {
    type Task = (ImportParameters, RunSettings);

    fn name(&self) -> &'static str {
        "import"
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<Self::Task, Refusal> {
        let (parameters, settings) = parse::<ImportParameters>(parameters)?;
        parameters.check()?;
        for (name, source) in parameters.sources() {
            if !source.is_absolute() {
                // Whoever works on the job may be in another folder than who submitted it.
                return Err(Refusal::parameter(name, "must be an absolute path or s3://BUCKET/KEY"));
            }
            if source.is_local() && trust == Trust::Open {
                let problem =
                    "must be s3://BUCKET/KEY: jobs submitted here may not read files of this machine";
                return Err(Refusal::parameter(name, problem));
            }
        }
        Ok((parameters, settings))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        for name in ["only", "skip", "guests"] {
            redaction.whole(parameters.get_mut(name));
        }
    }

    async fn estimate(&self, site: &Site, (parameters, settings): &Self::Task) -> Result<Estimate, JobError> {
        let files = files(&site.objects, parameters).await?;
        let notes = vec![
            format!("{} files; the number of records is known once they are read.", files.len()),
            "A new purchase takes two write units (item and index) per KB, a known one takes one.".to_owned(),
        ];
        let bytes = Some(files.iter().map(|file| file.bytes).sum());
        Ok(Estimate { bytes, notes, ..Estimate::default() }.at(settings.rates()))
    }

    async fn plan(
        &self,
        planning: &Planning<'_>,
        (parameters, settings): &Self::Task,
    ) -> Result<Next, JobError> {
        let stage = match planning.job.stage().map(|stage| stage.name.as_str()) {
            None => split_stage(&files(planning.objects(), parameters).await?),
            Some(SPLIT) => gather_stage(planning, settings).await?,
            Some(GATHER) => merge_stage(planning, parameters, settings).await?,
            Some(MERGE) if !parameters.check => {
                let mut chunks = merged_chunks(planning).await?;
                chunks.retain(|chunk| !chunk.holds.is_users());
                let gathered = result::of_stage::<GatherResult>(planning, GATHER).await?;
                chunks.extend(gathered.into_iter().flat_map(|result| result.chunks));
                chunk_stage(WRITE, chunks)
            }
            Some(WRITE) if parameters.histories && result::written(planning).await?.purchases() > 0 => {
                let mut chunks = merged_chunks(planning).await?;
                chunks.retain(|chunk| chunk.holds.is_users());
                chunk_stage(HISTORIES, chunks)
            }
            _ => return result::of(planning, parameters).await.map(Next::Done),
        };
        Ok(Next::Stage(settings.apply(stage)))
    }

    async fn work(&self, work: &mut Work, (parameters, _): Self::Task) -> Result<Outcome, WorkError> {
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(SPLIT) => split::work(work, &parameters).await,
            Some(GATHER) => gather::work(work, &parameters).await,
            Some(MERGE) => merge::work(work, &parameters).await,
            _ => write::work(work, &self.0, &parameters).await.or_else(CallError::outcome),
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Import {
    fn parameters_schema(&self) -> Value {
        crate::run_settings::schema_of::<ImportParameters>()
    }
}

/// The files of all sources, each of them once.
async fn files(objects: &Bucket, parameters: &ImportParameters) -> Result<Vec<FoundFile>, ObjectError> {
    let (mut files, mut seen) = (Vec::new(), HashSet::new());
    for (_, source) in parameters.sources() {
        let found = objects.files().list(source).await?;
        files.extend(found.into_iter().filter(|file| seen.insert(file.at.normalized())));
    }
    Ok(files)
}

fn split_stage(files: &[FoundFile]) -> StagePlan {
    let batches = files.iter().map(|file| {
        let is_small = files.len() <= MAX_EXPORT_FILES;
        let others = files.iter().filter(|other| is_small && other.at != file.at).cloned().collect();
        let input = SplitInput { file: file.clone(), others };
        BatchPlan { weight: file.bytes, ..BatchPlan::new(json!(input)) }
    });
    // Each file is surveyed before its records are read.
    let bytes: u64 = files.iter().map(|file| 2 * file.bytes).sum();
    let split = json!({ "by": "size", "files": files.len(), "bytes": bytes });
    StagePlan::new(SPLIT, split, batches.collect())
}

/// One batch for each group of parts of each file.
async fn gather_stage(planning: &Planning<'_>, settings: &RunSettings) -> Result<StagePlan, JobError> {
    let files = result::of_stage::<FileResult>(planning, SPLIT).await?;
    let chunks = chunks_of_each(settings, files.iter().map(|file| file.groups.len()).sum());
    let mut batches = Vec::new();
    for (file, result) in files.into_iter().enumerate() {
        for (parts, weight) in result.groups {
            let input = GatherInput { file, index: result.index.clone(), parts, chunks };
            batches.push(BatchPlan { weight, ..BatchPlan::new(json!(input)) });
        }
    }
    let split = json!({ "by": "feature", "parts": batches.len() });
    Ok(StagePlan::new(GATHER, split, batches))
}

/// One batch for each group of parts of what was gathered besides each file's purchases.
async fn merge_stage(
    planning: &Planning<'_>,
    parameters: &ImportParameters,
    settings: &RunSettings,
) -> Result<StagePlan, JobError> {
    let mut files: BTreeMap<usize, Vec<PartitionedObject>> = BTreeMap::new();
    for GatherResult { file, side, .. } in result::of_stage(planning, GATHER).await? {
        files.entry(file).or_default().extend(side);
    }
    let mut inputs = Vec::new();
    for (file, sides) in files {
        let groups = partitions::groups(&sides, FACT_PARTS, parameters.group_bytes());
        if !groups.is_empty() {
            let index = planning.put_json(&format!("{MERGE}-{file:06}.json"), &sides).await?;
            inputs.extend(groups.into_iter().map(|(parts, weight)| (file, index.clone(), parts, weight)));
        }
    }
    let chunks = chunks_of_each(settings, inputs.len());
    let batches = inputs.into_iter().map(|(file, index, parts, weight)| {
        let input = MergeInput { file, index, parts, chunks };
        BatchPlan { weight, ..BatchPlan::new(json!(input)) }
    });
    let batches: Vec<_> = batches.collect();
    Ok(StagePlan::new(MERGE, json!({ "by": "feature", "parts": batches.len() }), batches))
}

/// The number of chunks that each of this many batches should make, so that all workers have some to write.
fn chunks_of_each(settings: &RunSettings, batches: usize) -> usize {
    let all = usize::try_from(settings.width()).unwrap_or(usize::MAX).saturating_mul(ROUNDS);
    all.div_ceil(batches.max(1))
}

async fn merged_chunks(planning: &Planning<'_>) -> Result<Vec<RecordChunk>, JobError> {
    let merged = result::of_stage::<MergeResult>(planning, MERGE).await?;
    Ok(merged.into_iter().flat_map(|result| result.chunks).collect())
}

fn chunk_stage(name: &str, chunks: Vec<RecordChunk>) -> StagePlan {
    let batch = |chunk: RecordChunk| BatchPlan {
        weight: chunk.items,
        of: Some(chunk.items),
        ..BatchPlan::new(json!(chunk))
    };
    let split = json!({ "by": "size", "chunks": chunks.len() });
    let batches = chunks.into_iter().map(batch).collect();
    StagePlan { assign: Assign::InOrder, ..StagePlan::new(name, split, batches) }
}
