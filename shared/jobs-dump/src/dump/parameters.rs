//! What a dump is submitted with.

use nextbasket_items::expression::Condition;
use nextbasket_items::table::check_name;
use nextbasket_job_engine::kind::{self, check_range};
use nextbasket_job_engine::{Assign, Rates, Refusal, StagePlan, Trust};
use nextbasket_objects::Location;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::csv::Columns;
use crate::dump::selection;
use crate::format::Format;
use crate::manifest::DumpKind;
use crate::settings::{ScanSettings, check_location, condition};

/// Copies tables to a folder or to S3, with checksums and digests that prove the copy.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("anyOf" = [{ "required": ["table"] }, { "required": ["tables"] }, { "required": ["tag"] }]))
)]
pub(crate) struct DumpParameters {
    /// The table; or several in `tables`, or those with a `tag`.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    table: Option<String>,
    /// Several tables: each has a dump of its own. `*` stands for any characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    tables: Option<Vec<String>>,
    /// Only those of the tables that have this tag; without `table` and `tables`, all that have it.
    tag: Option<TagFilter>,
    /// The folder, or the prefix in S3, below which the dump is written.
    to: Location,
    /// The format of the data files.
    #[serde(default)]
    format: Format,
    /// Which items, if not all: a condition.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "condition")))]
    r#where: Option<String>,
    /// Only the table's settings, without items.
    #[serde(default)]
    schema_only: bool,
    /// For CSV: the columns with their types, such as `id:S`; by default those that the items have.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    columns: Option<Vec<String>>,
    /// Into how many segments a table is split; by default a number that fits its size.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    segments: Option<u32>,
    /// How many items a page has at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    batch_size: Option<u32>,
    /// The size of a data file in bytes: by default 64 MB, in S3 8 MB, which a worker holds in memory.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_FILE_BYTES), extend("x-unit" = "bytes")))]
    file_bytes: Option<u64>,
    /// How many batches are worked on at a time; 8 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Read units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "rcu")]
    read_units: Option<f64>,
    /// Whether the tables are read strongly consistent, at twice the price.
    #[serde(default)]
    consistent_read: bool,
    /// Whether the data files are compressed; those of DynamoDB JSON always are.
    #[serde(default = "yes")]
    gzip: bool,
    /// Which older dumps of the same tables below `to` are kept; all of them by default.
    keep: Option<Keep>,
    /// The order in which batches go out.
    assign: Option<Assign>,
    /// Only estimate: nothing is written.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// Which older dumps are kept. With both `count` and `days`, a dump is removed only if it is beyond both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("anyOf" = [{ "required": ["count"] }, { "required": ["days"] }]))
)]
pub struct Keep {
    /// How many of the newest.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub count: Option<u32>,
    /// Those of how many last days.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000), extend("x-unit" = "days")))]
    pub days: Option<u32>,
    /// Whether older dumps are removed even if the new one has less than half of their items.
    #[serde(default)]
    pub accept_shrunk: bool,
}

/// A tag that tables have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct TagFilter {
    /// The key of the tag.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A data file is not larger.
const MAX_FILE_BYTES: u64 = 1 << 30;

#[derive(Debug, Clone)]
pub struct DumpTask {
    pub(crate) kind: DumpKind,
    /// Names, and patterns of names.
    pub(crate) tables: Vec<String>,
    pub(crate) tag: Option<TagFilter>,
    pub(crate) to: Location,
    pub(crate) format: Format,
    pub(crate) r#where: Option<String>,
    /// `where`, parsed.
    pub(crate) condition: Option<Condition>,
    pub(crate) columns: Option<Columns>,
    pub(crate) scan: ScanSettings,
    pub(crate) file_bytes: Option<u64>,
    pub(crate) gzip: bool,
    pub(crate) keep: Option<Keep>,
    pub(crate) assign: Assign,
}

impl DumpTask {
    pub(crate) fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let parameters: DumpParameters = kind::parameters(value)?;
        let tables = match (&parameters.table, &parameters.tables) {
            (Some(table), None) => vec![table.clone()],
            (None, Some(tables)) if !tables.is_empty() => tables.clone(),
            (None, None) if parameters.tag.is_some() => vec![selection::ALL.to_owned()],
            _ => return Err(Refusal::parameter("table", "required, or tables, but not both")),
        };
        for (n, table) in tables.iter().enumerate() {
            match &parameters.table {
                Some(table) => check_name("table", table)?,
                None => selection::check(table)?,
            }
            if tables.iter().take(n).any(|other| other == table) {
                return Err(Refusal::parameter("tables", format!("contains {table} twice")));
            }
        }
        check_location("to", &parameters.to, trust)?;
        let condition = condition("where", parameters.r#where.as_ref())?;
        let scan = ScanSettings {
            segments: parameters.segments,
            batch_size: parameters.batch_size,
            width: parameters.width,
            rates: Rates { read: parameters.read_units, write: None },
            consistent_read: parameters.consistent_read,
        };
        let scan = scan.checked()?;
        check_range("fileBytes", parameters.file_bytes, 1, MAX_FILE_BYTES)?;
        if !parameters.gzip && parameters.format == Format::DynamodbJson {
            return Err(Refusal::parameter("gzip", "must be true for dynamodb-json, as in AWS's exports"));
        }
        let columns = match &parameters.columns {
            Some(_) if parameters.format != Format::Csv => {
                return Err(Refusal::parameter("columns", "only accepted with format csv"));
            }
            Some(columns) if columns.is_empty() => {
                return Err(Refusal::parameter("columns", "must name at least one column"));
            }
            columns => columns.as_deref().map(Columns::parse).transpose(),
        };
        let columns = columns.map_err(|error| Refusal::parameter("columns", error.to_string()))?;
        if let Some(keep) = parameters.keep {
            check_range("keep.count", keep.count, 1, 100_000)?;
            check_range("keep.days", keep.days, 1, 100_000)?;
            if keep.count.is_none() && keep.days.is_none() {
                return Err(Refusal::parameter("keep", "must have count, days or both"));
            }
            if parameters.r#where.is_some() || parameters.schema_only {
                let with = if parameters.schema_only { "schemaOnly" } else { "where" };
                let problem =
                    format!("not accepted with {with}: only a dump of all items replaces older ones");
                return Err(Refusal::parameter("keep", problem));
            }
        }
        if parameters.schema_only && parameters.r#where.is_some() {
            return Err(Refusal::parameter("where", "not accepted with schemaOnly, which reads no items"));
        }
        Ok(Self {
            kind: if parameters.schema_only { DumpKind::Schema } else { DumpKind::Dump },
            tables,
            tag: parameters.tag,
            to: parameters.to,
            format: parameters.format,
            r#where: parameters.r#where,
            condition,
            columns,
            scan,
            file_bytes: parameters.file_bytes,
            gzip: parameters.gzip,
            keep: parameters.keep,
            assign: parameters.assign.unwrap_or_default(),
        })
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        StagePlan { assign: self.assign, ..self.scan.apply(stage) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (value, problem) in [
            (json!({ "to": "/d" }), "parameters.table: required, or tables"),
            (
                json!({ "to": "/d", "table": "abc", "tables": ["abc"] }),
                "parameters.table: required, or tables",
            ),
            (json!({ "to": "/d", "tables": ["abc", "abc"] }), "parameters.tables: contains abc twice"),
            (json!({ "to": "/d", "table": "a b" }), "parameters.table: must be a table's name"),
            (json!({ "to": "d", "table": "abc" }), "parameters.to: must be an absolute path"),
            (json!({ "table": "abc" }), "parameters: missing field `to`"),
            (json!({ "to": "/d", "table": "abc", "where": "a =" }), "parameters.where: at character"),
            (json!({ "to": "/d", "table": "abc", "gzip": false }), "parameters.gzip: must be true"),
            (
                json!({ "to": "/d", "table": "abc", "columns": ["id:S"] }),
                "parameters.columns: only accepted with format csv",
            ),
            (
                json!({ "to": "/d", "table": "abc", "format": "csv", "columns": ["id"] }),
                "parameters.columns: column \"id\"",
            ),
            (json!({ "to": "/d", "table": "abc", "format": "xml" }), "parameters.format: unknown variant"),
            (json!({ "to": "/d", "table": "abc", "keep": {} }), "parameters.keep: must have count"),
            (
                json!({ "to": "/d", "table": "abc", "keep": { "count": 0 } }),
                "parameters.keep.count: must be from 1",
            ),
            (
                json!({ "to": "/d", "table": "abc", "keep": { "count": 1 }, "where": "a = 1" }),
                "parameters.keep: not accepted with where",
            ),
            (
                json!({ "to": "/d", "table": "abc", "keep": { "count": 1 }, "schemaOnly": true }),
                "parameters.keep: not accepted with schemaOnly",
            ),
            (
                json!({ "to": "/d", "table": "abc", "where": "a = 1", "schemaOnly": true }),
                "parameters.where: not accepted with schemaOnly",
            ),
            (json!({ "to": "/d", "tables": ["a b*"] }), "parameters.tables: must be a table's name"),
            (json!({ "to": "/d", "table": "abc*" }), "parameters.table: must be a table's name"),
            (json!({ "to": "/d", "tag": { "key": "a" } }), "parameters.tag: missing field `value`"),
            (json!({ "to": "/d", "table": "abc", "segments": 0 }), "parameters.segments: must be from 1"),
        ] {
            let refusal = DumpTask::parse(&value, Trust::Machine).unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{value}: {refusal}");
        }
        let local = json!({ "to": "/d", "table": "abc" });
        let refusal = DumpTask::parse(&local, Trust::Open).unwrap_err().to_string();
        assert!(refusal.starts_with("parameters.to: is for jobs that are submitted"), "{refusal}");
    }
}
