//! What a restore is submitted with.

use std::collections::BTreeMap;

use nextbasket_items::expression::{Change, Condition};
use nextbasket_items::key::KeySchema;
use nextbasket_items::table::check_name;
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::kind::{self, check_range, check_rate, check_tolerated};
use nextbasket_job_engine::{Rates, Refusal, StagePlan, Trust};
use nextbasket_objects::Location;
use serde::Deserialize;
use serde_json::Value;

use crate::csv::ColumnType;
use crate::format::SourceFormat;
use crate::restore::schema;
use crate::settings::check_location;

/// How many files are read at a time, if it is not said: each has four calls of 25 items under way.
const WIDTH: u32 = 2;

/// Writes items of a dump, of an export of AWS, or of files of other tools into a table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoreTask {
    /// The folder or prefix of a dump or an export, one that holds some, a file or folder of CSV or JSON, or a folder of
    /// dynamodump.
    pub(crate) from: Location,
    /// The table that is written.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    pub(crate) table: String,
    /// Whether the table is created, as that of the dump was; it must not exist yet.
    #[serde(default)]
    pub(crate) create: bool,
    /// Whether only the table is created, without items.
    #[serde(default)]
    pub(crate) schema_only: bool,
    /// What happens to an item that is there already.
    #[serde(default)]
    pub(crate) on_conflict: OnConflict,
    /// The format of plain files, if neither their names nor their contents tell it.
    pub(crate) format: Option<SourceFormat>,
    /// The key of the table, such as `pk:S` and `sk:N`, if the source does not tell it.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 2)))]
    keys: Option<Vec<String>>,
    /// The types of columns of CSV whose header has none, by name.
    #[serde(default)]
    pub(crate) types: BTreeMap<String, ColumnType>,
    /// What is changed in each item on the way.
    pub(crate) set: Option<Change>,
    /// Which items, as they are in the source.
    pub(crate) r#where: Option<Condition>,
    /// How many files are read at a time; 2 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Write units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "wcu")]
    write_units: Option<f64>,
    /// How many files may fail for good, in percent.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100), extend("x-unit" = "percent")))]
    #[serde(default)]
    tolerated: f64,
    /// Only estimate: nothing is written.
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
        task.keys()?;
        if let OnConflict::IfNewer(attribute) = &task.on_conflict
            && attribute.is_empty()
        {
            return Err(Refusal::parameter("onConflict.ifNewer", "must name an attribute"));
        }
        Ok(task)
    }

    /// The table's key, if it was given.
    pub(crate) fn keys(&self) -> Result<Option<KeySchema>, Refusal> {
        let keys = self.keys.as_ref().map(|keys| schema::keys(keys, &self.types)).transpose();
        keys.map_err(|problem| Refusal::parameter("keys", problem))
    }

    /// Whether items are looked at before they are written.
    pub(crate) fn looks_at_items(&self) -> bool {
        self.set.is_some() || self.r#where.is_some()
    }

    pub(crate) fn rates(&self) -> Rates {
        Rates { read: None, write: self.write_units }
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        let width = self.width.unwrap_or(WIDTH);
        StagePlan { width, rates: self.rates(), tolerated: self.tolerated, ..stage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (field, value, problem) in [
            (
                "set",
                json!("a ="),
                "parameters.set: at character 4: expected an attribute's name, found the end",
            ),
            ("where", json!("a"), "parameters.where: at character 2: "),
            (
                "keys",
                json!([]),
                "parameters.keys: must name the partition key and, if there is one, the sort key",
            ),
            ("keys", json!(["a", "b", "c"]), "parameters.keys: must name the partition key and"),
            ("keys", json!(["a:M"]), "parameters.keys: \"a:M\" has type M: a key is of type S, N or B"),
            ("keys", json!(["a:X"]), "parameters.keys: \"a:X\" has no type: write name:S, name:N or name:B"),
            ("keys", json!(["a", "a:N"]), "parameters.keys: \"a\" appears twice"),
            ("types", json!({ "a": "X" }), "parameters.types"),
            (
                "format",
                json!("xml"),
                "parameters.format: unknown variant `xml`, expected one of `dynamodb-json`",
            ),
        ] {
            let mut parameters = json!({ "from": "s3://bucket/from", "table": "abc" });
            parameters[field] = value;
            let refused = RestoreTask::parse(&parameters, Trust::Open).unwrap_err().to_string();
            assert!(refused.starts_with(problem), "{refused}");
        }
    }
}
