//! Items by the time or the feature of an attribute: which bin an item is in, and the keys of each bin in objects.
//!
//! The stage `split` scans the table once and writes the keys of the items that meet the condition, as JSON lines
//! sorted by bin, into runs of some 1 MB; each run has an index of the position of each bin. The next stage
//! has a batch for each bin, which reads its part of every run.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::journal::Journal;
use nextbasket_job_engine::{Work, WorkError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::parameters::{MOST_BATCHES, Split};
use crate::totals::ItemTotals;
use nextbasket_items::key::{from_json, hash_value, to_json};

/// The size at which a run is written.
const RUN_BYTES: usize = 1 << 20;
/// Numbers above this are milliseconds: as seconds they would be after the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;
/// The bin of items whose attribute says no time.
pub(crate) const UNDATED: i64 = -1;

/// The bin of an item: the number of its period since 1970, or of its part.
pub(crate) fn bin(split: &Split, item: &Item) -> i64 {
    match split {
        Split::Size => 0,
        Split::Time { attribute, every } => {
            let every = i64::try_from(every.0.as_millis()).unwrap_or(i64::MAX).max(1);
            item.get(attribute).and_then(time).map_or(UNDATED, |time| time.as_millis() / every)
        }
        Split::Feature { attribute, parts } => {
            let hash = item.get(attribute).map_or(0, hash_value);
            i64::try_from(hash % u128::from((*parts).max(1))).unwrap_or(0)
        }
    }
}

/// The time that an attribute says, if it says one.
fn time(value: &AttributeValue) -> Option<Timestamp> {
    match value {
        AttributeValue::S(text) => Timestamp::parse_lenient(text).ok(),
        AttributeValue::N(digits) => {
            let number: f64 = digits.parse().ok()?;
            let millis = if number < MILLISECONDS_FROM { number * 1000.0 } else { number };
            #[expect(clippy::cast_possible_truncation, reason = "as saturates, and then it is out of range")]
            Timestamp::from_millis(millis.floor() as i64).ok()
        }
        _ => None,
    }
}

/// The bin's name for people: when its period begins, or the number of the part.
pub(crate) fn name(split: &Split, bin: i64) -> String {
    match split {
        Split::Time { .. } if bin == UNDATED => "undated".to_owned(),
        Split::Time { every, .. } => {
            let every = i64::try_from(every.0.as_millis()).unwrap_or(i64::MAX);
            Timestamp::EPOCH.plus_millis(bin.saturating_mul(every)).to_string()
        }
        Split::Size | Split::Feature { .. } => format!("part {bin}"),
    }
}

/// A bin in a run: its number, position and length in bytes, and number of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct RunSection(i64, u64, u64, u64);

/// A run's objects: the keys, and the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SortedRun {
    keys: String,
    index: String,
}

/// Of which runs a bin's keys are read, and how many of them at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunList {
    pub(crate) runs: Vec<SortedRun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) most: Option<u64>,
}

/// What a batch of the stage `split` leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SortedKeys {
    pub(crate) tally: ItemTotals,
    pub(crate) bins: BTreeMap<i64, u64>,
    pub(crate) runs: Vec<SortedRun>,
}

impl SortedKeys {
    pub(crate) fn plus(mut self, other: Self) -> Self {
        self.tally = self.tally + other.tally;
        for (bin, count) in other.bins {
            *self.bins.entry(bin).or_default() += count;
        }
        self.runs.extend(other.runs);
        self
    }
}

/// What a batch of the stage `split` has to remember.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SorterState {
    /// The keys since the last run, a page at a time.
    pages: Journal,
    runs: Journal,
}

#[derive(Debug)]
pub(crate) struct Sorter {
    split: Split,
    /// Whether keys are kept, or only counted.
    keep: bool,
    state: SorterState,
    /// How many keys there are of each bin, all of them.
    totals: BTreeMap<i64, u64>,
    /// The keys since the last run, as JSON lines.
    lines: BTreeMap<i64, Vec<String>>,
    bytes: usize,
}

const PAGE: &str = "page";
const KEYS: &str = "keys";
const INDEX: &str = "index";

impl Sorter {
    pub(crate) async fn load(
        work: &Work,
        split: Split,
        keep: bool,
        state: SorterState,
    ) -> Result<Self, WorkError> {
        let mut sorter =
            Self { split, keep, totals: BTreeMap::new(), lines: BTreeMap::new(), bytes: 0, state };
        for content in sorter.state.runs.read(work, INDEX).await? {
            for RunSection(bin, _, _, count) in parsed::<Vec<RunSection>>(&content)? {
                *sorter.totals.entry(bin).or_default() += count;
            }
        }
        for content in sorter.state.pages.read(work, PAGE).await? {
            for (bin, lines) in parsed::<BTreeMap<i64, Vec<String>>>(&content)? {
                for line in lines {
                    sorter.push(bin, line);
                }
            }
        }
        Ok(sorter)
    }

    fn push(&mut self, bin: i64, line: String) {
        *self.totals.entry(bin).or_default() += 1;
        self.bytes += line.len() + 1;
        self.lines.entry(bin).or_default().push(line);
    }

    /// Takes the items of a page; `key` gives their keys. The keys are stored once the returned
    /// state is in a checkpoint.
    pub(crate) async fn take(
        &mut self,
        work: &Work,
        items: &[Item],
        key: impl Fn(&Item) -> Item,
    ) -> Result<&SorterState, WorkError> {
        let mut page: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for item in items {
            let line = if self.keep { to_json(&key(item)).to_string() } else { String::new() };
            page.entry(bin(&self.split, item)).or_default().push(line);
        }
        if page.is_empty() {
            return Ok(&self.state);
        }
        let content = serde_json::to_vec(&page).map_err(failed)?;
        for (bin, lines) in page {
            for line in lines {
                self.push(bin, line);
            }
        }
        if self.totals.len() > usize::try_from(MOST_BATCHES).unwrap_or(usize::MAX) {
            let problem = format!(
                "parameters.split.every: there are more than {MOST_BATCHES} periods: choose a longer one"
            );
            return Err(WorkError::Systemic(problem));
        }
        if self.bytes >= RUN_BYTES {
            self.write_run(work).await?;
        } else {
            self.state.pages.append(work, PAGE, content).await?;
        }
        Ok(&self.state)
    }

    async fn write_run(&mut self, work: &Work) -> Result<(), WorkError> {
        let (mut content, mut index) = (Vec::with_capacity(self.bytes), Vec::new());
        for (bin, lines) in std::mem::take(&mut self.lines) {
            let begin = content.len();
            for line in &lines {
                content.extend_from_slice(line.as_bytes());
                content.push(b'\n');
            }
            let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            index.push(RunSection(bin, number(begin), number(content.len() - begin), number(lines.len())));
        }
        self.bytes = 0;
        let index = serde_json::to_vec(&index).map_err(failed)?;
        self.state.runs.append(work, KEYS, content).await?;
        // The same number as the keys have.
        let mut beside = Journal::default();
        beside.append(work, INDEX, index).await?;
        self.state.pages = Journal::default();
        Ok(())
    }

    pub(crate) async fn finish(mut self, work: &Work) -> Result<SortedKeys, WorkError> {
        if !self.lines.is_empty() {
            self.write_run(work).await?;
        }
        let (keys, indexes) = (self.state.runs.names(work, KEYS), self.state.runs.names(work, INDEX));
        let runs = keys.into_iter().zip(indexes).map(|(keys, index)| SortedRun { keys, index }).collect();
        Ok(SortedKeys { bins: self.totals, runs, ..SortedKeys::default() })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(content: &[u8]) -> Result<T, WorkError> {
    serde_json::from_slice(content).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> WorkError {
    WorkError::Failed(format!("a run of sorted keys is invalid: {error}"))
}

#[derive(Debug)]
pub(crate) struct BinKeys {
    bin: i64,
    runs: Vec<SortedRun>,
    /// How many keys of each run are read at most, if not all of them.
    most: Option<Vec<u64>>,
    /// The run that was read last, and its keys.
    read: Option<(usize, Vec<Item>)>,
}

impl BinKeys {
    pub(crate) async fn open(work: &Work, bin: i64, list: &str) -> Result<Self, WorkError> {
        let RunList { runs, most } = parsed(&work.site().objects.get(list).await?)?;
        let most = match most {
            Some(most) => Some(shares(work, bin, &runs, most).await?),
            None => None,
        };
        Ok(Self { bin, runs, most, read: None })
    }

    /// The bin's keys in the run of this number; `None` behind the last run.
    pub(crate) async fn of_run(&mut self, work: &Work, number: usize) -> Result<Option<&[Item]>, WorkError> {
        if self.read.as_ref().is_none_or(|(read, _)| *read != number) {
            let Some(run) = self.runs.get(number) else { return Ok(None) };
            let objects = &work.site().objects;
            let places: Vec<RunSection> = parsed(&objects.get(&run.index).await?)?;
            let mut keys = Vec::new();
            if let Some(RunSection(_, begin, length, _)) = places.iter().find(|place| place.0 == self.bin)
                && *length > 0
            {
                let content = objects.get_range(&run.keys, *begin..begin + length).await?;
                for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let json: Value = parsed(line)?;
                    keys.push(from_json(&json).ok_or_else(|| failed("a line is not a key"))?);
                }
            }
            if let Some(most) = self.most.as_ref().and_then(|most| most.get(number)) {
                keys.truncate(usize::try_from(*most).unwrap_or(usize::MAX));
            }
            self.read = Some((number, keys));
        }
        Ok(self.read.as_ref().map(|(_, keys)| keys.as_slice()))
    }
}

/// How many of the bin's keys come from each run, if all together are at most so many: the first runs first.
async fn shares(work: &Work, bin: i64, runs: &[SortedRun], most: u64) -> Result<Vec<u64>, WorkError> {
    let mut left = most;
    let mut shares = Vec::with_capacity(runs.len());
    for run in runs {
        let sections: Vec<RunSection> = parsed(&work.site().objects.get(&run.index).await?)?;
        let of_bin = sections.iter().filter(|section| section.0 == bin);
        let share = of_bin.map(|section| section.3).sum::<u64>().min(left);
        shares.push(share);
        left -= share;
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};
    use std::time::Duration;

    fn daily() -> Split {
        Split::Time {
            attribute: "at".to_owned(),
            every: crate::parameters::Span(Duration::from_secs(86_400)),
        }
    }

    fn at(value: AttributeValue) -> String {
        let item = Item::from([("at".to_owned(), value)]);
        name(&daily(), bin(&daily(), &item))
    }

    #[test]
    fn times_are_seconds_milliseconds_or_text() {
        for value in [
            number(1_779_010_200),
            number("1779010200.5"),
            number(1_779_010_200_123_i64),
            text("2026-05-17T09:30:00Z"),
            text("2026-05-17"),
            text("2026-05-17T23:59:59.999+00:00"),
        ] {
            assert_eq!(at(value.clone()), "2026-05-17T00:00:00.000Z", "{value:?}");
        }
        for value in [text("yesterday"), number(-5), number("1e30"), AttributeValue::Bool(true)] {
            assert_eq!(at(value.clone()), "undated", "{value:?}");
        }
        assert_eq!(bin(&daily(), &Item::new()), UNDATED);
    }

    #[test]
    fn equal_values_are_in_one_part_and_the_parts_are_alike() {
        let split = Split::Feature { attribute: "user".to_owned(), parts: 8 };
        let of = |user: String| bin(&split, &Item::from([("user".to_owned(), text(user))]));
        assert_eq!(of("ann".to_owned()), of("ann".to_owned()));
        let mut counts = [0; 8];
        for user in 0..8000 {
            counts[usize::try_from(of(format!("user-{user}"))).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
