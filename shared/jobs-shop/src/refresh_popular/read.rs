//! Stage `read`: the purchases of a segment to objects that say what was bought when, and not by whom.
//!
//! A segment holds all purchases of a user, one after the other, so it is enough to say which are of the same one.

use std::collections::HashMap;

use nextbasket_domain::{Purchase, Timestamp, UserId};
use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_tables::Tables;
use nextbasket_tables::segment::{Segment, SegmentPosition};
use serde::{Deserialize, Serialize};

use crate::{refuse, unnamed};

/// How the names of the objects begin.
const BASKETS: &str = "baskets-";

/// Objects of one attempt: `{base}{number}`, from the first to before the last. An attempt writes under names of its
/// own, so that one that has lost its claim cannot spoil another's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectRun {
    base: String,
    from: u32,
    to: u32,
}

impl ObjectRun {
    pub(super) fn keys(&self) -> impl Iterator<Item = String> + '_ {
        (self.from..self.to).map(|number| format!("{}{number:08}", self.base))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentPurchases {
    pub newest: Option<Timestamp>,
    pub purchases: u64,
    /// The number of damaged purchases, which were skipped.
    #[serde(default)]
    pub damaged: u64,
    pub runs: Vec<ObjectRun>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    after: SegmentPosition,
    bought: SegmentPurchases,
    /// Whose purchase was read last; the position has it, too, but in a form of its own.
    last: Option<UserId>,
}

/// A page of purchases: the products' ids once, and the baskets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct BasketPage {
    pub products: Vec<String>,
    pub baskets: Vec<DatedBasket>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DatedBasket {
    /// In milliseconds since 1970.
    pub time: i64,
    /// The numbers of the products.
    pub products: Vec<u32>,
    /// Whether the basket before, of this page or the one before it, is of the same shopper.
    pub same_shopper: bool,
}

impl BasketPage {
    /// `before`: the shopper of the purchase before the first one.
    fn of<'a>(purchases: &'a [Purchase], mut before: Option<&'a UserId>) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut page = Self::default();
        for purchase in purchases {
            let mut basket = Vec::with_capacity(purchase.lines.len());
            for line in &purchase.lines {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let number = *numbers.entry(line.product_id.as_str()).or_insert_with(|| {
                    page.products.push(line.product_id.to_string());
                    next
                });
                basket.push(number);
            }
            // A product counts once a basket, however many lines have it.
            basket.sort_unstable();
            basket.dedup();
            page.baskets.push(DatedBasket {
                time: purchase.purchased_at.as_millis(),
                products: basket,
                same_shopper: before == Some(&purchase.user_id),
            });
            before = Some(&purchase.user_id);
        }
        page
    }
}

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    let table = tables.purchases().map_err(unnamed)?;
    let segment: Segment = work.input()?;
    let (mut after, mut bought, mut last) = match work.checkpoint::<Checkpoint>()? {
        Some(Checkpoint { after, bought, last }) => (Some(after), bought, last),
        None => (None, SegmentPurchases::default(), None),
    };
    let base = work.own_object(BASKETS);
    loop {
        let place = after.as_ref();
        let page = work.call(Consumes::Reads, || table.purchases_in(segment, place)).await?;
        let count = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
        if count > 0 {
            let newest = page.items.iter().map(|purchase| purchase.purchased_at).max();
            bought.newest = bought.newest.max(newest);
            bought.purchases += count;
            let number = next_of(&mut bought.runs, &base);
            let content = serde_json::to_vec(&BasketPage::of(&page.items, last.as_ref()))?;
            work.site().objects.put(&format!("{base}{number:08}"), content).await?;
        }
        last = page.items.last().map(|purchase| purchase.user_id.clone()).or(last);
        refuse(work, &page.damaged);
        let skipped = u64::try_from(page.damaged.len()).unwrap_or(u64::MAX);
        bought.damaged += skipped;
        work.progress.processed += count + skipped;
        work.progress.matched += count;
        let Some(end) = page.end else { return Ok(Outcome::done(&bought)?) };
        let checkpoint = Checkpoint { after: end, bought, last };
        if work.save(&checkpoint).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
        (after, bought, last) = (Some(checkpoint.after), checkpoint.bought, checkpoint.last);
    }
}

/// Adds an object of this attempt and gives its number.
fn next_of(runs: &mut Vec<ObjectRun>, base: &str) -> u32 {
    match runs.last_mut() {
        Some(run) if run.base == base => {
            run.to += 1;
            run.to - 1
        }
        _ => {
            runs.push(ObjectRun { base: base.to_owned(), from: 0, to: 1 });
            0
        }
    }
}
