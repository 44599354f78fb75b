//! The parameters of an import.

use nextbasket_domain::{Currency, Timestamp};
use nextbasket_importer::{ImportOptions, Mapping, Pattern, RecordKind, TimeFormat};
use nextbasket_job_engine::Refusal;
use nextbasket_job_engine::kind::check_range;
use nextbasket_objects::Location;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportParameters {
    /// The file, or the folder or prefix of the files.
    pub(crate) source: Location,
    #[serde(default)]
    pub(crate) kind: RecordKind,
    /// Which of their columns are ours: `user_id=CustomerID,product_id=StockCode`.
    map: Option<String>,
    /// Of prices that name none.
    currency: Option<String>,
    /// A pattern as `strftime` has them.
    time_format: Option<String>,
    #[serde(default)]
    skip_products: Vec<String>,
    /// Records of a batch of `write`.
    batch_items: Option<u32>,
    /// The number of bytes of a file that are read between two checkpoints.
    read_bytes: Option<u32>,
    #[serde(default)]
    pub(crate) histories: bool,
}

/// Of prices that name no currency, if the job does not say.
const CURRENCY: &str = "EUR";
/// Records of a batch if the job does not say: enough batches for all workers, and no more than is well done in a
/// minute or so.
const FEWEST: usize = 200;
const MOST: usize = 5_000;
/// Bytes between two checkpoints by default: about a second of reading, and three times as many bytes of memory.
const READ_BYTES: u32 = 16 << 20;

impl ImportParameters {
    /// Refuses what no file can be read with.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        check_range("batchItems", self.batch_items, 1, 100_000)?;
        check_range("readBytes", self.read_bytes, 4_096, 64 << 20)?;
        self.options(Timestamp::EPOCH).map(drop)
    }

    /// How the files are to be read, at this time.
    pub(crate) fn options(&self, now: Timestamp) -> Result<ImportOptions, Refusal> {
        let wrong = |field: &'static str| {
            move |error: &dyn std::fmt::Display| Refusal::parameter(field, error.to_string())
        };
        let currency = self.currency.as_deref().unwrap_or(CURRENCY);
        let currency = Currency::parse(currency).map_err(|error| wrong("currency")(&error))?;
        let mut options = ImportOptions::new(now, currency);
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

    /// The number of bytes that are read between two checkpoints.
    pub(crate) fn read_bytes(&self) -> usize {
        usize::try_from(self.read_bytes.unwrap_or(READ_BYTES)).unwrap_or(usize::MAX)
    }

    /// The number of bytes that are gathered at a time. It is smaller, since all workers gather at once and the
    /// result is larger.
    pub(crate) fn group_bytes(&self) -> u64 {
        u64::from(self.read_bytes.unwrap_or(READ_BYTES) / 4)
    }

    /// The number of records in a chunk, if `records` are to be divided into this many chunks.
    pub(crate) fn batch_items(&self, records: usize, chunks: usize) -> usize {
        let even = records.div_ceil(chunks.max(1)).clamp(FEWEST, MOST);
        self.batch_items.map_or(even, |items| usize::try_from(items).unwrap_or(MOST))
    }
}
