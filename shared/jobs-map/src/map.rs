//! The kind `map`: its parameters checked, its stages planned.

use nextbasket_items::expression::without_constants;
use nextbasket_items::segment::{Segment, segments as segments_of};
use nextbasket_items::table::Table;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::stage::BatchTask;
use nextbasket_job_engine::{
    Assign, BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site,
    StagePlan, Trust, Work, WorkError,
};
use serde_json::{Value, json};

use crate::batch_input::BatchInput;
use crate::batch_output::BatchOutput;
use crate::batch_plans;
use crate::gather_outputs::{self, Failed, GatherInput, OutputIndex};
use crate::parameters::{BatchSplit, Executor, MapInput, MapTask};
use crate::read_table::{self, Sorted};
use crate::split_files::{self, CutFile, CutInput};
use crate::{map_batch, sort_files};
use nextbasket_objects::FoundFile;

const SPLIT: &str = "split";
const SORT: &str = "sort";
const READ: &str = "read";
const MAP: &str = "map";
const GATHER: &str = "gather";

/// How many files, and how many bytes of them, a batch of `split` looks at.
const CUT_FILES: usize = 100;
const CUT_BYTES: u64 = 256 << 20;

const NAMED_FAILURES: usize = 3;

/// The kind `map`. Jobs with [`Trust::Machine`] may run this machine's commands, and read and write its files: whoever
/// submits such a job can run anything.
#[derive(Debug, Clone, Default)]
pub struct Map {
    pub lambda: Option<aws_sdk_lambda::Client>,
}

impl Kind for Map {
    type Task = MapTask;

    fn name(&self) -> &'static str {
        "map"
    }

    fn writes_tables(&self) -> bool {
        false
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<MapTask, Refusal> {
        let task = MapTask::parse(parameters)?;
        if let Some(field) = task.is_local().filter(|_| trust == Trust::Open) {
            let problem = "is accepted only from jobs that are submitted and worked on at the machine itself";
            return Err(Refusal::parameter(field, problem));
        }
        if matches!(task.executor, Executor::Function(_)) && self.lambda.is_none() {
            return Err(Refusal::parameter("function", "cannot be called: there are no functions here"));
        }
        Ok(task)
    }

    /// Two jobs do not write one output.
    fn lock(&self, task: &MapTask) -> Option<String> {
        let output = task.output.to_string();
        let named = if output.len() <= 200 { output } else { nextbasket_domain::digest(output, 16) };
        Some(format!("map/{named}"))
    }

    /// Of a command its program stays: the rest may be what it looks for.
    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        redaction.text(parameters.pointer_mut("/input/where"), without_constants);
        if let Some(command) = parameters.get_mut("command").and_then(Value::as_array_mut) {
            command.iter_mut().skip(1).for_each(|argument| redaction.whole(Some(argument)));
        }
    }

    async fn estimate(&self, site: &Site, task: &MapTask) -> Result<Estimate, JobError> {
        let mut estimate = Estimate::default();
        let bytes = match &task.input {
            MapInput::Table { name, .. } => {
                let size = Table::describe(&site.dynamodb, name).await?;
                #[allow(clippy::cast_precision_loss, reason = "an estimate")]
                let units = size.bytes as f64 / 8192.0;
                estimate.items = Some(size.items);
                estimate.read_units = units;
                size.bytes
            }
            MapInput::Files { at, .. } => {
                let files = site.objects.files().list(at).await?;
                estimate.notes.push(format!("{} files", files.len()));
                files.iter().map(|file| file.bytes).sum()
            }
        };
        estimate.bytes = Some(bytes);
        if task.split == BatchSplit::Size {
            estimate.notes.push(format!("some {} batches", bytes.div_ceil(task.batch_bytes).max(1)));
        }
        if let Executor::Function(name) = &task.executor {
            estimate.notes.push(format!("What {name} itself costs is not in it."));
        }
        Ok(estimate.at(task.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &MapTask) -> Result<Next, JobError> {
        let Some(stage) = planning.job.stage() else {
            return first(planning, task).await.map(Next::Stage);
        };
        Ok(match stage.name.as_str() {
            SPLIT => {
                let files: Vec<Vec<CutFile>> = planning.results(stage.number).await?;
                let batches =
                    batch_plans::of_files(planning, task, files.into_iter().flatten().collect()).await?;
                Next::Stage(map_stage(task, batches))
            }
            SORT | READ => {
                let sorted: Vec<Sorted> = planning.results(stage.number).await?;
                let batches = batch_plans::of_sorted(planning, task, sorted).await?;
                Next::Stage(map_stage(task, batches))
            }
            MAP => {
                let index = index(planning, stage.number).await?;
                if index.outputs.is_empty() && !index.failed.is_empty() {
                    return Err(JobError::Failed(all_failed(task, &index.failed)));
                }
                let key = planning.put_json("gather.json", &index).await?;
                let of = u64::try_from(index.outputs.len()).ok();
                let batch = BatchPlan { of, ..BatchPlan::new(json!(GatherInput { index: key })) };
                Next::Stage(StagePlan {
                    width: 1,
                    ..StagePlan::new(GATHER, json!({ "by": "size", "batches": 1 }), vec![batch])
                })
            }
            _ => {
                let done: Vec<Value> = planning.results(stage.number).await?;
                Next::Done(done.into_iter().next().unwrap_or_default())
            }
        })
    }

    async fn work(&self, work: &mut Work, task: MapTask) -> Result<Outcome, WorkError> {
        match work.job().stage().map(|stage| stage.name.clone()).as_deref() {
            Some(SPLIT) => split_files::work(work, &task).await,
            Some(SORT) => sort_files::work(work, &task).await,
            Some(READ) => read_table::work(work, &task).await.or_else(CallError::outcome),
            Some(MAP) => map_batch::work(work, &task, self.lambda.as_ref()).await,
            _ => gather_outputs::work(work, &task).await,
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Map {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<crate::parameters::MapParameters>()
    }
}

/// The stage that finds out what the batches are.
async fn first(planning: &Planning<'_>, task: &MapTask) -> Result<StagePlan, JobError> {
    let plan = match &task.input {
        MapInput::Table { name, segments, .. } => {
            let table = Table::describe(&planning.site.dynamodb, name).await?;
            let of = segments_of(*segments, table.bytes, table.items);
            let batches =
                BatchPlan::for_parts(of, table.items, table.items, |number| json!(Segment { number, of }));
            StagePlan::new(READ, task.split.described_with("segments", of), batches)
        }
        MapInput::Files { at, .. } => {
            let files = planning.objects().files().list(at).await?;
            let found = files.len();
            match &task.split {
                BatchSplit::Feature { .. } => {
                    let batches = files
                        .iter()
                        .map(|file| BatchPlan { weight: file.bytes, ..BatchPlan::new(json!(file)) });
                    StagePlan::new(SORT, task.split.described_with("files", found), batches.collect())
                }
                split => {
                    let by = if *split == BatchSplit::Size { "size" } else { "time" };
                    StagePlan::new(SPLIT, json!({ "by": by, "files": found }), cut_batches(files))
                }
            }
        }
    };
    Ok(StagePlan { width: task.width, rates: task.rates, ..plan })
}

/// Files that are looked at together.
fn cut_batches(files: Vec<FoundFile>) -> Vec<BatchPlan> {
    let mut groups: Vec<(u64, Vec<FoundFile>)> = Vec::new();
    for file in files {
        match groups.last_mut() {
            Some((bytes, group)) if group.len() < CUT_FILES && *bytes + file.bytes <= CUT_BYTES => {
                *bytes += file.bytes;
                group.push(file);
            }
            _ => groups.push((file.bytes, vec![file])),
        }
    }
    groups
        .into_iter()
        .map(|(weight, files)| BatchPlan { weight, ..BatchPlan::new(json!(CutInput { files })) })
        .collect()
}

fn map_stage(task: &MapTask, batches: Vec<BatchPlan>) -> StagePlan {
    let split = match &task.split {
        BatchSplit::Size => {
            json!({ "by": "size", "batchBytes": task.batch_bytes, "batchItems": task.batch_items })
        }
        split => split.described(),
    };
    StagePlan {
        width: task.width,
        assign: task.assign.unwrap_or(Assign::InOrder),
        tolerated: task.tolerated,
        ..StagePlan::new(MAP, split, batches)
    }
}

/// The error of a job whose batches have all failed: it has no output, and an earlier output is worth more than an
/// empty one.
fn all_failed(task: &MapTask, failed: &[Failed]) -> String {
    let named: Vec<String> = failed
        .iter()
        .take(NAMED_FAILURES)
        .map(|failed| format!("{}: {}", failed.name, failed.reason))
        .collect();
    let more = failed.len() - named.len();
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{} was not written, because all batches failed: {}{rest}", task.output, named.join("; "))
}

/// What came out of the batches, and which failed.
async fn index(planning: &Planning<'_>, stage: u32) -> Result<OutputIndex, JobError> {
    let mut index = OutputIndex::default();
    let tasks: Vec<BatchTask> = planning.read_json(&format!("stage-{stage:06}/plan.json")).await?;
    let name = |batch: u32| {
        let task = tasks.iter().find(|task| task.batch == batch)?;
        serde_json::from_value::<BatchInput>(task.input.clone()).ok().map(|input| input.name)
    };
    for batch in planning.batches(stage).await? {
        index.records += batch.progress.processed;
        match planning.result(&batch).await? {
            Some(bytes) => {
                let output: BatchOutput = serde_json::from_slice(&bytes)?;
                index.outputs.push(output);
            }
            None => index.failed.push(Failed {
                name: name(batch.batch).unwrap_or_default(),
                batch: batch.batch,
                reason: batch.failure.unwrap_or_default(),
            }),
        }
    }
    Ok(index)
}
