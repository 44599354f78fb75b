//! What a dump is submitted with.

use nextbasket_items::expression::Condition;
use nextbasket_items::table::check_name;
use nextbasket_job_engine::{Assign, Rates, Refusal, StagePlan, kind};
use nextbasket_objects::Location;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::common::{Trust, WIDTH, check_place, check_range, check_rate, condition};
use crate::csv::Columns;
use crate::format::Format;

/// What a dump is submitted with.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// The table.
    table: Option<String>,
    /// Or several: each has a dump of its own.
    tables: Option<Vec<String>>,
    /// The folder or prefix below which dumps stand.
    to: Location,
    /// `dynamodb-json`, `csv` or `json-lines`.
    #[serde(default)]
    format: Format,
    /// Which items, if not all.
    r#where: Option<String>,
    /// Of CSV: the columns, such as `id:S`. Without them a file has those that its items have.
    columns: Option<Vec<String>>,
    /// Into how many segments each table is split.
    segments: Option<u32>,
    /// The most items of a page.
    batch_size: Option<u32>,
    /// When a data file is closed, in bytes: by default at 64 MB, in S3 at 8 MB, which a worker holds in memory.
    file_bytes: Option<u64>,
    /// How many segments are read at a time.
    #[serde(alias = "workers")]
    width: Option<u32>,
    /// Read units per second, all workers together.
    #[serde(alias = "rcu")]
    read_units: Option<f64>,
    /// Whether the tables are read strongly consistent, at twice the price.
    #[serde(default)]
    consistent_read: bool,
    /// `false`: data files of CSV and plain JSON are not compressed.
    #[serde(default = "yes")]
    gzip: bool,
    /// Which older dumps of the same tables below `to` are kept; without it all.
    keep: Option<Keep>,
    /// The order in which segments go out.
    assign: Option<Assign>,
    /// Only say what would be done.
    #[serde(default)]
    #[expect(dead_code, reason = "the engine looks at it")]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// Which older dumps are kept. With both, a dump goes only if it is beyond both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The newest so many.
    pub count: Option<u32>,
    /// Those of the last so many days.
    pub days: Option<u32>,
}

/// A dump as it is to be done.
#[derive(Debug, Clone)]
pub struct Task {
    pub(crate) tables: Vec<String>,
    pub(crate) to: Location,
    pub(crate) format: Format,
    pub(crate) r#where: Option<String>,
    /// `where`, parsed.
    pub(crate) condition: Option<Condition>,
    pub(crate) columns: Option<Columns>,
    pub(crate) segments: Option<u32>,
    pub(crate) batch_size: Option<u32>,
    pub(crate) file_bytes: Option<u64>,
    pub(crate) width: u32,
    pub(crate) rates: Rates,
    pub(crate) consistent_read: bool,
    pub(crate) gzip: bool,
    pub(crate) keep: Option<Keep>,
    pub(crate) assign: Assign,
}

impl Task {
    pub(crate) fn parse(value: &Value, trust: Trust) -> Result<Self, Refusal> {
        let parameters: Parameters = kind::parameters(value)?;
        let tables = match (&parameters.table, &parameters.tables) {
            (Some(table), None) => vec![table.clone()],
            (None, Some(tables)) if !tables.is_empty() => tables.clone(),
            _ => return Err(Refusal::parameter("table", "required, or tables, but not both")),
        };
        for (n, table) in tables.iter().enumerate() {
            check_name(if parameters.table.is_some() { "table" } else { "tables" }, table)?;
            if tables.iter().take(n).any(|other| other == table) {
                return Err(Refusal::parameter("tables", format!("contains {table} twice")));
            }
        }
        check_place("to", &parameters.to, trust)?;
        let condition = condition("where", parameters.r#where.as_ref())?;
        check_range("segments", parameters.segments.map(u64::from), 1, 10_000)?;
        check_range("batchSize", parameters.batch_size.map(u64::from), 1, 1_000_000)?;
        check_range("fileBytes", parameters.file_bytes, 1, 1 << 30)?;
        check_range("width", parameters.width.map(u64::from), 1, 10_000)?;
        check_rate("readUnits", parameters.read_units)?;
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
            check_range("keep.count", keep.count.map(u64::from), 1, 100_000)?;
            check_range("keep.days", keep.days.map(u64::from), 1, 100_000)?;
            if keep.count.is_none() && keep.days.is_none() {
                return Err(Refusal::parameter("keep", "must have count, days or both"));
            }
        }
        Ok(Self {
            tables,
            to: parameters.to,
            format: parameters.format,
            r#where: parameters.r#where,
            condition,
            columns,
            segments: parameters.segments,
            batch_size: parameters.batch_size,
            file_bytes: parameters.file_bytes,
            width: parameters.width.unwrap_or(WIDTH),
            rates: Rates { read: parameters.read_units, write: None },
            consistent_read: parameters.consistent_read,
            gzip: parameters.gzip,
            keep: parameters.keep,
            assign: parameters.assign.unwrap_or_default(),
        })
    }

    pub(crate) fn apply(&self, stage: StagePlan) -> StagePlan {
        StagePlan { width: self.width, rates: self.rates, assign: self.assign, ..stage }
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
            (json!({ "to": "/d", "table": "abc", "segments": 0 }), "parameters.segments: must be from 1"),
        ] {
            let refusal = Task::parse(&value, Trust::Machine).unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{value}: {refusal}");
        }
        let local = json!({ "to": "/d", "table": "abc" });
        let refusal = Task::parse(&local, Trust::Open).unwrap_err().to_string();
        assert!(refusal.starts_with("parameters.to: is for jobs that are submitted"), "{refusal}");
    }
}
