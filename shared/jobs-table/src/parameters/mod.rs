//! What a job on a table is submitted with.

mod span;

pub use span::Span;

use std::time::Duration;

use nextbasket_items::table::{TableAddress, check_name};
use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::kind::{self, check_range, check_rate};
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
pub struct Parameters {
    pub table: String,
    /// Which items: see [`Condition`].
    #[serde(default)]
    pub r#where: Option<Condition>,
    /// What becomes of them: see [`Change`].
    #[serde(default)]
    pub set: Option<Change>,
    /// That all items are meant, where no condition is given.
    #[serde(default)]
    pub all: bool,
    /// The most items of a page.
    #[serde(default)]
    pub batch_size: Option<u32>,
    /// Into how many segments the table is split; by default one for each 64 MB, from 8 to 1,000.
    #[serde(default)]
    pub segments: Option<u32>,
    /// How many batches are worked on at a time.
    #[serde(default, alias = "workers")]
    pub width: Option<u32>,
    /// `false`: one batch at a time.
    #[serde(default)]
    pub parallel: Option<bool>,
    /// Read units per second, all workers together.
    #[serde(default, alias = "rcu")]
    pub read_units: Option<f64>,
    /// Write units per second, all workers together.
    #[serde(default, alias = "wcu")]
    pub write_units: Option<f64>,
    /// Whether the table is read strongly consistent, at twice the price.
    #[serde(default)]
    pub consistent_read: bool,
    /// How the work is split.
    #[serde(default)]
    pub split: Option<Split>,
    /// The order in which batches go out.
    #[serde(default)]
    pub assign: Option<Assign>,
    /// How results are put together.
    #[serde(default)]
    pub aggregate: Aggregate,
    /// How many batches may fail for good, in percent.
    #[serde(default)]
    pub tolerated: f64,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// When done, continue with items that newly meet the condition.
    #[serde(default)]
    pub follow: Option<Follow>,
    /// Where to copy to.
    #[serde(default)]
    pub to: Option<TableAddress>,
    /// What to do with an item that is there already.
    #[serde(default)]
    pub on_conflict: Option<OnConflict>,
    /// How many items to make.
    #[serde(default)]
    pub count: Option<u64>,
    /// About how many bytes each of them has.
    #[serde(default)]
    pub item_bytes: Option<u32>,
    /// The same seed makes the same items.
    #[serde(default)]
    pub seed: u64,
    /// How many values of the partition key there are, for a table with a sort key.
    #[serde(default)]
    pub partitions: Option<u64>,
    /// Attributes of the items in place of the generated ones, as plain JSON; in strings `{n}` is the item's number
    /// and `{random}` 16 random hexadecimal digits.
    #[serde(default)]
    pub template: Option<serde_json::Map<String, Value>>,
}

/// How the work is split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by", deny_unknown_fields)]
pub enum Split {
    /// By size: segments of the table as DynamoDB cuts it.
    Size,
    /// By time: a batch for each period of an attribute that holds a time.
    Time {
        /// The attribute: seconds or milliseconds since 1970, or a date as text.
        attribute: String,
        /// The length of a period.
        every: Span,
    },
    /// By feature: a batch for each part of the values of an attribute; equal values are in one part.
    Feature { attribute: String, parts: u32 },
}

impl Split {
    /// The attribute whose value decides, unless the table itself is cut.
    #[must_use]
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
pub struct Follow {
    /// The time between two looks at the table.
    #[serde(default)]
    interval: Option<Span>,
}

impl Follow {
    /// The time between two looks at the table.
    #[must_use]
    pub fn interval(self) -> Duration {
        self.interval.map_or(INTERVAL, |span| span.0)
    }
}

/// A field that not every kind knows.
struct Field {
    name: &'static str,
    given: bool,
}

impl Parameters {
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
            Field { name: "where", given: self.r#where.is_some() },
            Field { name: "set", given: self.set.is_some() },
            Field { name: "all", given: self.all },
            Field { name: "segments", given: self.segments.is_some() },
            Field { name: "consistentRead", given: self.consistent_read },
            Field { name: "split", given: self.split.is_some() },
            Field { name: "follow", given: self.follow.is_some() },
            Field { name: "to", given: self.to.is_some() },
            Field { name: "onConflict", given: self.on_conflict.is_some() },
            Field { name: "count", given: self.count.is_some() },
            Field { name: "itemBytes", given: self.item_bytes.is_some() },
            Field { name: "seed", given: self.seed != 0 },
            Field { name: "partitions", given: self.partitions.is_some() },
            Field { name: "template", given: self.template.is_some() },
        ];
        match fields.into_iter().find(|field| field.given && !known.contains(&field.name)) {
            None => Ok(()),
            Some(field) => Err(Refusal::parameter(field.name, format!("not accepted by kind \"{kind}\""))),
        }
    }

    fn checked(&self) -> Result<(), Refusal> {
        check_name("table", &self.table)?;
        check_range("batchSize", self.batch_size.map(u64::from), 1, 1_000_000)?;
        check_range("segments", self.segments.map(u64::from), 1, u64::from(MOST_BATCHES))?;
        check_range("width", self.width.map(u64::from), 1, 10_000)?;
        check_range("count", self.count, 1, MOST_GENERATED)?;
        check_range("itemBytes", self.item_bytes.map(u64::from), 1, u64::from(LARGEST_GENERATED))?;
        check_range("partitions", self.partitions, 1, MOST_GENERATED)?;
        check_rate("readUnits", self.read_units)?;
        check_rate("writeUnits", self.write_units)?;
        if !(0.0..=100.0).contains(&self.tolerated) {
            return Err(Refusal::parameter("tolerated", "must be from 0 to 100 percent"));
        }
        match &self.split {
            Some(Split::Feature { parts, .. }) => {
                check_range("split.parts", Some(u64::from(*parts)), 1, u64::from(MOST_BATCHES))?;
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
    #[must_use]
    pub fn width(&self) -> u32 {
        if self.parallel == Some(false) { 1 } else { self.width.unwrap_or(WIDTH) }
    }

    /// The rates of all workers together.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates { read: self.read_units, write: self.write_units }
    }

    /// What the plan says of the split.
    #[must_use]
    pub fn binned(&self) -> Option<&Split> {
        self.split.as_ref().filter(|split| **split != Split::Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(value: &Value) -> String {
        Parameters::parse(value).unwrap_err().to_string()
    }

    #[test]
    fn names_of_the_command_line_are_understood() {
        let parameters = Parameters::parse(
            &json!({ "table": "abc", "workers": 3, "rcu": 10, "wcu": 5.5, "parallel": true }),
        )
        .unwrap();
        assert_eq!(parameters.width(), 3);
        assert_eq!(parameters.rates(), Rates { read: Some(10.0), write: Some(5.5) });
        let serial = Parameters::parse(&json!({ "table": "abc", "width": 3, "parallel": false })).unwrap();
        assert_eq!(serial.width(), 1);
    }

    #[test]
    fn times_are_written_with_a_unit_or_as_seconds() {
        let interval = |value: Value| {
            Parameters::parse(&json!({ "table": "abc", "follow": value })).unwrap().follow.unwrap().interval()
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
        let parameters = Parameters::parse(&json!({ "table": "abc", "set": "a = 1" })).unwrap();
        let refusal = parameters.only("count", &["where"]).unwrap_err();
        assert_eq!(refusal.to_string(), "parameters.set: not accepted by kind \"count\"");
        assert_eq!(parameters.only("update", &["where", "set"]), Ok(()));
    }
}
