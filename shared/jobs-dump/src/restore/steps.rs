//! The stages between `prepare` and the end, in their order.

use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::{BatchPlan, JobError, Planning, StagePlan};
use serde_json::{Value, json};

use crate::format::{Format, SourceFormat};
use crate::restore::load::{LoadInput, Loaded};
use crate::restore::parameters::RestoreTask;
use crate::restore::prepare::Prepared;
use crate::source::{Source, SourceFile};
use crate::versions::{self, Gathered, NEWEST, Newest, Sides, VERSIONS};

pub(super) const LOAD: &str = "load";
pub(super) const SETTLE: &str = "settle";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The items of one of the sources.
    Load(usize),
    /// The changes of all sources that hold some, sorted into groups.
    Versions,
    /// The newest change of each key.
    Newest,
    LoadChanges,
    Settle,
}

/// The step of each stage behind the first. Archives of one table may hold one key several times: the newest copy counts,
/// so the newest archive comes last, or first where an item that is there stays.
pub(super) fn steps(prepared: &Prepared, task: &RestoreTask) -> Vec<Step> {
    let mut steps = Vec::new();
    if !task.schema_only {
        let sources = prepared.located.sources.iter().enumerate();
        let mut loads: Vec<Step> =
            sources.filter(|(_, source)| !source.incremental).map(|(at, _)| Step::Load(at)).collect();
        if matches!(task.on_conflict, OnConflict::Skip | OnConflict::Fail) {
            loads.reverse();
        }
        // Changes are read before anything is written: a damaged file among them costs no table.
        if prepared.located.is_incremental() {
            steps.extend([Step::Versions, Step::Newest]);
            loads.push(Step::LoadChanges);
        }
        steps.extend(loads);
    }
    if prepared.created {
        steps.push(Step::Settle);
    }
    steps
}

/// The number of a step's stage.
fn stage_of(steps: &[Step], step: Step) -> u32 {
    (1..).zip(steps).find(|(_, other)| **other == step).map_or(0, |(number, _)| number)
}

/// Plans one of the steps.
pub(super) async fn plan(
    planning: &Planning<'_>,
    task: &RestoreTask,
    prepared: &Prepared,
    (steps, step): (&[Step], Step),
) -> Result<StagePlan, JobError> {
    let stage = |name: &str, batches: Vec<BatchPlan>| {
        let split = json!({ "by": "size", "files": batches.len() });
        task.apply(StagePlan::new(name, split, batches))
    };
    Ok(match step {
        Step::Load(at) => {
            let source = prepared.located.sources.get(at);
            let batches = source.iter().flat_map(|source| loads(planning, source, prepared)).collect();
            stage(LOAD, batches)
        }
        Step::Versions => {
            let keys: Vec<String> = prepared.keys.names().map(str::to_owned).collect();
            let sources = &prepared.located.sources;
            let of = Sides { side: 0, sources, only_changes: true, keys: &keys, rejects: true };
            stage(VERSIONS, versions::versions(&of))
        }
        Step::Newest => {
            let gathered: Vec<Gathered> = planning.results(stage_of(steps, Step::Versions)).await?;
            stage(NEWEST, versions::newest(&gathered, false))
        }
        Step::LoadChanges => {
            let newest: Vec<Newest> = planning.results(stage_of(steps, Step::Newest)).await?;
            let files = newest.into_iter().enumerate().map(|(n, newest)| newest.file(n));
            let format = SourceFormat::from(Format::DynamodbJson);
            let load = |file: SourceFile| load(planning, file, (format, true), prepared);
            stage(LOAD, files.map(load).collect())
        }
        Step::Settle => {
            let settings = prepared.located.sources.iter().rev().find_map(|source| source.settings.as_ref());
            task.apply(StagePlan::single(SETTLE, json!(settings)))
        }
    })
}

fn loads(planning: &Planning<'_>, source: &Source, prepared: &Prepared) -> Vec<BatchPlan> {
    let load = |file: &SourceFile| load(planning, file.clone(), (source.format, false), prepared);
    source.files.iter().map(load).collect()
}

fn load(
    planning: &Planning<'_>,
    file: SourceFile,
    (format, incremental): (SourceFormat, bool),
    prepared: &Prepared,
) -> BatchPlan {
    let (keys, now) = (prepared.keys.clone(), planning.job.created_at);
    BatchPlan {
        weight: file.found.as_ref().map_or(0, |found| found.bytes),
        of: file.plausible_items(),
        ..BatchPlan::new(json!(LoadInput { file, format, incremental, keys, now }))
    }
}

/// What all steps came to.
pub(super) async fn result(
    planning: &Planning<'_>,
    task: &RestoreTask,
    prepared: Prepared,
) -> Result<Value, JobError> {
    let (mut all, mut gathered, mut newest) = (Loaded::default(), Gathered::default(), 0_u64);
    let steps = steps(&prepared, task);
    let Prepared { located, mut notes, created, .. } = prepared;
    for (number, step) in (1..).zip(steps) {
        match step {
            Step::Load(_) => {
                all = planning.results::<Loaded>(number).await?.into_iter().fold(all, std::ops::Add::add);
            }
            Step::Versions => {
                for part in planning.results::<Gathered>(number).await? {
                    gathered.lines += part.lines;
                    gathered.refused += part.refused;
                }
            }
            Step::Newest => {}
            Step::LoadChanges => {
                let loaded: Loaded = planning.results::<Loaded>(number).await?.into_iter().sum();
                newest = loaded.lines;
                all = all + Loaded { lines: 0, ..loaded };
            }
            Step::Settle => notes.extend(planning.results::<Vec<String>>(number).await?.concat()),
        }
    }
    let from = match located.folders().as_slice() {
        [only] => json!(only),
        _ => json!(task.from),
    };
    let files: usize = located.sources.iter().map(|source| source.files.len()).sum();
    let mut result = json!({
        "from": from,
        "files": files,
        "lines": all.lines + gathered.lines,
        "written": all.written,
        "deleted": all.deleted,
        "skipped": all.skipped,
        "omitted": all.omitted,
        "erased": all.erased,
        "refused": all.refused + gathered.refused,
        "created": created,
        "complete": located.sources.iter().all(|source| source.incomplete().is_none()),
        "notes": notes,
    });
    if let Some(fields) = result.as_object_mut() {
        if located.sources.len() > 1 {
            fields.insert("sources".to_owned(), json!(located.folders()));
        }
        if located.is_incremental() {
            // Changes of keys that a newer change has replaced.
            let superseded = gathered.lines.saturating_sub(gathered.refused).saturating_sub(newest);
            fields.insert("superseded".to_owned(), json!(superseded));
        }
    }
    Ok(result)
}
