//! Which older dumps are removed, and which are kept for what reason.
//!
//! Only complete dumps of all items count and are removed, and only if they are provably of the same table. Archives are
//! the only copy of their items; a dump of some items replaces no dump of all; what cannot be read proves nothing. They
//! all stay, whatever is to be kept.

use std::collections::BTreeMap;
use std::fmt;

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::WorkError;
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};

use crate::dump::begin::Begun;
use crate::dump::exports;
use crate::dump::parameters::Keep;
use crate::dump::running::{FRESH_MS, Unfinished, unfinished};
use crate::manifest::{
    DumpKind, DumpRecord, DumpScope, RECORD, SETTINGS, SUMMARY, Summary, TableIdentity, TableSettings,
    md5_base64, same_md5,
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// What retention did.
#[derive(Debug, Default)]
pub(super) struct Retention {
    pub removed: Vec<Location>,
    pub kept: Vec<Kept>,
}

/// Dumps that were kept for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub reason: String,
    pub count: usize,
    /// The newest of them.
    pub newest: Location,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    at: Location,
    /// When it was submitted, as its id says.
    millis: i64,
    found: Found,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// A complete dump of all items of the same table.
    Good {
        items: u64,
    },
    /// It has no summary, and is of the same table.
    Unfinished {
        seen: Option<Timestamp>,
    },
    Kept(Reason),
}

/// Why a dump is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Recent,
    /// The new dump has less than half of its items.
    Shrunk {
        items: u64,
        now: u64,
    },
    Later,
    BeingMade,
    Is(DumpScope),
    OtherTable,
    UnknownTable,
    Unreadable,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recent => f.write_str("within what is to be kept"),
            Self::Shrunk { items, now } => write!(
                f,
                "it has {items} items, the new dump {now}, less than half of them; with acceptShrunk (--accept-shrunk) it goes"
            ),
            Self::Later => f.write_str("newer than this dump"),
            Self::BeingMade => f.write_str("not finished, and perhaps being made"),
            Self::Is(scope) => f.write_str(scope.noun()),
            Self::OtherTable => f.write_str(
                "of another table of this name: in another account, region or endpoint, or made at another time",
            ),
            Self::UnknownTable => f.write_str("nothing proves that it is of the same table"),
            Self::Unreadable => f.write_str("damaged: its manifests cannot be read"),
        }
    }
}

/// Removes the dumps of the same table below the same location that are to be kept no longer. The new dump has `items`.
pub(super) async fn remove_older(
    files: &Files,
    below: &Location,
    newest: &Begun,
    items: u64,
    keep: Keep,
    now: Timestamp,
) -> Result<Retention, WorkError> {
    let mut others = Vec::new();
    let identity = newest.identity();
    for folder in files.folders(&exports(below)).await? {
        if folder != newest.folder
            && let Some(other) = looked_at(files, folder, &newest.table, &identity).await?
        {
            others.push(other);
        }
    }
    let newest = (millis(&newest.export).unwrap_or(i64::MAX), items);
    let (removed, kept) = decided(others, keep, newest, now);
    for folder in &removed {
        // Without its summary it is no dump any more, should the rest stay behind.
        files.remove(&folder.join(SUMMARY)).await?;
        files.remove_folder(folder).await?;
    }
    Ok(Retention { removed, kept: by_reason(kept) })
}

fn millis(export: &str) -> Option<i64> {
    export.split_once('-')?.0.parse().ok()
}

/// `None` if it is not one of ours, or of a table of another name.
async fn looked_at(
    files: &Files,
    at: Location,
    table: &str,
    identity: &TableIdentity,
) -> Result<Option<Other>, WorkError> {
    let Some(millis) = millis(&at.name()) else { return Ok(None) };
    let settings = files.read_if_found(&at.join(SETTINGS)).await?;
    let settings = settings.and_then(|content| serde_json::from_slice::<TableSettings>(&content).ok());
    let Some(settings) = settings.filter(|settings| settings.create_table.table_name == table) else {
        return Ok(None);
    };
    let summary = files.read_if_found(&at.join(SUMMARY)).await?;
    let record = files.read_if_found(&at.join(RECORD)).await?;
    let found = match summary {
        Some(summary) => finished(&summary, record.as_deref(), &settings, identity),
        None => {
            let mark = unfinished(files, &at).await?;
            // It had a summary once, or nearly, if it has a record: what it is decides, not its age.
            let scope = record.as_deref().and_then(parsed::<DumpRecord>).map(|record| record.scope());
            let is_archive = mark.is_some_and(|mark| mark.kind == Some(DumpKind::Archive));
            let scope = scope.or(is_archive.then_some(DumpScope::Archive));
            abandoned(scope, mark, settings.identity().is_same(identity))
        }
    };
    Ok(Some(Other { at, millis, found }))
}

fn parsed<T: serde::de::DeserializeOwned>(content: &[u8]) -> Option<T> {
    serde_json::from_slice(content).ok()
}

/// A dump with a summary.
fn finished(
    summary: &[u8],
    record: Option<&[u8]>,
    settings: &TableSettings,
    identity: &TableIdentity,
) -> Found {
    let summary = parsed::<Summary>(summary);
    let (Some(summary), Some(content)) = (summary, record) else { return Found::Kept(Reason::Unreadable) };
    let Some(record) = parsed::<DumpRecord>(content) else { return Found::Kept(Reason::Unreadable) };
    let is_as_written = match &summary.nextbasket_dump_md5 {
        Some(md5) => same_md5(md5, &md5_base64(content)),
        // Version 1 has no checksum of it.
        None => record.version < DumpRecord::VERSION,
    };
    if !is_as_written {
        return Found::Kept(Reason::Unreadable);
    }
    let of = record.table_identity.clone().unwrap_or_else(|| settings.identity());
    match (record.scope(), of.is_same(identity)) {
        (DumpScope::Full, Some(true)) => Found::Good { items: record.digest.count },
        (_, Some(false)) => Found::Kept(Reason::OtherTable),
        (DumpScope::Full, None) => Found::Kept(Reason::UnknownTable),
        (scope, _) => Found::Kept(Reason::Is(scope)),
    }
}

/// A dump without a summary.
fn abandoned(scope: Option<DumpScope>, mark: Option<Unfinished>, is_same: Option<bool>) -> Found {
    match (scope, is_same) {
        (Some(scope), _) if scope != DumpScope::Full => Found::Kept(Reason::Is(scope)),
        (_, Some(true)) => Found::Unfinished { seen: mark.map(|mark| mark.seen) },
        (_, Some(false)) => Found::Kept(Reason::OtherTable),
        (_, None) => Found::Kept(Reason::UnknownTable),
    }
}

/// Complete dumps beyond the count and older than the days go; unfinished ones after at least a day, and only if no
/// worker has worked on them for a day. The dump that was just made counts, and stays. If it has less than half of the
/// items of an older one, the newest such older one stays, too.
fn decided(
    mut others: Vec<Other>,
    keep: Keep,
    (newest, items): (i64, u64),
    now: Timestamp,
) -> (Vec<Location>, Vec<(Location, Reason)>) {
    others.sort_by_key(|other| std::cmp::Reverse(other.millis));
    let older_than = |other: &Other, days: i64| other.millis < now.as_millis().saturating_sub(days * DAY);
    let days = keep.days.map(i64::from);
    let (mut good, mut has_shrunk) = (1, false);
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for other in others {
        let reason = match &other.found {
            Found::Kept(reason) => Some(*reason),
            _ if other.millis > newest => Some(Reason::Later),
            Found::Good { items: before } => {
                good += 1;
                let is_recent = keep.count.is_some_and(|count| good <= count)
                    || days.is_some_and(|days| !older_than(&other, days));
                let shrunk = !keep.accept_shrunk && !has_shrunk && items < before.div_ceil(2);
                has_shrunk |= shrunk;
                let shrunk = shrunk.then_some(Reason::Shrunk { items: *before, now: items });
                is_recent.then_some(Reason::Recent).or(shrunk)
            }
            Found::Unfinished { seen } => {
                let fresh = now.as_millis().saturating_sub(FRESH_MS);
                let may_be_made = seen.is_some_and(|seen| seen.as_millis() >= fresh)
                    || !older_than(&other, days.unwrap_or(1).max(1));
                may_be_made.then_some(Reason::BeingMade)
            }
        };
        match reason {
            Some(reason) => kept.push((other.at, reason)),
            None => gone.push(other.at),
        }
    }
    (gone, kept)
}

/// One entry for each reason, however many dumps there are.
fn by_reason(kept: Vec<(Location, Reason)>) -> Vec<Kept> {
    let mut reasons: BTreeMap<Reason, (usize, Location)> = BTreeMap::new();
    // The newest comes first.
    for (at, reason) in kept {
        reasons.entry(reason).or_insert((0, at)).0 += 1;
    }
    let kept = |(reason, (count, newest)): (Reason, (usize, Location))| Kept {
        reason: reason.to_string(),
        count,
        newest,
    };
    reasons.into_iter().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 100 * DAY + 1;

    fn at(day: i64) -> Location {
        format!("/d/{:014}-x", day * DAY).parse().unwrap()
    }

    fn good(items: u64) -> Found {
        Found::Good { items }
    }

    const UNFINISHED: Found = Found::Unfinished { seen: None };

    fn gone_of(keep: Keep, items: u64, dumps: &[(i64, Found)]) -> Vec<i64> {
        let others = dumps
            .iter()
            .map(|(day, found)| Other { at: at(*day), millis: day * DAY, found: found.clone() })
            .collect();
        let now = Timestamp::from_millis(NOW).unwrap();
        let (gone, kept) = decided(others, keep, (100 * DAY, items), now);
        assert_eq!(gone.len() + kept.len(), dumps.len());
        let day =
            |folder: &Location| dumps.iter().map(|(day, _)| *day).find(|day| at(*day) == *folder).unwrap();
        gone.iter().map(day).collect()
    }

    fn gone(count: Option<u32>, days: Option<u32>, dumps: &[(i64, Found)]) -> Vec<i64> {
        gone_of(Keep { count, days, accept_shrunk: false }, 10, dumps)
    }

    #[test]
    fn the_newest_and_the_last_days_are_kept() {
        let dumps = [99, 98, 97, 50].map(|day| (day, good(10)));
        assert_eq!(gone(Some(3), None, &dumps), [97, 50]);
        assert_eq!(gone(None, Some(10), &dumps), [50]);
        assert_eq!(gone(Some(1), Some(3), &dumps), [97, 50]);
        assert_eq!(gone(Some(1), None, &dumps), [99, 98, 97, 50]);
        assert_eq!(gone(Some(10), Some(1), &dumps), [0_i64; 0]);
    }

    #[test]
    fn a_dump_that_is_not_whole_counts_for_none_and_goes_after_a_day() {
        let dumps = [(100, UNFINISHED), (99, good(10)), (98, UNFINISHED), (97, good(10))];
        assert_eq!(gone(Some(2), None, &dumps), [98, 97]);
        assert_eq!(gone(Some(2), Some(5), &[(98, UNFINISHED), (90, UNFINISHED), (89, good(10))]), [90]);
    }

    #[test]
    fn a_dump_that_is_being_made_stays_however_old_it_is() {
        let gone = |ago: Option<i64>| {
            let seen = ago.map(|ago| Timestamp::from_millis(NOW - ago).unwrap());
            gone(Some(1), None, &[(90, Found::Unfinished { seen })]).len()
        };
        assert_eq!(gone(Some(DAY)), 0);
        assert_eq!(gone(Some(DAY + 1)), 1);
        assert_eq!(gone(None), 1);
    }

    #[test]
    fn a_later_dump_is_none_of_its_business() {
        assert_eq!(gone(Some(1), None, &[(101, good(10)), (99, good(10))]), [99]);
    }

    #[test]
    fn what_is_no_full_dump_of_the_table_neither_counts_nor_goes() {
        use DumpScope::{Archive, Filtered, Incomplete, Schema};
        let scopes = [Archive, Filtered, Incomplete, Schema].map(Reason::Is);
        let others = [Reason::OtherTable, Reason::UnknownTable, Reason::Unreadable];
        for reason in scopes.into_iter().chain(others) {
            let dumps =
                [(99, Found::Kept(reason)), (98, good(10)), (97, good(10)), (50, Found::Kept(reason))];
            assert_eq!(gone(Some(2), None, &dumps), [97], "{reason}");
        }
    }

    #[test]
    fn the_newest_dump_with_more_than_twice_the_items_stays_until_that_is_accepted() {
        let keep = |accept_shrunk| Keep { count: Some(1), days: None, accept_shrunk };
        let dumps = [(99, good(0)), (98, good(100)), (97, good(200))];
        assert_eq!(gone_of(keep(false), 0, &dumps), [99, 97]);
        assert_eq!(gone_of(keep(true), 0, &dumps), [99, 98, 97]);
        // Half is enough, and one that is kept anyway protects no other.
        assert_eq!(gone_of(keep(false), 50, &[(99, good(100))]), [99]);
        assert_eq!(gone_of(keep(false), 49, &[(99, good(100))]), [0_i64; 0]);
        assert_eq!(gone_of(keep(false), 0, &[(99, good(1))]), [0_i64; 0]);
        assert_eq!(gone_of(keep(false), 0, &[(99, good(u64::MAX))]), [0_i64; 0]);
    }

    #[test]
    fn reasons_are_counted_and_name_the_newest() {
        let kept = [99, 98].map(|day| (at(day), Reason::Is(DumpScope::Archive)));
        let reason = "an archive".to_owned();
        assert_eq!(by_reason(kept.to_vec()), [Kept { reason, count: 2, newest: at(99) }]);
    }
}
