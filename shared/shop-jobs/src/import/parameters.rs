//! What an import is told.

use nextbasket_batch::Refusal;
use nextbasket_domain::{Currency, Timestamp};
use nextbasket_importer::{Mapping, Options, Pattern, TimeFormat};
use nextbasket_job_io::files::Location;
use serde::{Deserialize, Serialize};

/// What the files hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Holds {
    /// Lines of purchases, or whole purchases.
    #[default]
    Purchases,
    /// A catalogue.
    Products,
}

/// An import's own parameters.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// The file, or the folder or prefix of the files.
    pub(crate) source: Location,
    /// What the files hold.
    #[serde(default)]
    pub(crate) kind: Holds,
    /// Which of their columns are ours: `user_id=CustomerID,product_id=StockCode`.
    map: Option<String>,
    /// Of prices that name none.
    currency: Option<String>,
    /// A pattern as `strftime` has them.
    time_format: Option<String>,
    /// Patterns of product ids that are no products.
    #[serde(default)]
    skip_products: Vec<String>,
    /// Records of a batch of `write`.
    batch_items: Option<u32>,
    /// Whether the job brings the histories in line itself.
    #[serde(default)]
    pub(crate) histories: bool,
}

/// Of prices that name no currency, if the job does not say.
const CURRENCY: &str = "EUR";
/// Records of a batch if the job does not say: enough batches for all workers, and no more than is well done in a
/// minute or so.
const FEWEST: usize = 200;
const MOST: usize = 5_000;

impl Parameters {
    /// Refuses what no file can be read with.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.batch_items.is_some_and(|items| !(1..=100_000).contains(&items)) {
            return Err(Refusal::parameter("batchItems", "must be from 1 to 100000"));
        }
        self.options(Timestamp::EPOCH).map(drop)
    }

    /// How the files are to be read, at this time.
    pub(crate) fn options(&self, now: Timestamp) -> Result<Options, Refusal> {
        let wrong = |field: &'static str| {
            move |error: &dyn std::fmt::Display| Refusal::parameter(field, error.to_string())
        };
        let currency = self.currency.as_deref().unwrap_or(CURRENCY);
        let currency = Currency::parse(currency).map_err(|error| wrong("currency")(&error))?;
        let mut options = Options::new(now, currency);
        if let Some(map) = &self.map {
            options.mapping = map.parse::<Mapping>().map_err(|error| wrong("map")(&error))?;
        }
        if let Some(pattern) = &self.time_format {
            options.time_format =
                pattern.parse::<TimeFormat>().map_err(|error| wrong("timeFormat")(&error))?;
        }
        options.skip_products = self.skip_products.iter().map(|pattern| Pattern::new(pattern)).collect();
        Ok(options)
    }

    /// How many of so many records make a batch for this width.
    pub(crate) fn batch_items(&self, records: usize, width: u32) -> usize {
        let rounds = usize::try_from(width).unwrap_or(usize::MAX).saturating_mul(4).max(1);
        let even = records.div_ceil(rounds).clamp(FEWEST, MOST);
        self.batch_items.map_or(even, |items| usize::try_from(items).unwrap_or(MOST))
    }
}
