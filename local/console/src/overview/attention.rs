//! What needs attention. The page has a text for each code, which says what to do.

use std::collections::{BTreeMap, HashSet};

use nextbasket_domain::Timestamp;
use nextbasket_domain::time::DAY_MS;
use nextbasket_job_engine::{Job, JobState};
use serde::Serialize;
use serde_json::{Value, json};

use super::Model;
use super::dump_review::DumpSummary;
use crate::metrics::{HOUR_MS, Measured};

/// From when on a history that is behind its purchases is worth a word, as the stack's alarm has it.
const MAX_LAG_MS: f64 = 60_000.0;

/// How many changes may wait for their histories on one machine, which folds some thousand a second.
const MAX_BEHIND: u64 = 1_000;

/// As the alarm on dumps: a day and an hour.
const MAX_DUMP_AGE_MS: i64 = 25 * HOUR_MS;

const OLD_TRAINING_MS: i64 = 7 * DAY_MS;
const VERY_OLD_TRAINING_MS: i64 = 30 * DAY_MS;

/// The share of its nDCG by which a live model may be below the one before, as the gate of trainings has it.
const GATE: f64 = 0.05;

/// The longest reason of a failure that is shown here, in bytes.
const MAX_REASON_BYTES: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Severity {
    Error,
    Warning,
    Info,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Attention {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) values: BTreeMap<&'static str, Value>,
    /// A route of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<String>,
}

/// What the overview found.
pub(crate) struct Findings<'a> {
    pub(crate) now: Timestamp,
    pub(crate) measured: &'a Measured,
    pub(crate) live: Option<&'a Model>,
    pub(crate) previous: Option<&'a Model>,
    /// Newest first.
    pub(crate) jobs: &'a [Job],
    pub(crate) dumps: &'a [DumpSummary],
    /// Tables of the stack that are not there.
    pub(crate) missing_tables: &'a [String],
    pub(crate) has_purchases: bool,
    /// Whether the data outlives the process.
    pub(crate) keeps_data: bool,
}

/// Everything that needs attention, errors first.
pub(crate) fn sorted(findings: &Findings<'_>) -> Vec<Attention> {
    let mut all = Vec::new();
    if !findings.missing_tables.is_empty() {
        let values = [("tables", json!(findings.missing_tables.join(", ")))];
        all.push(attention("tables_missing", Severity::Error, values, Some("#/tables")));
    }
    stream(findings, &mut all);
    errors(findings, &mut all);
    failed_jobs(findings, &mut all);
    model(findings, &mut all);
    if findings.keeps_data {
        dumps(findings, &mut all);
    }
    all.sort_by_key(|attention| attention.severity);
    all
}

fn attention<const N: usize>(
    code: &'static str,
    severity: Severity,
    values: [(&'static str, Value); N],
    link: Option<&str>,
) -> Attention {
    Attention { code, severity, values: values.into(), link: link.map(str::to_owned) }
}

fn stream(findings: &Findings<'_>, all: &mut Vec<Attention>) {
    let stream = findings.measured.stream;
    if stream.given_up > 0 {
        let values = [("records", json!(stream.given_up))];
        all.push(attention("stream_failures", Severity::Error, values, Some("#/jobs")));
    }
    let lag = stream.age_ms.unwrap_or(0.0);
    let behind = stream.behind.unwrap_or(0);
    if lag > MAX_LAG_MS || behind > MAX_BEHIND {
        let values = [("records", json!(behind)), ("seconds", json!((lag / 1000.0).round()))];
        all.push(attention("stream_behind", Severity::Warning, values, None));
    }
}

fn errors(findings: &Findings<'_>, all: &mut Vec<Attention>) {
    let hour_ago = findings.now.as_millis() - HOUR_MS;
    // The hour before counts as long as some of it lies within the last sixty minutes.
    let recent = findings.measured.hours.iter().filter(|hour| hour.at + HOUR_MS > hour_ago);
    let errors: f64 = recent.map(|hour| hour.errors).sum();
    if errors > 0.0 {
        all.push(attention("errors_recent", Severity::Error, [("errors", json!(errors))], None));
    }
}

/// A failure is over once a later job of its kind has succeeded.
fn failed_jobs(findings: &Findings<'_>, all: &mut Vec<Attention>) {
    let since = findings.now.plus_millis(-7 * DAY_MS);
    let mut decided: HashSet<&str> = HashSet::new();
    for job in findings.jobs.iter().filter(|job| job.state.has_ended() && job.created_at >= since) {
        if job.state == JobState::Cancelled || !decided.insert(&job.kind) || job.state != JobState::Failed {
            continue;
        }
        let failure = job.failure.as_deref().unwrap_or_default();
        let reason = failure.get(..failure.floor_char_boundary(MAX_REASON_BYTES)).unwrap_or_default();
        let values = [("kind", json!(job.kind)), ("jobId", json!(job.job_id)), ("reason", json!(reason))];
        let is_refusal = job.kind == "train" && failure.contains("the new model is worse");
        let (code, severity) = if is_refusal {
            ("training_refused", Severity::Warning)
        } else {
            ("job_failed", Severity::Error)
        };
        all.push(attention(code, severity, values, Some(&format!("#/jobs/{}", job.job_id))));
    }
}

fn model(findings: &Findings<'_>, all: &mut Vec<Attention>) {
    if !findings.missing_tables.is_empty() {
        return;
    }
    let Some(live) = findings.live else {
        all.push(if findings.has_purchases {
            attention("no_model", Severity::Warning, [], Some("#/models"))
        } else {
            attention("no_purchases", Severity::Info, [], Some("#/import"))
        });
        return;
    };
    let age = findings.now.as_millis() - live.trained_at.as_millis();
    if age > OLD_TRAINING_MS {
        let severity = if age > VERY_OLD_TRAINING_MS { Severity::Warning } else { Severity::Info };
        let values = [("days", json!(age / DAY_MS)), ("version", json!(live.version))];
        all.push(attention("training_old", severity, values, Some("#/models")));
    }
    let before = findings.previous.filter(|previous| previous.version < live.version);
    if let (Some(ndcg), Some(previous)) = (live.ndcg10, before)
        && let Some(ndcg_before) = previous.ndcg10
        && ndcg < ndcg_before * (1.0 - GATE)
    {
        let values = [
            ("version", json!(live.version)),
            ("previous", json!(previous.version)),
            ("ndcg", json!(ndcg)),
            ("previousNdcg", json!(ndcg_before)),
        ];
        all.push(attention("worse_model", Severity::Warning, values, Some("#/models")));
    }
}

fn dumps(findings: &Findings<'_>, all: &mut Vec<Attention>) {
    if !findings.has_purchases {
        return;
    }
    for dump in findings.dumps.iter().filter(|dump| dump.scheduled) {
        let table = ("table", json!(dump.table));
        match dump.last_good_at {
            None => all.push(attention("dump_missing", Severity::Warning, [table], Some("#/dumps"))),
            Some(at) => {
                let age = findings.now.as_millis() - at.as_millis();
                if age > MAX_DUMP_AGE_MS {
                    let values = [table, ("hours", json!(age / HOUR_MS))];
                    all.push(attention("dump_old", Severity::Warning, values, Some("#/dumps")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use nextbasket_job_engine::JobId;

    use super::*;
    use crate::metrics::{HourOfTraffic, StreamState};

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-28T08:00:00Z").unwrap()
    }

    fn job(kind: &str, hours_ago: i64, state: JobState, failure: Option<&str>) -> Job {
        let at = now().plus_millis(-hours_ago * HOUR_MS);
        let id = JobId::started(at, kind);
        let mut job = Job::new(id, kind.to_owned(), json!({}), at);
        (job.state, job.failure, job.ended_at) = (state, failure.map(str::to_owned), Some(at));
        job
    }

    fn model_of(version: u64, days: i64, ndcg10: f64) -> Model {
        let trained_at = now().plus_millis(-days * DAY_MS);
        Model { version, trained_at, recall10: None, ndcg10: Some(ndcg10), ranker: None }
    }

    fn codes(findings: &Findings<'_>) -> Vec<&'static str> {
        sorted(findings).into_iter().map(|attention| attention.code).collect()
    }

    #[test]
    fn a_healthy_shop_needs_no_attention_and_each_trouble_is_found_errors_first() {
        let (live, previous) = (model_of(2, 1, 0.30), model_of(1, 3, 0.29));
        let measured = Measured::default();
        let dump = |hours: Option<i64>| DumpSummary {
            table: "t-purchases".to_owned(),
            last_good_at: hours.map(|hours| now().plus_millis(-hours * HOUR_MS)),
            items: None,
            verified_at: None,
            scheduled: true,
        };
        let healthy = Findings {
            now: now(),
            measured: &measured,
            live: Some(&live),
            previous: Some(&previous),
            jobs: &[],
            dumps: &[dump(Some(5))],
            missing_tables: &[],
            has_purchases: true,
            keeps_data: true,
        };
        assert_eq!(codes(&healthy), [""; 0]);
        assert_eq!(codes(&Findings { live: None, ..healthy }), ["no_model"]);
        assert_eq!(codes(&Findings { live: None, has_purchases: false, ..healthy }), ["no_purchases"]);
        assert_eq!(codes(&Findings { live: Some(&model_of(2, 8, 0.3)), ..healthy }), ["training_old"]);
        assert_eq!(codes(&Findings { live: Some(&model_of(2, 1, 0.27)), ..healthy }), ["worse_model"]);
        // After a roll-back the other model is the newer one.
        let newer = model_of(2, 1, 0.5);
        let rolled_back = Findings { live: Some(&previous), previous: Some(&newer), ..healthy };
        assert_eq!(codes(&rolled_back), [""; 0]);
        assert_eq!(
            codes(&Findings { dumps: &[dump(None), dump(Some(26))], ..healthy }),
            ["dump_missing", "dump_old"]
        );
        assert_eq!(codes(&Findings { dumps: &[dump(None)], keeps_data: false, ..healthy }), [""; 0]);
        let missing = ["t-model".to_owned(), "t-products".to_owned()];
        let undeployed = Findings { missing_tables: &missing, live: None, has_purchases: false, ..healthy };
        let found = sorted(&undeployed);
        assert_eq!((found.len(), found[0].code), (1, "tables_missing"));
        assert_eq!(found[0].values["tables"], "t-model, t-products");
        let hour = |ago: i64| HourOfTraffic {
            at: now().as_millis() - ago * HOUR_MS,
            errors: 1.0,
            ..Default::default()
        };
        let troubled = Measured {
            hours: vec![hour(5), hour(0)],
            stream: StreamState { behind: Some(2_000), age_ms: None, given_up: 3 },
            ..Measured::default()
        };
        let found = Findings { measured: &troubled, ..healthy };
        assert_eq!(codes(&found), ["stream_failures", "errors_recent", "stream_behind"]);
        let errors = sorted(&found).into_iter().find(|found| found.code == "errors_recent").unwrap();
        assert_eq!(errors.values["errors"], json!(1.0), "those of five hours ago are past");
    }

    #[test]
    fn a_failure_is_over_once_a_later_job_of_its_kind_has_succeeded() {
        let measured = Measured::default();
        let live = model_of(2, 1, 0.30);
        let of = |jobs: &[Job]| {
            codes(&Findings {
                now: now(),
                measured: &measured,
                live: Some(&live),
                previous: None,
                jobs,
                dumps: &[],
                missing_tables: &[],
                has_purchases: true,
                keeps_data: true,
            })
        };
        let failed = job("dump", 2, JobState::Failed, Some("no bucket"));
        assert_eq!(of(std::slice::from_ref(&failed)), ["job_failed"]);
        let cancelled = job("dump", 1, JobState::Cancelled, None);
        assert_eq!(of(&[cancelled, failed.clone()]), ["job_failed"]);
        assert_eq!(of(&[job("dump", 1, JobState::Succeeded, None), failed.clone()]), [""; 0]);
        assert_eq!(of(&[job("train", 1, JobState::Succeeded, None), failed]), ["job_failed"]);
        let worse = "the new model is worse than model 7, which stays";
        assert_eq!(of(&[job("train", 1, JobState::Failed, Some(worse))]), ["training_refused"]);
        assert_eq!(of(&[job("train", 200, JobState::Failed, None)]), [""; 0]);
    }
}
