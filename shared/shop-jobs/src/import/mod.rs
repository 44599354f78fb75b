//! `import`: files of purchases or products into the tables.
//!
//! * stage `split`: a batch for each file reads it from its beginning to its end (what makes a purchase may stand
//!   anywhere in it), refuses what is none by line and reason, and leaves chunks of whole records as objects
//! * stage `write`: a batch for each chunk writes its records: a purchase that is there already stays as it is, and is
//!   refused if it differs
//! * stage `histories`, if asked for and any purchase was new: brings the users' histories in line, as the stream's
//!   consumer does by itself where there is one
//!
//! Importing the same file again changes nothing. What was written is counted with each checkpoint: of records that
//! were being written when a worker was killed, those that had arrived count as known, not as new.

mod chunk;
mod parameters;
pub mod refusals;
mod result;
mod split;
pub mod write;

use nextbasket_batch::{
    Assign, BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, StagePlan, Work,
    WorkError,
};
use nextbasket_job_io::files::{Files, FoundFile};
use nextbasket_tables::Tables;
use serde_json::{Value, json};

use chunk::Chunk;
use parameters::Parameters;
use result::{FileResult, WriteResult};

use crate::settings::{Settings, parse};

const SPLIT: &str = "split";
const WRITE: &str = "write";
const HISTORIES: &str = "histories";

/// The kind `import`.
#[derive(Debug, Clone)]
pub struct Import {
    tables: Tables,
    local: bool,
}

impl Import {
    /// Into these tables: products, purchases and, for `histories`, histories. It reads objects alone.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables, local: false }
    }

    /// Reads this machine's files, too: for jobs that somebody at this machine submits. A function has no files, so
    /// there nothing changes.
    #[must_use]
    pub fn with_local_files(self) -> Self {
        Self { local: !nextbasket_job_io::files::in_function(), ..self }
    }
}

impl Kind for Import {
    type Task = (Parameters, Settings);

    fn name(&self) -> &'static str {
        "import"
    }

    fn task(&self, parameters: &Value) -> Result<Self::Task, Refusal> {
        let (parameters, settings) = parse::<Parameters>(parameters)?;
        parameters.check()?;
        if !parameters.source.is_absolute() {
            // Whoever works on the job may be in another folder than who submitted it.
            return Err(Refusal::parameter("source", "must be an absolute path or s3://BUCKET/KEY"));
        }
        if parameters.source.is_local() && !self.local {
            let problem =
                "must be s3://BUCKET/KEY: no files of this machine are read for jobs submitted here";
            return Err(Refusal::parameter("source", problem));
        }
        Ok((parameters, settings))
    }

    async fn estimate(&self, site: &Site, (parameters, settings): &Self::Task) -> Result<Estimate, JobError> {
        let files = Files::new(site.objects.client().clone()).list(&parameters.source).await?;
        let notes = vec![
            format!("{} files; how many records they hold is known once they are read.", files.len()),
            "A new purchase takes two write units (item and index) per KB, one that is there already one."
                .to_owned(),
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
            None => {
                let files = Files::new(planning.objects().client().clone()).list(&parameters.source).await?;
                split_stage(&files)
            }
            Some(SPLIT) => chunk_stage(WRITE, planning, |chunk| !chunk.holds.is_users()).await?,
            Some(WRITE) if parameters.histories && result::written(planning).await?.new_purchases > 0 => {
                chunk_stage(HISTORIES, planning, |chunk| chunk.holds.is_users()).await?
            }
            _ => return result::of(planning).await.map(Next::Done),
        };
        Ok(Next::Stage(settings.apply(stage)))
    }

    async fn work(&self, work: &mut Work, (parameters, settings): Self::Task) -> Result<Outcome, WorkError> {
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(SPLIT) => split::work(work, &parameters, &settings).await,
            _ => write::work(work, &self.tables, parameters.kind).await,
        }
    }
}

/// A batch for each file.
fn split_stage(files: &[FoundFile]) -> StagePlan {
    let batches = files.iter().map(|file| BatchPlan { weight: file.bytes, ..BatchPlan::new(json!(file)) });
    let split = json!({ "by": "size", "files": files.len() });
    StagePlan::new(SPLIT, split, batches.collect())
}

/// A batch for each of these chunks of all files, in the files' order.
async fn chunk_stage(
    name: &str,
    planning: &Planning<'_>,
    wanted: impl Fn(&Chunk) -> bool,
) -> Result<StagePlan, JobError> {
    let mut batches = Vec::new();
    for file in result::of_stage::<FileResult>(planning, SPLIT).await? {
        for chunk in file.chunks.iter().filter(|chunk| wanted(chunk)) {
            batches.push(BatchPlan {
                weight: chunk.items,
                of: Some(chunk.items),
                ..BatchPlan::new(json!(chunk))
            });
        }
    }
    let split = json!({ "by": "size", "chunks": batches.len() });
    Ok(StagePlan { assign: Assign::InOrder, ..StagePlan::new(name, split, batches) })
}

/// The results of a stage's batches put together.
fn sum(results: impl IntoIterator<Item = WriteResult>) -> write::Written {
    results.into_iter().fold(write::Written::default(), |sum, result| sum + result.written)
}
