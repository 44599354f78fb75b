//! What a job on a table is submitted with.

mod sample;
mod span;

pub use sample::{MIN_SAMPLED, Sample};
pub use span::Span;

use std::time::Duration;

use nextbasket_domain::Timestamp;
use nextbasket_items::scan::{Projection, Scan};
use nextbasket_items::table::{TableAddress, check_name};
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::kind::{self, check_range, check_rate, check_tolerated};
use nextbasket_job_engine::{Aggregate, Assign, Rates, Refusal, Trust};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use nextbasket_items::expression::{Change, Condition};

/// How often a job that follows a table looks at it again, if it is not said.
const INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two looks.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// How many batches are worked on at a time, if it is not said.
const WIDTH: u32 = 8;
/// The most segments of a table, periods of a time or parts of a feature.
pub const MOST_BATCHES: u32 = 10_000;
/// The most items that a generated table gets in one job.
const MOST_GENERATED: u64 = 1_000_000_000_000;
/// The largest generated item, in bytes: less than DynamoDB's 400 KB, with room for its key.
const LARGEST_GENERATED: u32 = 390_000;

/// What a job on a table is submitted with. Which fields a kind knows is said with the kind; all know `table`,
/// `batchSize`, `width`, `parallel`, the rates, `assign`, `aggregate`, `tolerated` and `dryRun`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TableParameters {
    /// The table.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    pub table: String,
    /// Which items; all of them if it is omitted.
    pub r#where: Option<Condition>,
    /// What is changed in them.
    pub set: Option<Change>,
    /// Whether all items are meant, where no condition is given.
    #[serde(default)]
    pub all: bool,
    /// How many items a page has at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub batch_size: Option<u32>,
    /// The index that is read in place of the table.
    pub index: Option<String>,
    /// How many items are changed at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub limit: Option<u64>,
    /// How much of the table is read, to estimate the rest.
    pub sample: Option<Sample>,
    /// Into how many segments the table is split; by default one for each 64 MB, from 8 to 1,000.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MOST_BATCHES)))]
    pub segments: Option<u32>,
    /// How many batches are worked on at a time; 8 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    #[serde(alias = "workers")]
    pub width: Option<u32>,
    /// Whether several batches are worked on at a time, as by default.
    pub parallel: Option<bool>,
    /// Read units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "rcu")]
    pub read_units: Option<f64>,
    /// Write units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.1), extend("x-unit" = "units/s")))]
    #[serde(alias = "wcu")]
    pub write_units: Option<f64>,
    /// Whether the table is read strongly consistent, at twice the price.
    #[serde(default)]
    pub consistent_read: bool,
    /// How the table is divided into batches; by size if it is omitted.
    pub split: Option<Split>,
    /// The order in which batches go out.
    pub assign: Option<Assign>,
    /// How the results of batches are put together.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// How many batches may fail for good, in percent.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100), extend("x-unit" = "percent")))]
    #[serde(default)]
    pub tolerated: f64,
    /// Only estimate: nothing is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// When done, continue with items that newly meet the condition.
    pub follow: Option<Follow>,
    /// The table that the items are copied to.
    pub to: Option<TableAddress>,
    /// What happens to an item that is there already.
    pub on_conflict: Option<OnConflict>,
    /// How many items are made.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MOST_GENERATED)))]
    pub count: Option<u64>,
    /// About how many bytes each of them has.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = LARGEST_GENERATED), extend("x-unit" = "bytes")))]
    pub item_bytes: Option<u32>,
    /// The same seed makes the same items, and draws the same sample.
    #[serde(default)]
    pub seed: u64,
    /// How many values of the partition key there are, for a table with a sort key.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MOST_GENERATED)))]
    pub partitions: Option<u64>,
    /// Attributes of the items in place of the generated ones, as plain JSON; in strings `{n}` is the item's number
    /// and `{random}` 16 random hexadecimal digits.
    #[cfg_attr(feature = "schema", schemars(extend("minProperties" = 1)))]
    pub template: Option<serde_json::Map<String, Value>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Split {
    /// By size: segments of the table as DynamoDB cuts it.
    Size,
    /// By time: a batch for each period of an attribute that holds a time.
    Time {
        /// The attribute: seconds or milliseconds since 1970, or a date as text.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        attribute: String,
        /// The length of a period.
        every: Span,
    },
    /// By feature: a batch for each part of the values of an attribute; equal values are in one part.
    Feature {
        /// The attribute.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        attribute: String,
        /// How many parts.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MOST_BATCHES)))]
        parts: u32,
    },
}

impl Split {
    /// The attribute whose value decides, unless the table itself is cut.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::Size => None,
            Self::Time { attribute, .. } | Self::Feature { attribute, .. } => Some(attribute),
        }
    }
}

/// Options of a job that continues with items that newly meet the condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Follow {
    /// How often the table is looked at again; a minute by default.
    interval: Option<Span>,
}

impl Follow {
    pub fn interval(self) -> Duration {
        self.interval.map_or(INTERVAL, |span| span.0)
    }
}

impl TableParameters {
    /// Parses JSON and checks what does not depend on the kind.
    ///
    /// # Errors
    /// [`Refusal`] that names the first field that is wrong.
    pub fn parse(value: &Value) -> Result<Self, Refusal> {
        let parameters: Self = kind::parameters(value)?;
        parameters.checked()?;
        Ok(parameters)
    }

    /// Refuses the first field that is given but not in `known`.
    ///
    /// # Errors
    /// [`Refusal`] that names it.
    pub fn only(&self, kind: &str, known: &[&str]) -> Result<(), Refusal> {
        let fields = [
            ("where", self.r#where.is_some()),
            ("set", self.set.is_some()),
            ("all", self.all),
            ("index", self.index.is_some()),
            ("limit", self.limit.is_some()),
            ("sample", self.sample.is_some()),
            ("segments", self.segments.is_some()),
            ("consistentRead", self.consistent_read),
            ("split", self.split.is_some()),
            ("follow", self.follow.is_some()),
            ("to", self.to.is_some()),
            ("onConflict", self.on_conflict.is_some()),
            ("count", self.count.is_some()),
            ("itemBytes", self.item_bytes.is_some()),
            ("seed", self.seed != 0),
            ("partitions", self.partitions.is_some()),
            ("template", self.template.is_some()),
        ];
        match fields.into_iter().find(|(name, given)| *given && !known.contains(name)) {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::parameter(name, format!("not accepted by kind \"{kind}\""))),
        }
    }

    fn checked(&self) -> Result<(), Refusal> {
        check_name("table", &self.table)?;
        check_range("batchSize", self.batch_size, 1, 1_000_000)?;
        check_range("segments", self.segments, 1, u64::from(MOST_BATCHES))?;
        check_range("width", self.width, 1, 10_000)?;
        check_range("count", self.count, 1, MOST_GENERATED)?;
        check_range("limit", self.limit, 1, u64::MAX)?;
        self.sample.iter().try_for_each(Sample::check)?;
        check_range("itemBytes", self.item_bytes, 1, u64::from(LARGEST_GENERATED))?;
        check_range("partitions", self.partitions, 1, MOST_GENERATED)?;
        check_rate("readUnits", self.read_units)?;
        check_rate("writeUnits", self.write_units)?;
        check_tolerated(self.tolerated)?;
        match &self.split {
            Some(Split::Feature { parts, .. }) => {
                check_range("split.parts", Some(*parts), 1, u64::from(MOST_BATCHES))?;
            }
            Some(Split::Time { every, .. }) if every.0 < Duration::from_secs(1) => {
                return Err(Refusal::parameter("split.every", "must be at least one second"));
            }
            _ => {}
        }
        if let Some(name) = self.split.as_ref().and_then(Split::attribute)
            && name.is_empty()
        {
            return Err(Refusal::parameter("split.attribute", "must name an attribute"));
        }
        if let Some(follow) = self.follow {
            if follow.interval() < SHORTEST_INTERVAL {
                return Err(Refusal::parameter("follow.interval", "must be at least 100ms"));
            }
            if self.tolerated > 0.0 {
                // What a failed batch had processed would be unknown to the next pass.
                return Err(Refusal::parameter("tolerated", "must be 0 for a job that follows a table"));
            }
        }
        self.to.iter().try_for_each(|to| to.check("to.", Trust::Machine))?;
        Ok(())
    }

    /// How many batches are worked on at a time.
    pub fn width(&self) -> u32 {
        if self.parallel == Some(false) { 1 } else { self.width.unwrap_or(WIDTH) }
    }

    pub fn rates(&self) -> Rates {
        Rates { read: self.read_units, write: self.write_units }
    }

    /// A scan for what is `wanted` of the items that meet the condition.
    pub(crate) fn scan(&self, wanted: Projection<'_>, now: Timestamp, mean_bytes: u64) -> Scan {
        Scan::new(&self.table, self.r#where.as_ref(), wanted, now)
            .on_index(self.index.as_deref())
            .consistent(self.consistent_read)
            .pages_of(self.batch_size, mean_bytes)
    }

    /// What the plan says of the split.
    pub fn binned(&self) -> Option<&Split> {
        self.split.as_ref().filter(|split| **split != Split::Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(value: &Value) -> String {
        TableParameters::parse(value).unwrap_err().to_string()
    }

    #[test]
    fn names_of_the_command_line_are_understood() {
        let parameters = TableParameters::parse(
            &json!({ "table": "abc", "workers": 3, "rcu": 10, "wcu": 5.5, "parallel": true }),
        )
        .unwrap();
        assert_eq!(parameters.width(), 3);
        assert_eq!(parameters.rates(), Rates { read: Some(10.0), write: Some(5.5) });
        let serial =
            TableParameters::parse(&json!({ "table": "abc", "width": 3, "parallel": false })).unwrap();
        assert_eq!(serial.width(), 1);
    }

    #[test]
    fn times_are_written_with_a_unit_or_as_seconds() {
        let interval = |value: Value| {
            TableParameters::parse(&json!({ "table": "abc", "follow": value }))
                .unwrap()
                .follow
                .unwrap()
                .interval()
        };
        assert_eq!(interval(json!({})), Duration::from_secs(60));
        assert_eq!(interval(json!({ "interval": "5m" })), Duration::from_secs(300));
        assert_eq!(interval(json!({ "interval": 7 })), Duration::from_secs(7));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (value, problem) in [
            (json!({}), "parameters: missing field `table`"),
            (
                json!({ "table": "a b" }),
                "parameters.table: must be a table's name: 3 to 255 of the characters a-z, A-Z, 0-9, _, - and .",
            ),
            (
                json!({ "table": "abc", "where": "a =" }),
                "parameters.where: at character 4: expected an attribute's name, found the end",
            ),
            (
                json!({ "table": "abc", "set": "ADD a" }),
                "parameters.set: at character 6: expected a value, found the end",
            ),
            (json!({ "table": "abc", "segments": 0 }), "parameters.segments: must be from 1 to 10000"),
            (
                json!({ "table": "abc", "readUnits": -1 }),
                "parameters.readUnits: must be at least 0.1 units per second",
            ),
            (
                json!({ "table": "abc", "tolerated": 101 }),
                "parameters.tolerated: must be from 0 to 100 percent",
            ),
            (
                json!({ "table": "abc", "split": { "by": "time", "attribute": "at", "every": "1y" } }),
                "parameters.split: must be a length of time, such as 90s, 5m, 12h or 7d",
            ),
            (
                json!({ "table": "abc", "split": { "by": "feature", "attribute": "user", "parts": 0 } }),
                "parameters.split.parts: must be from 1 to 10000",
            ),
            (
                json!({ "table": "abc", "follow": { "interval": "1ms" } }),
                "parameters.follow.interval: must be at least 100ms",
            ),
            (
                json!({ "table": "abc", "follow": {}, "tolerated": 5 }),
                "parameters.tolerated: must be 0 for a job that follows a table",
            ),
            (
                json!({ "table": "abc", "to": { "table": "x" } }),
                "parameters.to.table: must be a table's name: 3 to 255 of the characters a-z, A-Z, 0-9, _, - and .",
            ),
        ] {
            assert_eq!(refused(&value), problem);
        }
        assert!(
            refused(&json!({ "table": "abc", "segmnts": 1 }))
                .starts_with("parameters.segmnts: unknown field")
        );
    }

    #[test]
    fn a_field_of_another_kind_is_refused_by_name() {
        let parameters = TableParameters::parse(&json!({ "table": "abc", "set": "a = 1" })).unwrap();
        let refusal = parameters.only("count", &["where"]).unwrap_err();
        assert_eq!(refusal.to_string(), "parameters.set: not accepted by kind \"count\"");
        assert_eq!(parameters.only("update", &["where", "set"]), Ok(()));
    }
}
