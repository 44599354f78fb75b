//! What a restore is submitted with.

use nextbasket_items::table::check_name;
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::kind::{self, check_range, check_rate, check_tolerated};
use nextbasket_job_engine::{Rates, Refusal, StagePlan, Trust};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde_json::Value;

use crate::format::Format;
use crate::settings::check_location;

/// How many files are read at a time, if it is not said: each has four calls of 25 items under way.
const WIDTH: u32 = 2;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreTask {
    /// A dump's or an export's folder, a location that holds some (see [`place`](crate::source::place)), or a file or
    /// folder of CSV or JSON Lines.
    pub(crate) from: Location,
    pub(crate) table: String,
    /// Make the table as the dump's was. It must not be there.
    #[serde(default)]
    pub(crate) create: bool,
    /// Only the table, without items.
    #[serde(default)]
    pub(crate) schema_only: bool,
    /// What to do with an item that is there already: `overwrite`, `skip`, `fail` or `{"ifNewer": "ATTRIBUTE"}`.
    #[serde(default)]
    pub(crate) on_conflict: OnConflict,
    /// Of plain files, if their names do not tell it.
    pub(crate) format: Option<Format>,
    /// How many files are read at a time.
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Write units per second, all workers together.
    #[serde(alias = "wcu")]
    write_units: Option<f64>,
    /// How many files may fail for good, in percent.
    #[serde(default)]
    tolerated: f64,
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

impl RestoreTask {
    pub(crate) fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let task: Self = kind::parameters(value)?;
        check_location("from", &task.from, trust)?;
        check_name("table", &task.table)?;
        check_range("width", task.width, 1, 10_000)?;
        check_rate("writeUnits", task.write_units)?;
        check_tolerated(task.tolerated)?;
        if task.schema_only && !task.create {
            let problem = "only accepted with create: a table that exists keeps its schema";
            return Err(Refusal::parameter("schemaOnly", problem));
        }
        if let OnConflict::IfNewer(attribute) = &task.on_conflict
            && attribute.is_empty()
        {
            return Err(Refusal::parameter("onConflict.ifNewer", "must name an attribute"));
        }
        Ok(task)
    }

    pub(crate) fn rates(&self) -> Rates {
        Rates { read: None, write: self.write_units }
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        let width = self.width.unwrap_or(WIDTH);
        StagePlan { width, rates: self.rates(), tolerated: self.tolerated, ..stage }
    }
}
