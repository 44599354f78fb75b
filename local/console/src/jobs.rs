//! What the page shows of a job beside what the public API tells: its batches, its refused items, and of an import what
//! was understood.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_domain::Timestamp;
use nextbasket_http::{ApiError, cursor};
use nextbasket_job_engine::job::{OUTPUT, Stage};
use nextbasket_job_engine::store::{BATCH_ROW, BatchRecord, BatchState};
use nextbasket_job_engine::{Job, JobId, JobState, Progress};
use nextbasket_jobs_shop::import::REPORT;
use nextbasket_jobs_shop::import::refusals::flat;
use nextbasket_objects::ObjectError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::answer::{Answer, Json, Problem};
use crate::parts::ConsoleParts;
use crate::request_parts::{PathName, QueryOf};
use crate::{Console, uploads};

/// How many rows of batches are read for one answer, where few of them are in the state that is asked for.
const MAX_ROWS: u32 = 20;
const DEFAULT_REFUSED: usize = 100;
const MAX_REFUSED: usize = 1_000;
/// The bytes of refused items after which an answer has no more.
const MAX_REFUSED_BYTES: usize = 2 << 20;
/// How many purchases of an import are shown, and rejected lines.
const SAMPLES: usize = 3;
const REJECTED: usize = 100;

pub(crate) fn routes() -> Router<Console> {
    Router::new()
        .route("/jobs/{job}/batches", get(batches))
        .route("/jobs/{job}/refused", get(refused))
        .route("/jobs/{job}/import", get(import))
}

impl ConsoleParts {
    async fn job(&self, id: &str) -> Result<Job, Problem> {
        let id = JobId::parse(id).map_err(|problem| ApiError::invalid("jobId", problem))?;
        self.engine.job(&id).await.map_err(|error| self.job_problem(error))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchesQuery {
    /// The number of the stage; the newest if it is omitted.
    stage: Option<u32>,
    state: Option<ShownState>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ShownState {
    /// Not begun, or to be tried again.
    Waiting,
    Running,
    Done,
    Failed,
}

#[derive(Serialize)]
struct Batches {
    items: Vec<Batch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    stage: u32,
    batch: u32,
    state: ShownState,
    /// The claims since its checkpoint last moved.
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it was claimed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Progress>,
}

/// The batches of a stage, in their order. Those of a job that has ended are removed with its other data.
async fn batches(
    State(console): State<Console>,
    PathName(id): PathName,
    QueryOf(query): QueryOf<BatchesQuery>,
) -> Answer<Batches> {
    let job = console.job(&id).await?;
    let Some(stage) = stage_of(&job, query.stage)? else {
        return Ok(Json(Batches { items: Vec::new(), cursor: None }));
    };
    let list = format!("batches/{id}/{}", stage.number);
    let mut row = query.cursor.as_deref().map_or(Ok(0), |cursor| cursor::decode::<u32>(&list, cursor))?;
    let end = if job.state.has_ended() { 0 } else { stage.batches.div_ceil(BATCH_ROW) };
    let mut items = Vec::new();
    let last = row.saturating_add(MAX_ROWS).min(end);
    while row < last && items.len() < usize::try_from(BATCH_ROW).unwrap_or(usize::MAX) {
        let records = console.engine.batch_row(&job.job_id, stage.number, row).await;
        let records = records.map_err(|error| console.job_problem(error))?;
        let first = row * BATCH_ROW;
        let batches = (first..stage.batches.min(first + BATCH_ROW)).map(|batch| {
            let record = records.iter().find(|record| record.batch == batch);
            shown(stage.number, batch, record, console.clock.now())
        });
        items.extend(batches.filter(|batch| query.state.is_none_or(|state| state == batch.state)));
        row += 1;
    }
    let cursor = (row < end).then(|| cursor::encode(&list, row)).transpose()?;
    Ok(Json(Batches { items, cursor }))
}

fn stage_of(job: &Job, number: Option<u32>) -> Result<Option<&Stage>, ApiError> {
    let Some(number) = number else { return Ok(job.stage()) };
    let stage = job.stages.iter().find(|stage| stage.number == number);
    stage.map(Some).ok_or_else(|| ApiError::invalid("stage", "is not one of the job's stages"))
}

fn shown(stage: u32, batch: u32, record: Option<&BatchRecord>, now: Timestamp) -> Batch {
    let holder = record.and_then(|record| record.held.as_ref()).filter(|(_, until)| *until > now);
    let state = match record.map(|record| record.state) {
        Some(BatchState::Done) => ShownState::Done,
        Some(BatchState::Failed) => ShownState::Failed,
        Some(BatchState::Open) if holder.is_some() => ShownState::Running,
        Some(BatchState::Open) | None => ShownState::Waiting,
    };
    Batch {
        stage,
        batch,
        state,
        attempts: record.map_or(0, |record| record.attempts),
        holder: holder.map(|(holder, _)| holder.clone()),
        error: record.and_then(|record| record.failure.clone()),
        started_at: record.and_then(|record| record.claimed_at),
        counts: record.map(|record| record.progress),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefusedQuery {
    limit: Option<usize>,
}

#[derive(Serialize)]
struct RefusedItems {
    /// As the job's refused files have them: `{"refused": …, "reason": …}`.
    items: Vec<Box<RawValue>>,
    /// Whether there are others.
    more: bool,
}

async fn refused(
    State(console): State<Console>,
    PathName(id): PathName,
    QueryOf(query): QueryOf<RefusedQuery>,
) -> Answer<RefusedItems> {
    let limit = query.limit.unwrap_or(DEFAULT_REFUSED);
    if !(1..=MAX_REFUSED).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be from 1 to {MAX_REFUSED}")).into());
    }
    let job = console.job(&id).await?;
    let (lines, more) = refused_lines(&console, &job.job_id, limit).await?;
    let items =
        lines.into_iter().map(RawValue::from_string).collect::<Result<_, _>>().map_err(ApiError::internal)?;
    Ok(Json(RefusedItems { items, more }))
}

/// The first lines of the job's refused files, and whether there are others.
async fn refused_lines(
    console: &ConsoleParts,
    id: &JobId,
    limit: usize,
) -> Result<(Vec<String>, bool), Problem> {
    let keys = console.engine.refused(id).await.map_err(|error| console.job_problem(error))?;
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for key in keys {
        let content = console.engine.site().objects.get(&key).await.map_err(object_problem)?;
        let content = String::from_utf8(content).map_err(ApiError::internal)?;
        for line in content.lines().filter(|line| !line.is_empty()) {
            if lines.len() == limit || bytes >= MAX_REFUSED_BYTES {
                return Ok((lines, true));
            }
            bytes += line.len();
            lines.push(line.to_owned());
        }
    }
    Ok((lines, false))
}

fn object_problem(error: ObjectError) -> ApiError {
    match error {
        error @ ObjectError::Unavailable { .. } => ApiError::unavailable(error),
        error => ApiError::internal(error),
    }
}

/// What the command `import` reports.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportReport {
    /// Whether nothing was to be written.
    dry_run: bool,
    files: Vec<ImportedFile>,
    /// `null` of a dry run.
    written: Option<Value>,
    /// The first purchases of all files.
    sample: Vec<Value>,
    /// Lines that were rejected, with file, line and reason.
    rejected: Vec<Value>,
    /// Whether there are others.
    more_rejected: bool,
}

#[derive(Serialize)]
struct ImportedFile {
    file: String,
    summary: Value,
    /// The same for people.
    text: String,
}

/// A file as the job tells of it.
#[derive(Deserialize)]
struct FileRead {
    source: String,
    summary: Value,
    text: String,
}

async fn import(State(console): State<Console>, PathName(id): PathName) -> Answer<ImportReport> {
    let job = console.job(&id).await?;
    if job.kind != "import" {
        return Err(ApiError::invalid("jobId", format!("is that of a job of the kind {}", job.kind)).into());
    }
    if job.state != JobState::Succeeded {
        let detail =
            format!("job {id} is {}: what was understood is known once it has succeeded", job.state.as_str());
        return Err(ApiError::conflict("import_not_done", detail).at("jobId").into());
    }
    let dry_run = job.parameters.get("check").and_then(Value::as_bool) == Some(true);
    let result = job.result.clone().unwrap_or_default();
    let read = files_read(&console, &job.job_id, &result).await?;
    let (lines, more_rejected) = refused_lines(&console, &job.job_id, REJECTED).await?;
    let mut sample = Vec::new();
    let mut files = Vec::new();
    for FileRead { source, summary, text } in read {
        let samples = summary.get("samples").and_then(Value::as_array).into_iter().flatten();
        sample.extend(samples.take(SAMPLES - sample.len()).cloned());
        files.push(ImportedFile { file: uploads::name_of(&source).to_owned(), summary, text });
    }
    if !dry_run {
        uploads::remove_imported(&console, &job).await?;
    }
    Ok(Json(ImportReport {
        dry_run,
        files,
        written: result.get("written").filter(|_| !dry_run).cloned(),
        sample,
        rejected: lines.iter().filter_map(|line| rejected(line)).collect(),
        more_rejected,
    }))
}

/// With what names persons, if the job was to report that; otherwise without.
async fn files_read(console: &ConsoleParts, id: &JobId, result: &Value) -> Result<Vec<FileRead>, Problem> {
    let report = result.get("report").and_then(Value::as_str);
    if let Some(key) = report.filter(|key| *key == id.object_key(&format!("{OUTPUT}{REPORT}"))) {
        match console.engine.site().objects.get(key).await {
            Ok(content) => return Ok(serde_json::from_slice(&content).map_err(ApiError::internal)?),
            // Whoever ran the import as a command has read it, and removed it.
            Err(ObjectError::NotFound { .. }) => {}
            Err(error) => return Err(object_problem(error).into()),
        }
    }
    let read = result.get("read").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    Ok(serde_json::from_value(read).map_err(ApiError::internal)?)
}

fn rejected(line: &str) -> Option<Value> {
    let mut line: Value = serde_json::from_str(&flat(line)?).ok()?;
    if let Some(file) = line.get("file").and_then(Value::as_str) {
        let name = uploads::name_of(file).to_owned();
        *line.get_mut("file")? = Value::String(name);
    }
    Some(line)
}
