//! The parameters of an import.

use std::collections::BTreeMap;

use nextbasket_domain::{Currency, Timestamp};
use nextbasket_importer::{
    DateOrder, DecimalSign, EncodingError, ImportOptions, Mapping, Pattern, ProfileChoice, RecordKind,
    TimeFormat, parse_timezone,
};
use nextbasket_job_engine::Refusal;
use nextbasket_job_engine::kind::check_range;
use nextbasket_objects::Location;
use nextbasket_tables::purchases::OnChange;
use serde::Deserialize;

/// Imports files of purchases or products.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{ "required": ["source"] }, { "required": ["sources"] }]))
)]
pub struct ImportParameters {
    /// The file, or the folder or prefix of the files.
    source: Option<Location>,
    /// Several of them, in place of `source`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MAX_SOURCES)))]
    #[serde(default)]
    sources: Vec<Location>,
    /// What the files are lists of.
    #[serde(default)]
    pub(crate) kind: RecordKind,
    /// Which of their columns are ours, such as `user_id=CustomerID,product_id=StockCode`.
    map: Option<String>,
    /// The currency of prices that name none, such as `EUR`; by default that of the recognised export, or EUR.
    currency: Option<String>,
    /// How times are written, as `strftime` has it, such as `%d.%m.%Y %H:%M`.
    time_format: Option<String>,
    /// Products that are skipped; `*` stands for any characters.
    #[serde(default)]
    skip_products: Vec<String>,
    /// How many records are written in a batch.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    batch_items: Option<u32>,
    /// How many bytes of a file are read between two checkpoints; 16 MB by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 4_096, max = MAX_READ_BYTES), extend("x-unit" = "bytes")))]
    read_bytes: Option<u32>,
    /// Whether the job brings the histories up to date itself, where no stream does.
    #[serde(default)]
    pub(crate) histories: bool,
    /// The encoding of the text, if it is not recognised.
    encoding: Option<String>,
    /// The time zone of times that name none, such as `Europe/Berlin`; UTC by default.
    timezone: Option<String>,
    /// The order of dates, if the files do not show it.
    date_order: Option<DateOrder>,
    /// The decimal sign, if the files do not show it.
    decimal: Option<DecimalSign>,
    /// Rows to keep: values by column of the file.
    #[serde(default)]
    only: BTreeMap<String, Vec<String>>,
    /// Rows to skip: values by column of the file.
    #[serde(default)]
    skip: BTreeMap<String, Vec<String>>,
    /// Columns of the file whose blank cells take the value of the row above.
    #[serde(default)]
    fill_down: Vec<String>,
    /// Values of the user column that stand for nobody in particular.
    #[serde(default)]
    guests: Vec<String>,
    /// `auto` (the default), `none`, the name of a known export, or a profile in TOML.
    profile: Option<String>,
    /// What happens to stored purchases that the file has with other content.
    on_change: Option<OnChange>,
    /// Whether the files are only read, and nothing is written into the tables.
    #[serde(default)]
    pub(crate) check: bool,
    /// Whether the files' summaries with what names persons, which the job's result has not, are an output of the job.
    #[serde(default)]
    pub(crate) report: bool,
}

/// More would make the job's record too large.
const MAX_SOURCES: usize = 1_000;
/// Records of a batch if the job does not say: enough batches for all workers, and no more than is well done in a
/// minute or so.
const FEWEST: usize = 200;
const MOST: usize = 5_000;
/// Bytes between two checkpoints by default: about a second of reading, and three times as many bytes of memory.
const READ_BYTES: u32 = 16 << 20;
const MAX_READ_BYTES: u32 = 64 << 20;

impl ImportParameters {
    /// Refuses what no file can be read with.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        check_range("batchItems", self.batch_items, 1, 100_000)?;
        check_range("readBytes", self.read_bytes, 4_096, u64::from(MAX_READ_BYTES))?;
        match (&self.source, self.sources.as_slice()) {
            (None, []) => return Err(Refusal::parameter(".", "missing field `source`")),
            (Some(_), [_, ..]) => {
                return Err(Refusal::parameter("sources", "not accepted together with source"));
            }
            (_, sources) if sources.len() > MAX_SOURCES => {
                let problem = format!("must be at most {MAX_SOURCES}, not {}", sources.len());
                return Err(Refusal::parameter("sources", problem));
            }
            _ => {}
        }
        if self.kind == RecordKind::Products && self.on_change.is_some() {
            let problem = "not accepted for products: a catalogue always replaces what is stored";
            return Err(Refusal::parameter("onChange", problem));
        }
        self.options(Timestamp::EPOCH).map(drop)
    }

    /// How the files are to be read, at this time.
    pub(crate) fn options(&self, now: Timestamp) -> Result<ImportOptions, Refusal> {
        let wrong = |field: &'static str| {
            move |error: &dyn std::fmt::Display| Refusal::parameter(field, error.to_string())
        };
        let mut options = ImportOptions { currency: None, ..ImportOptions::new(now, Currency::EUR) };
        if let Some(currency) = &self.currency {
            options.currency = Some(Currency::parse(currency).map_err(|error| wrong("currency")(&error))?);
        }
        if let Some(encoding) = &self.encoding {
            options.encoding =
                Some(encoding.parse().map_err(|error: EncodingError| wrong("encoding")(&error))?);
        }
        if let Some(zone) = &self.timezone {
            options.timezone = Some(parse_timezone(zone).map_err(|error| wrong("timezone")(&error))?);
        }
        if let Some(profile) = &self.profile {
            options.profile = profile.parse::<ProfileChoice>().map_err(|error| wrong("profile")(&error))?;
        }
        let pairs = |rules: &BTreeMap<String, Vec<String>>| {
            let pairs =
                rules.iter().flat_map(|(column, values)| values.iter().map(move |value| (column, value)));
            pairs.map(|(column, value)| (column.clone(), value.clone())).collect()
        };
        (options.only, options.skip) = (pairs(&self.only), pairs(&self.skip));
        (options.date_order, options.decimal) = (self.date_order, self.decimal);
        options.fill_down.clone_from(&self.fill_down);
        options.guests.clone_from(&self.guests);
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

    /// The files, and folders or prefixes of files, each with the name of its parameter.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&'static str, &Location)> {
        let one = self.source.iter().map(|source| ("source", source));
        one.chain(self.sources.iter().map(|source| ("sources", source)))
    }

    /// What happens to stored purchases that the file has with other content.
    pub(crate) fn on_change(&self) -> OnChange {
        self.on_change.unwrap_or_default()
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
