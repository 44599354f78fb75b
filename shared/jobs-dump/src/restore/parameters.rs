//! What a restore is submitted with.

use nextbasket_items::table::check_name;
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::{Rates, Refusal, StagePlan, kind};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde_json::Value;

use crate::common::{Trust, check_place, check_range, check_rate};
use crate::format::Format;

/// How many files are read at a time, if it is not said: each has four calls of 25 items under way.
const WIDTH: u32 = 2;

/// What a restore is submitted with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// A dump's or an export's folder, a place that holds some (the newest complete one is meant), or a file or folder
    /// of CSV or JSON Lines.
    from: Location,
    /// The table that is written.
    table: String,
    /// Make the table as the dump's was, if it is not there.
    #[serde(default)]
    create: bool,
    /// What to do with an item that is there already: `overwrite`, `skip`, `fail` or `{"ifNewer": "ATTRIBUTE"}`.
    #[serde(default)]
    on_conflict: OnConflict,
    /// Of plain files, if their names do not tell it.
    format: Option<Format>,
    /// How many files are read at a time.
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Write units per second, all workers together.
    #[serde(alias = "wcu")]
    write_units: Option<f64>,
    /// How many files may fail for good, in percent.
    #[serde(default)]
    tolerated: f64,
    /// Only say what would be done.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

/// A restore as it is to be done.
#[derive(Debug, Clone)]
pub struct Task {
    pub(crate) from: Location,
    pub(crate) table: String,
    pub(crate) create: bool,
    pub(crate) on_conflict: OnConflict,
    pub(crate) format: Option<Format>,
    pub(crate) rates: Rates,
    width: u32,
    tolerated: f64,
}

impl Task {
    pub(crate) fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let parameters: Parameters = kind::parameters(value)?;
        check_place("from", &parameters.from, trust)?;
        check_name("table", &parameters.table)?;
        check_range("width", parameters.width.map(u64::from), 1, 10_000)?;
        check_rate("writeUnits", parameters.write_units)?;
        if !(0.0..=100.0).contains(&parameters.tolerated) {
            return Err(Refusal::parameter("tolerated", "must be from 0 to 100 percent"));
        }
        if let OnConflict::IfNewer { attribute } = &parameters.on_conflict
            && attribute.is_empty()
        {
            return Err(Refusal::parameter("onConflict.ifNewer", "must name an attribute"));
        }
        Ok(Self {
            from: parameters.from,
            table: parameters.table,
            create: parameters.create,
            on_conflict: parameters.on_conflict,
            format: parameters.format,
            rates: Rates { read: None, write: parameters.write_units },
            width: parameters.width.unwrap_or(WIDTH),
            tolerated: parameters.tolerated,
        })
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        StagePlan { width: self.width, rates: self.rates, tolerated: self.tolerated, ..stage }
    }
}
