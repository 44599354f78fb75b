//! `PUT uploads`: a file of the browser's machine, as an object that an import can read.
//!
//! An upload is there when all of it has arrived, and not before. It is removed when it has been imported, or after a day:
//! by the next upload, and by the bucket's own rules.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::put;
use futures::StreamExt;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use nextbasket_http::ApiError;
use nextbasket_job_engine::{Job, JobState};
use nextbasket_objects::{Bucket, Location, ObjectError, ObjectWriter, WrittenParts};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Console;
use crate::answer::{Answer, Json, Problem};
use crate::parts::ConsoleParts;
use crate::request_parts::QueryOf;

const PREFIX: &str = "console/uploads/";
/// The largest file, in bytes.
const MAX_BYTES: u64 = 5 << 30;
/// The bytes of a part: one is held in memory.
const PART_BYTES: usize = 8 << 20;
const MAX_NAME_BYTES: usize = 200;
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// How many jobs are looked at, the newest, for uploads that have been imported.
const JOBS: u32 = 50;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/uploads", put(upload))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    /// The file's name.
    name: String,
}

#[derive(Serialize)]
struct Uploaded {
    location: Location,
    bytes: u64,
}

async fn upload(
    State(console): State<Console>,
    QueryOf(query): QueryOf<UploadQuery>,
    request: Request,
) -> Answer<Uploaded> {
    let name = cleaned(&query.name)?;
    check_length(request.headers())?;
    remove_old(&console).await;
    let (now, random) = (console.clock.now().as_millis(), console.random.draw());
    let key = format!("{PREFIX}{now:013}-{random:016x}/{name}");
    let bucket = console.engine.site().objects.clone();
    let location = Location::Object { bucket: bucket.name().to_owned(), key: key.clone() };
    // A task of its own: whoever goes away drops this future, and what has arrived has to be removed all the same.
    let receiving = tokio::spawn(receive(request.into_body(), bucket, key));
    let bytes = receiving.await.map_err(ApiError::internal)??;
    Ok(Json(Uploaded { location, bytes }))
}

/// The last part of the name, without what keys and messages do not hold.
fn cleaned(name: &str) -> Result<String, ApiError> {
    let name = name_of(name);
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    while name.len() > MAX_NAME_BYTES {
        name.remove(0);
    }
    match name.as_str() {
        "" | "." | ".." => Err(ApiError::invalid("name", "must be the name of a file")),
        _ => Ok(name),
    }
}

/// The file's own name, of a path or location.
pub(crate) fn name_of(location: &str) -> &str {
    location.rsplit(['/', '\\']).next().unwrap_or(location)
}

fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BYTES) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> ApiError {
    let detail = "a file must be at most 5 GB: import it with the command, or put it into a bucket";
    ApiError::new(413, "body_too_large", detail).at("body")
}

async fn receive(body: Body, bucket: Bucket, key: String) -> Result<u64, Problem> {
    let mut writer = ObjectWriter::new(bucket, key, WrittenParts::default());
    match write(body, &mut writer).await {
        Ok(rest) => Ok(writer.finish(rest).await.map_err(object_problem)?),
        Err(problem) => {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%error, "what has arrived of an upload could not be removed: the bucket's rules will");
            }
            Err(problem)
        }
    }
}

/// Writes whole parts, and returns what is left for the last one.
async fn write(body: Body, writer: &mut ObjectWriter) -> Result<Vec<u8>, Problem> {
    let mut body = body.into_data_stream();
    let (mut part, mut total) = (Vec::new(), 0_u64);
    while let Some(bytes) = body.next().await {
        let bytes =
            bytes.map_err(|_| ApiError::new(400, "incomplete_body", "the file did not arrive as a whole"))?;
        total += bytes.len() as u64;
        if total > MAX_BYTES {
            return Err(too_large().into());
        }
        part.extend_from_slice(&bytes);
        if part.len() >= PART_BYTES {
            writer.write_part(std::mem::take(&mut part)).await.map_err(object_problem)?;
        }
    }
    if total == 0 {
        return Err(ApiError::invalid("body", "must not be empty").into());
    }
    Ok(part)
}

fn object_problem(error: ObjectError) -> ApiError {
    match error {
        ObjectError::Unavailable { .. } => ApiError::unavailable(error),
        // No room, no permission: the operator can do something about it.
        ObjectError::Rejected { .. } => ApiError::conflict("upload_refused", error.to_string()),
        error => ApiError::internal(error),
    }
}

/// Removes uploads that this job has imported.
pub(crate) async fn remove_imported(console: &ConsoleParts, job: &Job) -> Result<(), Problem> {
    let bucket = &console.engine.site().objects;
    bucket.delete_all(&imported(bucket, job)).await.map_err(object_problem)?;
    Ok(())
}

/// The keys of uploads that the job has read and written into the tables.
fn imported(bucket: &Bucket, job: &Job) -> Vec<String> {
    let is_check = job.parameters.get("check").and_then(Value::as_bool) == Some(true);
    if job.kind != "import" || job.state != JobState::Succeeded || is_check {
        return Vec::new();
    }
    let several = job.parameters.get("sources").and_then(Value::as_array).into_iter().flatten();
    let sources = job.parameters.get("source").into_iter().chain(several).filter_map(Value::as_str);
    let of_bucket = |source: &str| match source.parse::<Location>() {
        Ok(Location::Object { bucket: of, key }) if of == bucket.name() && key.starts_with(PREFIX) => {
            Some(key)
        }
        _ => None,
    };
    sources.filter_map(of_bucket).collect()
}

/// Removes what was imported, is older than a day, or was left unfinished. What cannot be removed now will be by the next
/// upload, or by the bucket's rules.
async fn remove_old(console: &ConsoleParts) {
    if let Err(problem) = try_remove_old(console).await {
        tracing::warn!(problem = ?problem.0, "old uploads could not be removed");
    }
}

async fn try_remove_old(console: &ConsoleParts) -> Result<(), Problem> {
    let bucket = &console.engine.site().objects;
    let before = console.clock.now().as_millis() - KEPT_MS;
    let is_old = |key: &str| {
        let begun = key.strip_prefix(PREFIX).and_then(|key| key.split_once('-')?.0.parse::<i64>().ok());
        begun.is_none_or(|begun| begun < before)
    };
    for upload in bucket.uploads_in_progress(PREFIX).await.map_err(object_problem)? {
        if is_old(&upload.key) {
            bucket.abort_upload(&upload).await.map_err(object_problem)?;
        }
    }
    let mut keys = bucket.list(PREFIX).await.map_err(object_problem)?;
    if keys.is_empty() {
        return Ok(());
    }
    let jobs = console.engine.list(JOBS, None).await.map_err(|error| console.job_problem(error))?.jobs;
    let imported: Vec<String> = jobs.iter().flat_map(|job| imported(bucket, job)).collect();
    keys.retain(|key| is_old(key) || imported.contains(key));
    bucket.delete_all(&keys).await.map_err(object_problem)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_name_without_what_keys_do_not_hold() {
        assert_eq!(cleaned("C:\\exports\\Bestellungen März.csv").unwrap(), "Bestellungen März.csv");
        assert_eq!(cleaned("a/../b\u{7}.csv").unwrap(), "b.csv");
        assert_eq!(cleaned(&format!("{}.csv", "ü".repeat(300))).unwrap().len(), 200);
        for name in ["", "..", "a/", "\u{1}"] {
            assert_eq!(cleaned(name).unwrap_err().code(), "invalid_field", "{name:?}");
        }
    }
}
