//! What the parameters of several kinds have in common.

use nextbasket_items::expression::Condition;
use nextbasket_job_engine::kind::{check_range, check_rate};
use nextbasket_job_engine::{Rates, Refusal, StagePlan, Trust};
use nextbasket_objects::Location;

/// How many batches are worked on at a time, if it is not said.
const WIDTH: u32 = 8;

/// How a job reads tables, and how wide and fast its stages are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScanSettings {
    pub segments: Option<u32>,
    pub batch_size: Option<u32>,
    pub width: Option<u32>,
    pub rates: Rates,
    pub consistent_read: bool,
}

impl ScanSettings {
    pub(crate) fn checked(self) -> Result<Self, Refusal> {
        check_range("segments", self.segments, 1, 10_000)?;
        check_range("batchSize", self.batch_size, 1, 1_000_000)?;
        check_range("width", self.width, 1, 10_000)?;
        check_rate("readUnits", self.rates.read)?;
        check_rate("writeUnits", self.rates.write)?;
        Ok(self)
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        StagePlan { width: self.width.unwrap_or(WIDTH), rates: self.rates, ..stage }
    }

    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn scan_units(&self, bytes: u64) -> f64 {
        bytes as f64 / if self.consistent_read { 4096.0 } else { 8192.0 }
    }
}

/// Declares the parameters of a kind that only reads: fields of its own, and those of [`ScanSettings`].
macro_rules! scan_parameters {
    ($(#[$attribute:meta])* struct $name:ident { $($own:tt)* }) => {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        $(#[$attribute])*
        pub(crate) struct $name {
            $($own)*
            /// Into how many segments a table is split; by default a number that fits its size.
            #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
            segments: Option<u32>,
            /// How many items a page has at most.
            #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
            batch_size: Option<u32>,
            /// How many batches are worked on at a time; 8 by default.
            #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
            #[serde(alias = "workers")]
            width: Option<u32>,
            /// Read units per second, all workers together; by default as fast as it goes.
            #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
            #[serde(alias = "rcu")]
            read_units: Option<f64>,
            /// Whether tables are read strongly consistent, at twice the price.
            #[serde(default)]
            consistent_read: bool,
            /// Only estimate: nothing is written.
            #[serde(default)]
            #[expect(dead_code, reason = "the engine looks at it")]
            dry_run: bool,
        }

        impl $name {
            fn scan(&self) -> crate::settings::ScanSettings {
                crate::settings::ScanSettings {
                    segments: self.segments,
                    batch_size: self.batch_size,
                    width: self.width,
                    rates: nextbasket_job_engine::Rates { read: self.read_units, write: None },
                    consistent_read: self.consistent_read,
                }
            }
        }
    };
}
pub(crate) use scan_parameters;

/// Refuses a folder of this machine where those may not be used, and one that another process would not find.
pub(crate) fn check_location(field: &str, location: &Location, trust: Trust) -> Result<(), Refusal> {
    if location.is_local() && trust == Trust::Open {
        let problem =
            "is for jobs that are submitted and worked on at the machine itself: write s3://BUCKET/PREFIX";
        return Err(Refusal::parameter(field, problem));
    }
    if !location.is_absolute() {
        return Err(Refusal::parameter(field, "must be an absolute path or s3://BUCKET/PREFIX"));
    }
    Ok(())
}

pub(crate) fn condition(field: &str, text: Option<&String>) -> Result<Option<Condition>, Refusal> {
    let parse = |text: &String| Condition::parse(text);
    text.map(parse).transpose().map_err(|error| Refusal::parameter(field, error.to_string()))
}

/// The name of the lock that jobs hold that change a table.
pub(crate) fn table_lock(table: &str) -> String {
    format!("table/{table}")
}
