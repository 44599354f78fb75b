//! Schedules on a clock that is turned forward.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nextbasket_machine::schedules::{Now, Schedules, Starter};
use nextbasket_machine::template::Schedule;

fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn nightly() -> Schedule {
    Schedule {
        name: "JobsNightly".to_owned(),
        state_machine: "Jobs".to_owned(),
        expression: "cron(0 3 * * ? *)".to_owned(),
        input: serde_json::json!({ "kind": "dump" }),
    }
}

/// A clock that follows tokio's, which a test may halt and turn forward.
fn clock(start: &str) -> Now {
    let (start, began) = (time(start), tokio::time::Instant::now());
    Arc::new(move || start + began.elapsed())
}

/// Runs the schedules for so long, and gives when what was due was started.
async fn started(folder: &Path, from: &str, hours: u64, failing: usize) -> Vec<String> {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let (seen, failures) = (starts.clone(), Arc::new(Mutex::new(failing)));
    let starter: Starter = Arc::new(move |schedule, due| {
        assert_eq!(schedule, nightly());
        let mut left = failures.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Box::pin(async { Err("not now".to_owned()) });
        }
        seen.lock().unwrap().push(due.to_rfc3339());
        Box::pin(async { Ok(()) })
    });
    let schedules = Schedules::start(&[nightly()], Some(folder), clock(from), starter).unwrap();
    tokio::time::sleep(Duration::from_secs(hours * 3600)).await;
    drop(schedules);
    let starts = starts.lock().unwrap();
    starts.clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_started_each_time_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let starts = started(folder.path(), "2026-05-17T02:00:00Z", 50, 0).await;
    let nights = ["2026-05-17T03:00:00+00:00", "2026-05-18T03:00:00+00:00", "2026-05-19T03:00:00+00:00"];
    assert_eq!(starts, nights);
}

#[tokio::test(start_paused = true)]
async fn a_new_folder_waits_and_missed_runs_are_made_up_for_once() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(started(folder.path(), "2026-05-17T04:00:00Z", 1, 0).await, Vec::<String>::new());
    let later = started(folder.path(), "2026-05-20T09:00:00Z", 1, 0).await;
    assert_eq!(later, ["2026-05-20T03:00:00+00:00"]);
    assert_eq!(started(folder.path(), "2026-05-20T12:00:00Z", 1, 0).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_started_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let starts = started(folder.path(), "2026-05-17T02:59:00Z", 1, 3).await;
    assert_eq!(starts, ["2026-05-17T03:00:00+00:00"]);
}

#[tokio::test]
async fn an_expression_that_is_none_is_refused_by_its_schedule_s_name() {
    let wrong = Schedule { expression: "every night".to_owned(), ..nightly() };
    let starter: Starter = Arc::new(|_, _| Box::pin(async { Ok(()) }));
    let refused = Schedules::start(&[wrong], None, Arc::new(Utc::now), starter).unwrap_err();
    assert_eq!(refused.to_string(), "JobsNightly: every night: must be rate(…) or cron(…)");
}
