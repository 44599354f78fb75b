//! Sales by week and repurchases of every product, from one pass over the purchases table.
//!
//! A pass begins by itself if the table is small, and with a confirmation otherwise, since it takes half a read unit for
//! each 4 KB of the table. What it found is kept for as long as the process runs, and counted anew when it is asked for
//! after [`FRESH_MS`].
//!
//! * `pass`: the table, segment by segment
//! * `tally`: sums over purchases
//! * `sales`: weeks
//! * `repurchase`: when a product is bought again

mod pass;
mod repurchase;
mod sales;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_job_engine::kind::on_demand_usd;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_tables::TableError;
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::segment::TableSize;
use serde::{Deserialize, Serialize};

use self::pass::{Counted, Cut, Progress, count};
use self::repurchase::Repurchase;
use self::sales::WeekSales;
use crate::answer::{Answer, Json, Problem};
use crate::{Console, PlaceKind};

/// How long statistics are shown without counting again.
const FRESH_MS: i64 = 600_000;

/// After a failure nothing is tried again by itself for so long.
const AFTER_FAILURE_MS: i64 = 60_000;

/// A table that takes no more read units than this is read without asking.
const SMALL_UNITS: f64 = 20_000.0;

/// The bytes that a read unit covers, eventually consistent.
const UNIT_BYTES: f64 = 8_192.0;

/// On AWS a pass reads no faster than this: 8 MB a second, a fortieth of what a table may by default.
const UNITS_PER_SECOND: f64 = 1_000.0;

/// What the passes of this process have found.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<Passes>);

#[derive(Debug, Default)]
struct Passes {
    found: Option<Arc<Found>>,
    running: Option<Running>,
    failure: Option<(Timestamp, String)>,
    /// A pass found more to read than the table's description says.
    too_large: bool,
}

#[derive(Debug, Clone)]
struct Running {
    progress: Arc<Progress>,
    /// The number of purchases as DynamoDB described the table.
    of: u64,
}

#[derive(Debug)]
struct Found {
    /// When the pass began.
    as_of: Timestamp,
    counted: Counted,
    read_units: f64,
}

/// What is answered while there are no statistics.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Pending {
    Reading {
        done: u64,
        total: u64,
    },
    Ask {
        items: u64,
        bytes: u64,
        read_units: f64,
        usd: f64,
        /// Why the last pass ended early.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
}

/// A product's statistics.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ProductStatistics {
    Ready(Box<ReadyProduct>),
    Pending(Pending),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadyProduct {
    state: ReadyState,
    as_of: Timestamp,
    /// Those that hold the product.
    purchases: u64,
    weeks: Vec<WeekSales>,
    repurchase: Repurchase,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ReadyState {
    Ready,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShopStatistics {
    Ready(ReadyShop),
    Pending(Pending),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadyShop {
    state: ReadyState,
    as_of: Timestamp,
    purchases: u64,
    /// Items that are no purchases.
    damaged: u64,
    read_units: f64,
    totals: ShopTotals,
}

#[derive(Debug, Serialize)]
struct ShopTotals {
    weeks: Vec<WeekSales>,
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/statistics", get(show).post(confirm))
}

async fn show(State(console): State<Console>) -> Answer<ShopStatistics> {
    of_shop(&console).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    confirm: bool,
}

async fn confirm(
    State(console): State<Console>,
    Json(Confirmation { confirm }): Json<Confirmation>,
) -> Answer<ShopStatistics> {
    if confirm && console.kept().statistics.lock().running.is_none() {
        let purchases = console.purchases()?;
        let size = purchases.size().await?;
        // Those of a large table are not kept twice.
        console.kept().statistics.lock().found.take_if(|found| found.read_units > SMALL_UNITS);
        start(&console, purchases, size, None);
    }
    of_shop(&console).await
}

async fn of_shop(console: &Console) -> Answer<ShopStatistics> {
    Ok(Json(match current(console).await? {
        Ok(found) => ShopStatistics::Ready(ReadyShop {
            state: ReadyState::Ready,
            as_of: found.as_of,
            purchases: found.counted.tally.purchases(),
            damaged: found.counted.damaged,
            read_units: found.read_units,
            totals: ShopTotals { weeks: found.counted.tally.shop_weeks() },
        }),
        Err(pending) => ShopStatistics::Pending(pending),
    }))
}

/// Those of a product.
pub(crate) async fn of_product(console: &Console, product: &ProductId) -> Result<ProductStatistics, Problem> {
    Ok(match current(console).await? {
        Ok(found) => {
            let (purchases, weeks, repurchase) = found.counted.tally.product(product);
            let as_of = found.as_of;
            ProductStatistics::Ready(Box::new(ReadyProduct {
                state: ReadyState::Ready,
                as_of,
                purchases,
                weeks,
                repurchase,
            }))
        }
        Err(pending) => ProductStatistics::Pending(pending),
    })
}

impl Statistics {
    fn lock(&self) -> MutexGuard<'_, Passes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of the statistics. A pass is started if none runs and the table is small.
async fn current(console: &Console) -> Result<Result<Arc<Found>, Pending>, Problem> {
    let now = console.clock.now();
    let since = |at: Timestamp| now.as_millis() - at.as_millis();
    let (found, may_start) = {
        let passes = console.kept().statistics.lock();
        if let Some(found) = &passes.found
            && (since(found.as_of) < FRESH_MS || passes.running.is_some())
        {
            return Ok(Ok(found.clone()));
        }
        if let Some(Running { progress, of }) = &passes.running {
            let done = progress.purchases();
            return Ok(Err(Pending::Reading { done, total: (*of).max(done) }));
        }
        let failed = passes.failure.as_ref().is_some_and(|(at, _)| since(*at) < AFTER_FAILURE_MS);
        (passes.found.clone(), !failed && !passes.too_large)
    };
    let purchases = console.purchases()?;
    let size = purchases.size().await?;
    let small = found.as_ref().map_or_else(|| units(size), |found| found.read_units) <= SMALL_UNITS;
    if small && may_start {
        start(console, purchases, size, Some(SMALL_UNITS));
    }
    Ok(match found {
        Some(found) => Ok(found),
        None if small && may_start => Err(Pending::Reading { done: 0, total: size.items }),
        None => Err(ask(console, size)),
    })
}

fn ask(console: &Console, size: TableSize) -> Pending {
    let passes = console.kept().statistics.lock();
    // The description is some hours old.
    let read_units = if passes.too_large { units(size).max(SMALL_UNITS) } else { units(size) }.round();
    let usd = if console.place.kind == PlaceKind::Aws { on_demand_usd(read_units, 0.0) } else { 0.0 };
    let failure = passes.failure.as_ref().map(|(_, failure)| failure.clone());
    Pending::Ask { items: size.items, bytes: size.bytes, read_units, usd, failure }
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn units(size: TableSize) -> f64 {
    size.bytes as f64 / UNIT_BYTES
}

fn start(console: &Console, purchases: PurchasesTable, size: TableSize, most_units: Option<f64>) {
    let progress = Arc::new(Progress::default());
    {
        let mut passes = console.kept().statistics.lock();
        // Another request was faster.
        if passes.running.is_some() {
            return;
        }
        passes.running = Some(Running { progress: progress.clone(), of: size.items });
    }
    let as_of = console.clock.now();
    let limiter = Limiter::new((console.place.kind == PlaceKind::Aws).then_some(UNITS_PER_SECOND));
    let console = console.clone();
    tokio::spawn(async move {
        let counted = count(&purchases, &limiter, &progress, most_units).await;
        let mut passes = console.kept().statistics.lock();
        passes.running = None;
        match counted {
            Ok(counted) => {
                passes.found = Some(Arc::new(Found { as_of, counted, read_units: progress.read_units() }));
                (passes.failure, passes.too_large) = (None, false);
            }
            Err(Cut::TooLarge) => passes.too_large = true,
            Err(Cut::Failed(error)) => passes.failure = Some((console.clock.now(), failure(&error))),
        }
    });
}

/// The cause goes to the log.
fn failure(error: &TableError) -> String {
    tracing::error!(%error, "the purchases cannot be counted");
    let reason =
        if error.is_transient() { "DynamoDB did not answer in time" } else { "DynamoDB refused a read" };
    format!("the purchases could not be read to their end: {reason}")
}
