//! Items that do not have the expected form: skipped, counted and reported, so that they do not block the others.
//!
//! Every reader of many items goes through [`Readable::of`]. The caller decides what to do about damaged items: a job
//! writes them into its refused files and fails if there are [too many](check), a function
//! [logs](log_skipped) them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use nextbasket_dynamodb::item::{Item, hashed};
use nextbasket_dynamodb::{TableClient, TableError};
use serde::Serialize;

/// The attributes with ids of users and purchases: logs show hashes of them.
const HASHED: [&str; 2] = ["userId", "purchaseId"];

/// One in this many items may be damaged.
const ONE_OF: u64 = 100;

/// An item that does not have the expected form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// The name of the table.
    pub table: String,
    /// The item's key, with which somebody at the machine can find the item. Not for logs: see [`Damaged::logged`].
    pub key: BTreeMap<String, String>,
    /// The attribute, and what is wrong with it. Refused files do not contain it.
    #[serde(skip)]
    pub problem: String,
}

impl Damaged {
    /// The key in a form for logs: ids of users and purchases are replaced by hashes.
    #[must_use]
    pub fn logged(&self) -> String {
        let part = |(name, value): (&String, &String)| {
            if HASHED.contains(&name.as_str()) { hashed(value) } else { value.clone() }
        };
        self.key.iter().map(part).collect::<Vec<_>>().join("/")
    }
}

/// For people: with the item's whole key.
impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}: item {:?}: {}", self.table, self.key, self.problem)
    }
}

/// Logs items that were skipped because they are damaged, with ids of users and purchases hashed.
pub fn log_skipped(damaged: &[Damaged]) {
    for item in damaged {
        tracing::warn!(
            table = item.table,
            item = item.logged(),
            problem = item.problem,
            "a damaged item was skipped"
        );
    }
}

/// The readable items of a read, and the damaged ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable<T> {
    /// The items that have the expected form.
    pub items: Vec<T>,
    /// The items that do not.
    pub damaged: Vec<Damaged>,
}

impl<T> Default for Readable<T> {
    fn default() -> Self {
        Self { items: Vec::new(), damaged: Vec::new() }
    }
}

impl<T> Readable<T> {
    /// Reads items of a table whose keys have these attributes.
    pub(crate) fn of(
        table: &TableClient,
        keys: &[&str],
        items: Option<Vec<Item>>,
        read: impl Fn(Item) -> Result<T, TableError>,
    ) -> Self {
        let mut readable = Self::default();
        for item in items.unwrap_or_default() {
            match one(table, keys, item, &read) {
                Ok(item) => readable.items.push(item),
                Err(damaged) => readable.damaged.push(damaged),
            }
        }
        readable
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.items.extend(other.items);
        self.damaged.extend(other.damaged);
    }
}

/// Reads the whole table with `segments` parallel scans, passes each readable item to `take`, in no order, and returns
/// the damaged ones. Eventually consistent.
pub(crate) async fn scan<T>(
    table: &TableClient,
    segments: usize,
    keys: &[&str],
    read: impl Fn(Item) -> Result<T, TableError>,
    take: impl Fn(T),
) -> Result<Vec<Damaged>, TableError> {
    let all = Mutex::new(Vec::new());
    let scan = table.scan_all(segments, |item| match one(table, keys, item, &read) {
        Ok(item) => take(item),
        Err(damaged) => all.lock().unwrap_or_else(PoisonError::into_inner).push(damaged),
    });
    scan.await?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn one<T>(
    table: &TableClient,
    keys: &[&str],
    item: Item,
    read: impl FnOnce(Item) -> Result<T, TableError>,
) -> Result<T, Damaged> {
    let text = |name: &&str| Some(((*name).to_owned(), item.get(*name)?.as_s().ok()?.clone()));
    let key: BTreeMap<String, String> = keys.iter().filter_map(text).collect();
    read(item).map_err(|error| Damaged {
        table: table.name().to_owned(),
        key,
        problem: match error {
            TableError::Corrupt { attribute, problem, .. } => format!("attribute {attribute} {problem}"),
            other => other.to_string(),
        },
    })
}

/// A job has read more damaged items than it tolerates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what}: {damaged} of {all} items are damaged, more than 1 %: nothing is derived from a table in this state. The \
     job's refused file names each by its key; mend or delete them and submit the job again."
)]
pub struct TooManyDamaged {
    /// What was read, such as `purchases`.
    pub what: &'static str,
    /// The number of damaged items.
    pub damaged: u64,
    /// The number of all items that were read, including the damaged ones.
    pub all: u64,
}

/// One damaged item, or one in a hundred, is skipped; more indicate that something else is wrong.
pub fn check(what: &'static str, damaged: u64, readable: u64) -> Result<(), TooManyDamaged> {
    let all = damaged.saturating_add(readable);
    if damaged > 1 && damaged.saturating_mul(ONE_OF) > all {
        return Err(TooManyDamaged { what, damaged, all });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_damaged_item_or_one_in_a_hundred_is_skipped_and_more_are_too_many() {
        for (damaged, readable) in [(0, 0), (1, 0), (1, 20), (2, 198), (10, 990)] {
            assert_eq!(check("purchases", damaged, readable), Ok(()), "{damaged} beside {readable}");
        }
        for (damaged, readable) in [(2, 0), (2, 197), (11, 989)] {
            let error = check("purchases", damaged, readable).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{damaged} of {} items", damaged + readable)),
                "{error}"
            );
        }
    }

    #[test]
    fn people_see_the_key_and_logs_hashes_of_it() {
        let key = [("userId", "ada"), ("purchaseId", "p1")].map(|(name, value)| (name.into(), value.into()));
        let damaged = Damaged {
            table: "purchases".to_owned(),
            key: key.into(),
            problem: "attribute lines …".to_owned(),
        };
        assert!(damaged.to_string().contains("\"ada\""), "{damaged}");
        assert_eq!(damaged.logged(), format!("{}/{}", hashed("p1"), hashed("ada")));
    }
}
