//! One pass over the purchases table.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use nextbasket_domain::Purchase;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_tables::TableError;
use nextbasket_tables::capacity::metered;
use nextbasket_tables::purchases::PurchasesTable;
use nextbasket_tables::segment::{Segment, SegmentPage, SegmentPosition};

use super::tally::{Tally, UserLines};

/// How many segments are read at the same time.
const SEGMENTS: u32 = 4;

/// How many times a page is asked for, and the first pause between two.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// How far a pass has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    purchases: AtomicU64,
    /// In thousandths.
    read_units: AtomicU64,
}

impl Progress {
    pub(super) fn purchases(&self) -> u64 {
        self.purchases.load(Ordering::Relaxed)
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of read units")]
    pub(super) fn read_units(&self) -> f64 {
        self.read_units.load(Ordering::Relaxed) as f64 / 1e3
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "read units are not negative")]
    fn add(&self, purchases: usize, read_units: f64) {
        self.purchases.fetch_add(purchases as u64, Ordering::Relaxed);
        self.read_units.fetch_add((read_units * 1e3).round() as u64, Ordering::Relaxed);
    }
}

/// Why a pass ended early.
#[derive(Debug)]
pub(super) enum Cut {
    /// It takes more read units than it may.
    TooLarge,
    Failed(TableError),
}

/// What a pass has found.
#[derive(Debug)]
pub(super) struct Counted {
    pub tally: Tally,
    /// The number of items that are no purchases.
    pub damaged: u64,
}

/// Reads all purchases, at the limiter's pace. With `most_units` it ends when it has taken more.
pub(super) async fn count(
    purchases: &PurchasesTable,
    limiter: &Limiter,
    progress: &Progress,
    most_units: Option<f64>,
) -> Result<Counted, Cut> {
    let counted = Mutex::new(Counted { tally: Tally::default(), damaged: 0 });
    let segments = (0..SEGMENTS).map(|number| {
        let counted = &counted;
        async move {
            let segment = Segment { number, of: SEGMENTS };
            let (mut after, mut of_user) = (None, UserLines::default());
            loop {
                let page = page(purchases, segment, after.as_ref(), limiter, progress).await?;
                if most_units.is_some_and(|most| progress.read_units() > most) {
                    return Err(Cut::TooLarge);
                }
                {
                    let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                    for purchase in &page.items {
                        counted.tally.add(purchase, &mut of_user);
                    }
                    counted.damaged += page.damaged.len() as u64;
                    if page.end.is_none() {
                        counted.tally.end_user(&mut of_user);
                    }
                }
                after = page.end;
                if after.is_none() {
                    return Ok(());
                }
                // A page is a megabyte to parse: others are served between two.
                tokio::task::yield_now().await;
            }
        }
    });
    try_join_all(segments).await?;
    Ok(counted.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn page(
    purchases: &PurchasesTable,
    segment: Segment,
    after: Option<&SegmentPosition>,
    limiter: &Limiter,
    progress: &Progress,
) -> Result<SegmentPage<Purchase>, Cut> {
    let mut attempt = 1;
    loop {
        let permit = limiter.ready().await;
        let (page, units) = metered(purchases.purchases_in(segment, after)).await;
        permit.spent(units.read);
        match page {
            Ok(page) => {
                progress.add(page.items.len() + page.damaged.len(), units.read);
                return Ok(page);
            }
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
                attempt += 1;
            }
            Err(error) => return Err(Cut::Failed(error)),
        }
    }
}
