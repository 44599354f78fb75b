//! The kind `restore`: items of a dump, an export or plain files into a table.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `prepare` | one | finds the files, makes the table if that is asked for |
//! | `versions`, `newest` | files, groups of keys | of changes: finds the newest of each key: see [`versions`](crate::versions) |
//! | `load` | files | compares a file's MD5, then writes its items, a chunk at a time and shuffled: a stage for each dump or archive, and one for the changes |
//! | `settle` | one, if the table was made | time to live, tags, point-in-time recovery |
//!
//! * [`parameters`]: what a restore is submitted with
//! * `steps`: which of the stages there are, in which order
//! * `schema`: a table's key in words
//! * `prepare`, `load`, `settle`: the stages

pub(crate) mod load;
pub mod parameters;
mod prepare;
mod schema;
mod settle;
mod steps;

use nextbasket_items::expression::without_constants;
use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site, StagePlan, Trust, Work,
    WorkError,
};
use serde_json::{Value, json};

use crate::settings::table_lock;
use crate::source::locate;
use crate::versions::{self, NEWEST, VERSIONS};
use parameters::RestoreTask;
use prepare::Prepared;
use steps::{LOAD, steps};

const PREPARE: &str = "prepare";

/// The kind `restore`. What a table must not get is left out, and counted as `erased`.
#[derive(Debug, Default)]
pub struct Restore(pub WriteGuard);

impl Kind for Restore {
    type Task = RestoreTask;

    fn name(&self) -> &'static str {
        "restore"
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<RestoreTask, Refusal> {
        RestoreTask::parse(parameters, trust)
    }

    fn lock(&self, task: &RestoreTask) -> Option<String> {
        Some(table_lock(&task.table))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        for name in ["where", "set"] {
            redaction.text(parameters.get_mut(name), without_constants);
        }
    }

    async fn estimate(&self, site: &Site, task: &RestoreTask) -> Result<Estimate, JobError> {
        site.check_writable(&task.table)?;
        let files = site.objects.files();
        let located = locate(&files, &task.from, Some(&task.table), task.format).await?;
        let (mut items, mut bytes, mut notes) = (Some(0_u64), 0_u64, Vec::new());
        for source in &located.sources {
            items = items.zip(source.items()).map(|(sum, more)| sum.saturating_add(more));
            bytes = bytes.saturating_add(source.bytes());
            notes.push(format!("{} files of {}", source.files.len(), source.at));
        }
        notes.push(
            "Write units are one for each item: larger ones take one for each KB, indexes more.".to_owned(),
        );
        notes.extend(located.problems().cloned());
        notes.extend(located.notes.iter().cloned());
        if task.schema_only {
            (items, bytes) = (Some(0), 0);
        }
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let write_units = items.unwrap_or(0) as f64;
        Ok(Estimate { items, changes: items, bytes: Some(bytes), write_units, notes, ..Estimate::default() }
            .at(task.rates()))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &RestoreTask) -> Result<Next, JobError> {
        let Some(last) = planning.job.stage() else {
            planning.site.check_writable(&task.table)?;
            return Ok(Next::Stage(task.apply(StagePlan::single(PREPARE, json!({})))));
        };
        let prepared = prepared(planning).await?;
        let steps = steps(&prepared, task);
        // The first one follows the stage `prepare`, whose number is 0.
        let step = usize::try_from(last.number).ok().and_then(|at| steps.get(at).copied());
        Ok(match step {
            Some(step) => Next::Stage(steps::plan(planning, task, &prepared, (&steps, step)).await?),
            None => Next::Done(steps::result(planning, task, prepared).await?),
        })
    }

    async fn work(&self, work: &mut Work, task: RestoreTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(PREPARE) => Box::pin(prepare::work(work, &files, &task)).await,
            Some(LOAD) => load::work(work, &files, &task, &self.0).await.or_else(CallError::outcome),
            Some(VERSIONS) => Box::pin(versions::work_versions(work, &files)).await,
            Some(NEWEST) => Box::pin(versions::work_newest(work, &files)).await,
            _ => settle::work(work, &task).await,
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for Restore {
    fn parameters_schema(&self) -> Value {
        nextbasket_job_engine::schema::schema_of::<parameters::RestoreTask>()
    }
}

async fn prepared(planning: &Planning<'_>) -> Result<Prepared, JobError> {
    let prepared: Vec<Prepared> = planning.results(0).await?;
    prepared.into_iter().next().ok_or_else(|| JobError::Failed("nothing was prepared".to_owned()))
}
