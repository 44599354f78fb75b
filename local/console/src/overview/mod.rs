//! `GET overview`: how the shop and its recommender are, and first what needs attention.

mod attention;
mod dump_review;
mod job_review;
mod table_review;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_domain::{Timestamp, time::DAY_MS};
use nextbasket_dynamodb::TableError;
use nextbasket_job_engine::Job;
use nextbasket_job_engine::kind::on_demand_usd;
use nextbasket_tables::model::ModelRecord;
use serde::Serialize;
use serde_json::Value;

use crate::Console;
use crate::answer::{Answer, Json, Problem};
use crate::metrics::{HOUR_MS, Measured};
use crate::parts::PlaceKind;

use attention::{Attention, Findings};
use dump_review::DumpSummary;
pub(crate) use job_review::JobCache;
use job_review::JobReview;
pub(crate) use table_review::TableCache;
use table_review::TableReview;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/overview", get(overview))
}

#[derive(Serialize)]
struct Overview {
    now: Timestamp,
    attention: Vec<Attention>,
    freshness: Option<FreshnessSummary>,
    traffic: Traffic,
    model: Models,
    jobs: JobsSummary,
    dumps: Vec<DumpSummary>,
    cost: Cost,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FreshnessSummary {
    median_ms: f64,
    max_ms: f64,
    samples: u64,
    /// Purchases that are not in a history yet, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u64>,
    /// When the oldest of them was written, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_at: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    since: Timestamp,
    answers: f64,
    conversions: f64,
    purchases: f64,
    errors: f64,
    by_hour: Vec<Hour>,
}

#[derive(Serialize)]
struct Hour {
    at: Timestamp,
    answers: f64,
    conversions: f64,
    purchases: f64,
    errors: f64,
}

#[derive(Serialize)]
struct Models {
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Model>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    version: u64,
    trained_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    recall10: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ndcg10: Option<f64>,
    /// Whether answers are in the order of a learned ranker.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranker: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobsSummary {
    running: Vec<Job>,
    failed: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_training: Option<Job>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    since: Timestamp,
    read_units: f64,
    write_units: f64,
    /// Not before an hour was measured: the first minutes say little about a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    usd_per_day: Option<f64>,
    parts: Vec<CostPart>,
    /// What the figures are of: a code for the page's texts.
    note: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CostPart {
    table: String,
    read_units: f64,
    write_units: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<i64>,
    usd: f64,
}

async fn overview(State(console): State<Console>) -> Answer<Overview> {
    let now = console.clock.now();
    let tables = table_review::review(&console, now).await?;
    let (measured, models, jobs, has_purchases) = tokio::try_join!(
        measured(&console, now),
        models(&console, &tables),
        jobs(&console, &tables, now),
        has_purchases(&console, &tables),
    )?;
    let dumps = dump_review::summaries(&console, &jobs.newest);
    let attention = attention::sorted(&Findings {
        now,
        measured: &measured,
        live: models.live.as_ref(),
        previous: models.previous.as_ref(),
        jobs: &jobs.newest,
        dumps: &dumps,
        missing_tables: &tables.missing,
        has_purchases,
        // Data in memory is gone before a dump is due.
        keeps_data: console.place.kind != PlaceKind::Memory,
    });
    let JobReview { running, failed, last_training, .. } = jobs;
    Ok(Json(Overview {
        now,
        attention,
        freshness: freshness(&measured, now),
        traffic: traffic(&measured),
        model: models,
        jobs: JobsSummary { running, failed, last_training },
        dumps,
        cost: cost(&console, &measured, now, &tables),
    }))
}

/// Measurements that cannot be read, such as for want of a permission, leave the rest of the page as it is.
async fn measured(console: &Console, now: Timestamp) -> Result<Measured, Problem> {
    // Whole hours, since what was consumed is counted by the hour.
    let day_ago = now.as_millis() - DAY_MS;
    let since = Timestamp::EPOCH.plus_millis(day_ago.div_euclid(HOUR_MS) * HOUR_MS);
    match console.measurements.measured(since, now).await {
        Ok(measured) => Ok(measured),
        Err(error) => {
            tracing::warn!(%error, "the console's overview is without measurements");
            Ok(Measured { since: now.as_millis(), ..Measured::default() })
        }
    }
}

async fn models(console: &Console, tables: &TableReview) -> Result<Models, Problem> {
    if !tables.has(&console.names.tables.model) {
        return Ok(Models { live: None, previous: None });
    }
    let table = console.tables.model().map_err(nextbasket_http::ApiError::internal)?;
    let (live, others): (Vec<_>, Vec<_>) = table.models().await?.into_iter().partition(|model| model.live);
    Ok(Models {
        live: live.into_iter().next().map(Model::of),
        previous: others.into_iter().max_by_key(|model| model.version).map(Model::of),
    })
}

impl Model {
    fn of(record: ModelRecord) -> Self {
        let metrics = record.info.and_then(|info| info.metrics);
        let metrics: Value = metrics.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let at = metrics.pointer("/model/at").and_then(Value::as_array);
        let ten = at.and_then(|at| at.iter().find(|quality| quality.get("k") == Some(&Value::from(10))));
        let figure = |name| ten.and_then(|ten| ten.get(name)).and_then(Value::as_f64);
        Self {
            version: record.version,
            trained_at: record.trained_at,
            recall10: figure("recall"),
            ndcg10: figure("ndcg"),
            ranker: metrics.pointer("/ranker/used").and_then(Value::as_bool),
        }
    }
}

async fn jobs(console: &Console, tables: &TableReview, now: Timestamp) -> Result<JobReview, Problem> {
    if !tables.has(&console.names.tables.operations) {
        return Ok(JobReview::default());
    }
    job_review::review(console, now).await
}

async fn has_purchases(console: &Console, tables: &TableReview) -> Result<bool, Problem> {
    let table = &console.names.tables.purchases;
    if !tables.has(table) {
        return Ok(false);
    }
    let page = console.dynamodb.scan().table_name(table).limit(1).send().await;
    let page = page.map_err(|error| TableError::from_sdk(table, error))?;
    Ok(page.count() > 0)
}

fn freshness(measured: &Measured, now: Timestamp) -> Option<FreshnessSummary> {
    let freshness = measured.freshness?;
    let stream = measured.stream;
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of some days")]
    let age = stream.age_ms.filter(|age| *age > 0.0).map(|age| age as i64);
    Some(FreshnessSummary {
        median_ms: freshness.median_ms,
        max_ms: freshness.max_ms,
        samples: freshness.samples,
        behind: stream.behind,
        oldest_at: age.map(|age| now.plus_millis(-age)),
    })
}

fn traffic(measured: &Measured) -> Traffic {
    let at = |millis: i64| Timestamp::EPOCH.plus_millis(millis);
    let sum = |count: fn(&crate::metrics::HourOfTraffic) -> f64| measured.hours.iter().map(count).sum();
    Traffic {
        since: at(measured.since),
        answers: sum(|hour| hour.answers),
        conversions: sum(|hour| hour.conversions),
        purchases: sum(|hour| hour.purchases),
        errors: sum(|hour| hour.errors),
        by_hour: measured
            .hours
            .iter()
            .map(|hour| Hour {
                at: at(hour.at),
                answers: hour.answers,
                conversions: hour.conversions,
                purchases: hour.purchases,
                errors: hour.errors,
            })
            .collect(),
    }
}

fn cost(console: &Console, measured: &Measured, now: Timestamp, tables: &TableReview) -> Cost {
    let part = |table: &str| {
        let units = measured.tables.iter().find(|units| units.table == table);
        let (read_units, write_units) =
            units.map_or((0.0, 0.0), |units| (units.read_units, units.write_units));
        CostPart {
            table: table.to_owned(),
            read_units,
            write_units,
            stored_bytes: tables.bytes.iter().find(|(of, _)| of == table).map(|(_, bytes)| *bytes),
            usd: on_demand_usd(read_units, write_units),
        }
    };
    let parts: Vec<CostPart> = console.names.tables.all().map(part).into();
    let usd: f64 = parts.iter().map(|part| part.usd).sum();
    let measured_ms = now.as_millis() - measured.since;
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a day")]
    let usd_per_day = (measured_ms >= HOUR_MS).then(|| usd * DAY_MS as f64 / measured_ms as f64);
    Cost {
        since: Timestamp::EPOCH.plus_millis(measured.since),
        read_units: parts.iter().map(|part| part.read_units).sum(),
        write_units: parts.iter().map(|part| part.write_units).sum(),
        usd_per_day,
        parts,
        note: "dynamodb_on_demand",
    }
}
