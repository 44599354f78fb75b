//! The kind `restore`: items of a dump, an export or plain files into a table.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `prepare` | one | finds the files, makes the table if that is asked for |
//! | `load` | files | compares a file's MD5, then writes its items, a chunk at a time and shuffled |
//! | `settle` | one, if the table was made | time to live, tags, point-in-time recovery |
//!
//! * [`parameters`]: what a restore is submitted with
//! * `schema`: a table's key in words
//! * `prepare`, `load`, `settle`: the stages

pub(crate) mod load;
pub mod parameters;
mod prepare;
mod schema;
mod settle;

use nextbasket_items::expression::without_constants;
use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site, StagePlan, Trust,
    Work, WorkError,
};
use serde_json::{Value, json};

use crate::settings::table_lock;
use crate::source::{SourceFile, locate};
use load::{LoadInput, Loaded};
use parameters::RestoreTask;
use prepare::Prepared;

const PREPARE: &str = "prepare";
const LOAD: &str = "load";
const SETTLE: &str = "settle";

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
        (!task.dry_run).then(|| table_lock(&task.table))
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        for name in ["where", "set"] {
            redaction.text(parameters.get_mut(name), without_constants);
        }
    }

    async fn estimate(&self, site: &Site, task: &RestoreTask) -> Result<Estimate, JobError> {
        site.check_writable(&task.table)?;
        let files = site.objects.files();
        let source = locate(&files, &task.from, Some(&task.table), task.format).await?;
        let items = source.files.iter().map(|file| file.items).sum::<Option<u64>>();
        let bytes = source.bytes();
        let mut notes = vec![format!("{} files of {}", source.files.len(), source.at)];
        notes.push(
            "Write units are one for each item: larger ones take one for each KB, indexes more.".to_owned(),
        );
        notes.extend(source.problems);
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let write_units = items.unwrap_or(0) as f64;
        Ok(Estimate { items, changes: items, bytes: Some(bytes), write_units, notes, ..Estimate::default() }
            .at(task.rates()))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &RestoreTask) -> Result<Next, JobError> {
        let Some(last) = planning.job.stage() else {
            if task.dry_run {
                let estimate = self.estimate(planning.site, task).await?;
                return Ok(Next::Done(json!({ "dryRun": true, "estimate": estimate })));
            }
            planning.site.check_writable(&task.table)?;
            return Ok(Next::Stage(task.apply(StagePlan::single(PREPARE, json!({})))));
        };
        match last.name.as_str() {
            PREPARE => {
                let prepared = prepared(planning).await?;
                let split = json!({ "by": "size", "files": prepared.source.files.len() });
                let batch = |file: &SourceFile| BatchPlan {
                    weight: file.found.as_ref().map_or(0, |found| found.bytes),
                    of: file.items,
                    ..BatchPlan::new(json!(LoadInput {
                        file: file.clone(),
                        format: prepared.source.format,
                        incremental: prepared.source.incremental,
                        keys: prepared.keys.clone(),
                        now: planning.job.created_at,
                    }))
                };
                let batches = prepared.source.files.iter().map(batch).collect();
                Ok(Next::Stage(task.apply(StagePlan::new(LOAD, split, batches))))
            }
            LOAD => {
                let prepared = prepared(planning).await?;
                if let Some(settings) = prepared.source.settings.filter(|_| prepared.created) {
                    return Ok(Next::Stage(task.apply(StagePlan::single(SETTLE, json!(settings)))));
                }
                done(planning, last.number, Vec::new()).await
            }
            _ => {
                let notes: Vec<Vec<String>> = planning.results(last.number).await?;
                done(planning, last.number - 1, notes.concat()).await
            }
        }
    }

    async fn work(&self, work: &mut Work, task: RestoreTask) -> Result<Outcome, WorkError> {
        let files = work.site().objects.files();
        match work.job().stage().map(|stage| stage.name.as_str()) {
            Some(PREPARE) => prepare::work(work, &files, &task).await,
            Some(LOAD) => load::work(work, &files, &task, &self.0).await.or_else(CallError::outcome),
            _ => settle::work(work, &task).await,
        }
    }
}

async fn prepared(planning: &Planning<'_>) -> Result<Prepared, JobError> {
    let prepared: Vec<Prepared> = planning.results(0).await?;
    prepared.into_iter().next().ok_or_else(|| JobError::Failed("nothing was prepared".to_owned()))
}

async fn done(planning: &Planning<'_>, load: u32, notes: Vec<String>) -> Result<Next, JobError> {
    let prepared = prepared(planning).await?;
    let all: Loaded = planning.results(load).await?.into_iter().sum();
    Ok(Next::Done(json!({
        "from": prepared.source.at,
        "files": prepared.source.files.len(),
        "lines": all.lines,
        "written": all.written,
        "deleted": all.deleted,
        "skipped": all.skipped,
        "omitted": all.omitted,
        "erased": all.erased,
        "refused": all.refused,
        "created": prepared.created,
        "notes": notes,
    })))
}
