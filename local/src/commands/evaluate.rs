//! `evaluate`: how well the next purchases are predicted, by the product and by what it has to beat.

mod html;
mod plots;
mod stored_purchases;
mod text;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use clap::Args;
use nextbasket_domain::{HISTORY_BASKETS, Purchase, Timestamp};
use nextbasket_jobs_train::NoPurchases;
use nextbasket_objects::AtomicFile;
use nextbasket_recommender::evaluate::{ComparisonOptions, ComparisonReport, HoldOut, compare_methods};
use nextbasket_recommender::{DatasetBuilder, Params};
use serde_json::{Value, json};

use super::import::purchase_files::{self, ReadingOptions};
use super::train::read_params;
use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::stdio::{errln, print_result};
use crate::target::TargetOptions;

const EXAMPLES: &str = "Examples:\n  \
    nextbasket evaluate --data shop\n  \
    nextbasket evaluate --data shop --since 2026-10-01 --html report.html\n  \
    nextbasket evaluate orders.csv --map user_id=CustomerID,product_id=StockCode,timestamp=Date --json\n\n\
    The measures: recall, the share of the bought products that are in the list; nDCG, which counts a hit the more the \
    higher it stands; hit rate, the share of the lists with a hit; repeat and explore, recall of products that the user \
    had bought before or had not; new, in bits, how rare the buyers of a listed product are; bought before, the share of \
    the list that the user knows; products, how many different ones all lists hold. In brackets the 95 % interval, from \
    ten users on.\n\n\
    The ranker and the weight of carts are learned from the purchases that are not hidden. A ranker that is \
    not better than the hand formula is left out, and the report says so.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Evaluate {
    /// Measure on the purchases of these files, of any form that an import reads, in place of those of the data folder or
    /// the tables; quoted patterns such as 'orders/*.csv', and - for standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub target: TargetOptions,
    /// Hide all purchases from this date on, such as 2026-10-01, and predict each user's first of them [default: hide
    /// and predict each user's newest purchase]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub since: Option<Timestamp>,
    /// Predict for about N users of each group at most; all others are counted
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// The seed of what is drawn at random: users, hidden products of carts, samples for the intervals
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// A JSON file of the model's parameters that differ from the defaults
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// The number of threads [default: one for each core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZero<usize>>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the report with plots to this file, a page that needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingOptions,
}

/// The report, and where its purchases are from.
struct Evaluated {
    source: String,
    report: ComparisonReport,
}

/// A day in UTC, or a point in time.
fn date(text: &str) -> Result<Timestamp, String> {
    let day = Timestamp::parse(&format!("{text}T00:00:00Z"));
    day.or_else(|_| Timestamp::parse(text))
        .map_err(|_| "expected a date, such as 2026-10-01 or 2026-10-01T06:00:00Z".to_owned())
}

pub(crate) async fn run(options: &Evaluate) -> Result<(), Failure> {
    let params = match &options.params {
        Some(path) => serde_json::from_value(read_params(path)?).map_err(Failure::other)?,
        None => Params::default(),
    };
    let comparison = ComparisonOptions {
        hold_out: match options.since {
            Some(since) => HoldOut::Since { time_ms: since.as_millis() },
            None => HoldOut::NewestBasket,
        },
        max_users: options.users,
        history_baskets: HISTORY_BASKETS,
        seed: options.seed,
        threads: options.threads.or(available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN),
        params,
    };
    let read = if options.files.is_empty() {
        let target = options.target.open(IfMissing::Fail).await?;
        let read = stored_purchases::read(&target).await;
        target.close(read).await?
    } else {
        of_files(options).await?
    };
    let PurchasesRead { source, builder, categories } = read;
    let compare = move || {
        let data = builder.build().map_err(Failure::other)?;
        if data.basket_count() == 0 {
            return Err(Failure::from(NoPurchases));
        }
        let of = |product: &str| categories.get(product).cloned().unwrap_or_default();
        compare_methods(data, &comparison, &of).map_err(Failure::other)
    };
    let report = tokio::task::spawn_blocking(compare).await.map_err(Failure::other)??;
    let evaluated = Evaluated { source, report };
    if let Some(path) = &options.html {
        AtomicFile::write_all_of(path, html::page(&evaluated).as_bytes()).map_err(Failure::of_file(path))?;
        errln!("The report with plots is in {}.", path.display());
    }
    print_result(options.json, &evaluated.json(), || text::report(&evaluated));
    Ok(())
}

/// What a comparison is made of.
struct PurchasesRead {
    /// Where they are from, for people.
    source: String,
    builder: DatasetBuilder,
    /// The categories of products that have some.
    categories: BTreeMap<String, Vec<String>>,
}

fn push(builder: &mut DatasetBuilder, purchase: &Purchase) -> Result<(), Failure> {
    let products = purchase.lines.iter().map(|line| line.product_id.as_str());
    let (user, id) = (purchase.user_id.as_str(), purchase.purchase_id.as_str());
    builder.push(user, id, purchase.purchased_at.as_millis(), products).map_err(Failure::other)
}

async fn of_files(options: &Evaluate) -> Result<PurchasesRead, Failure> {
    let builder = Arc::new(Mutex::new(DatasetBuilder::new()));
    let into = Arc::clone(&builder);
    let take =
        move |purchase: &Purchase| push(&mut into.lock().unwrap_or_else(PoisonError::into_inner), purchase);
    let read = purchase_files::read(&options.files, &options.reading, take).await?;
    if read.refused > 0 {
        errln!(
            "{} of {} lines of {} are no valid purchases and were skipped; `nextbasket import --dry-run` lists them.",
            read.refused,
            read.records,
            read.name
        );
    }
    let builder = std::mem::take(&mut *builder.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(PurchasesRead { source: read.name, builder, categories: BTreeMap::new() })
}

impl Evaluated {
    fn json(&self) -> Value {
        let ComparisonReport { purchases, hold_out, seed, learned, returning_users, new_users, carts } =
            &self.report;
        json!({
            "source": self.source,
            "purchases": {
                "users": purchases.users,
                "purchases": purchases.purchases,
                "lines": purchases.lines,
                "products": purchases.products,
                "oldest": time(purchases.oldest_ms),
                "newest": time(purchases.newest_ms),
            },
            "hidden": match hold_out {
                HoldOut::NewestBasket => json!({ "by": "newestPurchase" }),
                HoldOut::Since { time_ms } => json!({ "by": "since", "since": time(Some(*time_ms)) }),
            },
            "seed": seed,
            "learned": learned,
            "returningUsers": returning_users,
            "newUsers": new_users,
            "carts": carts,
        })
    }

    /// What was read, hidden and learned, in sentences.
    fn summary(&self) -> String {
        let ComparisonReport { purchases, hold_out, seed, learned, .. } = &self.report;
        let day = |ms| time(ms).map(|time| time.to_string().chars().take(10).collect::<String>());
        let (oldest, newest) = (day(purchases.oldest_ms), day(purchases.newest_ms));
        let hidden = match hold_out {
            HoldOut::NewestBasket => "the newest purchase of each user".to_owned(),
            HoldOut::Since { time_ms } => format!(
                "all purchases since {}, of which the first of each user is to be predicted",
                day(Some(*time_ms)).unwrap_or_default()
            ),
        };
        format!(
            "{}: {} purchases of {} users, {} products, {} to {}. Hidden: {hidden}. Seed {seed}. {} What goes with a cart \
             weighs {}, by {} products that were hidden of baskets.",
            self.source,
            purchases.purchases,
            purchases.users,
            purchases.products,
            oldest.unwrap_or_default(),
            newest.unwrap_or_default(),
            learned.reason,
            learned.cart_weight,
            learned.hidden_cart_products
        )
    }
}

fn time(ms: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millis(ms?).ok()
}
