//! Jobs, their states and estimates in words.

use std::fmt::Write;

use nextbasket_job_engine::engine::JobView;
use nextbasket_job_engine::{Estimate, Job, JobState, Progress};

use crate::Failure;
use crate::stdio::print_result;
use crate::text_table::text_table;

/// The status of a stage that is complete.
pub(crate) const DONE: &str = "done";

/// The status of a stage that ended with the job in this state.
pub(crate) fn status(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => DONE,
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
        _ => "stopped",
    }
}

/// Prints a job, whatever its state.
pub(crate) fn print(view: &JobView, as_json: bool) -> Result<(), Failure> {
    let value = serde_json::to_value(view).map_err(Failure::other)?;
    print_result(as_json, &value, || job(view));
    Ok(())
}

pub(crate) fn table(jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return "There are no jobs.".to_owned();
    }
    let mut table = text_table(&["Job", "Kind", "State", "Submitted", "Processed"]);
    for job in jobs {
        let Job { job_id, kind, state, created_at, total, .. } = job;
        table.add_row([
            job_id.to_string(),
            kind.clone(),
            state.as_str().to_owned(),
            created_at.to_string(),
            total.processed.to_string(),
        ]);
    }
    table.to_string()
}

/// One job with its stages, failures and log.
fn job(view: &JobView) -> String {
    let JobView { job, failures, log } = view;
    let mut text = format!("Job {}: {}, {}", job.job_id, job.kind, job.state.as_str());
    if let Some(failure) = &job.failure {
        let _ = write!(text, ": {failure}");
    }
    let _ = write!(text, "\nsubmitted {}", job.created_at);
    if let Some(at) = job.ended_at {
        let _ = write!(text, ", ended {at}");
    }
    for stage in &job.stages {
        let assign = serde_json::to_value(stage.assign).unwrap_or_default();
        let aggregate = serde_json::to_value(stage.aggregate).unwrap_or_default();
        let _ = write!(
            text,
            "\nstage {} {}: {} of {} batches done, {} failed; split {}, assigned {}, {} wide, aggregated {}; {}",
            stage.number,
            stage.name,
            stage.done,
            stage.batches,
            stage.failed,
            stage.split,
            assign.as_str().unwrap_or_default(),
            stage.width,
            aggregate.as_str().unwrap_or_default(),
            counts(&stage.progress, stage.of),
        );
    }
    for failure in failures {
        let _ =
            write!(text, "\nfailed: batch {} of stage {}: {}", failure.batch, failure.stage, failure.reason);
    }
    for line in log {
        let _ = write!(text, "\n{} {}", line.at, line.line);
    }
    if let Some(result) = &job.result {
        let pretty = serde_json::to_string_pretty(result).unwrap_or_default();
        let _ = write!(text, "\nresult: {pretty}");
    }
    text
}

fn counts(progress: &Progress, of: Option<u64>) -> String {
    let Progress { processed, matched, changed, refused, read_units, write_units, bytes } = progress;
    let of = of.map(|of| format!(" / {of}")).unwrap_or_default();
    let mut text = format!("processed {processed}{of}, matched {matched}, changed {changed}");
    if *refused > 0 {
        let _ = write!(text, ", refused {refused}");
    }
    if *bytes > 0 {
        let _ = write!(text, ", {} read", indicatif::HumanBytes(*bytes));
    }
    let _ = write!(text, "; {read_units:.1} read and {write_units:.1} write units");
    text
}

/// What a job would take, in words.
pub(crate) fn estimate(estimate: &Estimate) -> String {
    let mut parts = Vec::new();
    if let Some(items) = estimate.items {
        parts.push(format!("{items} items"));
    }
    if let Some(changes) = estimate.changes {
        parts.push(format!("about {changes} to change"));
    }
    if let Some(bytes) = estimate.bytes {
        parts.push(indicatif::HumanBytes(bytes).to_string());
    }
    parts.push(format!("about {:.0} read and {:.0} write units", estimate.read_units, estimate.write_units));
    if let Some(seconds) = estimate.seconds {
        let time = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9));
        parts.push(format!("{} at this rate", indicatif::HumanDuration(time)));
    }
    parts.push(format!("${:.4} on demand in us-east-1", estimate.cost_usd));
    let mut text = format!("Estimate: {}.", parts.join(", "));
    for note in &estimate.notes {
        let _ = write!(text, "\n  {note}");
    }
    text
}
