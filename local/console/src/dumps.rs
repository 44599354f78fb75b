//! `GET dumps`: which dumps, archives and exports there are, where, and when each was verified.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_domain::Timestamp;
use nextbasket_job_engine::{Job, JobState};
use nextbasket_jobs_dump::listing::{ListedDump, list};
use nextbasket_objects::Location;
use serde::Serialize;
use serde_json::Value;

use crate::Console;
use crate::answer::{Answer, Json, Problem};
use crate::parts::ConsoleParts;

/// How many jobs are looked at, the newest, for where dumps were written and which were verified.
const JOBS: usize = 500;
const JOBS_OF_A_PAGE: u32 = 100;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/dumps", get(dumps))
}

#[derive(Serialize)]
struct Dumps {
    /// The newest first.
    items: Vec<Dump>,
    /// Places that could not be read, and why.
    problems: Vec<PlaceProblem>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dump {
    #[serde(flatten)]
    dump: ListedDump,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<Timestamp>,
    /// Whether that found it as its manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_ok: Option<bool>,
}

#[derive(Serialize)]
struct PlaceProblem {
    location: Location,
    problem: String,
}

async fn dumps(State(console): State<Console>) -> Answer<Dumps> {
    let jobs = newest_jobs(&console).await?;
    let verified = verifications(&jobs);
    let files = console.engine.site().objects.files();
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for place in places(&console, &jobs).await {
        match list(&files, &place).await {
            Ok(dumps) => found.extend(dumps.into_iter().map(|dump| (dump.location.to_string(), dump))),
            Err(error) => problems.push(PlaceProblem { location: place, problem: error.to_string() }),
        }
    }
    let mut items: Vec<Dump> = found
        .into_iter()
        .map(|(location, dump)| {
            let verified = verified.get(location.as_str());
            Dump { dump, verified_at: verified.map(|(at, _)| *at), verified_ok: verified.map(|(_, ok)| *ok) }
        })
        .collect();
    items.sort_by_key(|dump| std::cmp::Reverse(dump.dump.read_at));
    Ok(Json(Dumps { items, problems }))
}

async fn newest_jobs(console: &ConsoleParts) -> Result<Vec<Job>, Problem> {
    let (mut jobs, mut after) = (Vec::new(), None);
    while jobs.len() < JOBS {
        let page = console.engine.list(JOBS_OF_A_PAGE, after.as_ref()).await;
        let page = page.map_err(|error| console.job_problem(error))?;
        jobs.extend(page.jobs);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(jobs)
}

/// The dumps bucket, the prefixes in it, and where jobs have written dumps to.
async fn places(console: &ConsoleParts, jobs: &[Job]) -> Vec<Location> {
    let bucket = Location::Object { bucket: console.names.buckets.dumps.clone(), key: String::new() };
    let mut places = BTreeMap::from([(bucket.to_string(), bucket.clone())]);
    let below = console.engine.site().objects.files().folders(&bucket).await.unwrap_or_default();
    let written = jobs.iter().filter(|job| matches!(job.kind.as_str(), "dump" | "archive"));
    let written = written.filter_map(|job| job.parameters.get("to")?.as_str()?.parse::<Location>().ok());
    let others = below.into_iter().chain(written.map(|place| place.normalized()));
    places.extend(others.map(|place| (place.to_string().trim_end_matches('/').to_owned(), place)));
    places.into_values().collect()
}

/// When each dump was verified last, and whether it was found whole, by its folder.
fn verifications(jobs: &[Job]) -> BTreeMap<&str, (Timestamp, bool)> {
    let mut verified = BTreeMap::new();
    for job in jobs.iter().filter(|job| job.kind == "verify" && job.state == JobState::Succeeded) {
        let (Some(at), Some(result)) = (job.ended_at, &job.result) else { continue };
        let ok = result.get("equal").and_then(Value::as_bool) == Some(true);
        let several = result.get("dumps").and_then(Value::as_array).into_iter().flatten();
        for folder in result.get("dump").into_iter().chain(several).filter_map(Value::as_str) {
            let newest = verified.entry(folder).or_insert((at, ok));
            if newest.0 < at {
                *newest = (at, ok);
            }
        }
    }
    verified
}
