//! Which older dumps are removed.

use nextbasket_domain::Timestamp;
use nextbasket_job_engine::WorkError;
use nextbasket_objects::{Files, Location};

use crate::dump::begin::Begun;
use crate::dump::exports;
use crate::dump::parameters::Keep;
use crate::dump::running::{FRESH_MS, last_seen};
use crate::manifest::{DumpRecord, RECORD, SETTINGS, SUMMARY, TableSettings};

const DAY: i64 = 24 * 60 * 60 * 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    at: Location,
    /// When it was submitted, as its id says.
    millis: i64,
    /// Whether it has a summary, and all items.
    good: bool,
    /// When a worker last worked on it, if it has no summary.
    seen: Option<Timestamp>,
}

/// Removes the dumps of the same table below the same location that are to be kept no longer; tells which.
pub(super) async fn remove_older(
    files: &Files,
    below: &Location,
    newest: &Begun,
    keep: Keep,
    now: Timestamp,
) -> Result<Vec<Location>, WorkError> {
    let mut others = Vec::new();
    for folder in files.folders(&exports(below)).await? {
        if folder != newest.folder
            && let Some(other) = looked_at(files, folder, &newest.table).await?
        {
            others.push(other);
        }
    }
    let gone = no_longer_kept(others, keep, millis(&newest.export).unwrap_or(i64::MAX), now);
    for folder in &gone {
        // Without its summary it is no dump any more, should the rest stay behind.
        files.remove(&folder.join(SUMMARY)).await?;
        files.remove_folder(folder).await?;
    }
    Ok(gone)
}

fn millis(export: &str) -> Option<i64> {
    export.split_once('-')?.0.parse().ok()
}

/// `None` if it is not one of ours, or another table's.
async fn looked_at(files: &Files, at: Location, table: &str) -> Result<Option<Other>, WorkError> {
    let Some(millis) = millis(&at.name()) else { return Ok(None) };
    let settings = files.read_if_found(&at.join(SETTINGS)).await?;
    let settings = settings.and_then(|content| serde_json::from_slice::<TableSettings>(&content).ok());
    if settings.is_none_or(|settings| settings.create_table.table_name != table) {
        return Ok(None);
    }
    let summary = files.read_if_found(&at.join(SUMMARY)).await?.is_some();
    let record = files.read_if_found(&at.join(RECORD)).await?;
    let record = record.and_then(|content| serde_json::from_slice::<DumpRecord>(&content).ok());
    let good = summary && record.is_some_and(|record| record.complete);
    let seen = if summary { None } else { last_seen(files, &at).await? };
    Ok(Some(Other { at, millis, good, seen }))
}

/// Complete dumps beyond the count and older than the days; incomplete ones after at least a day, and only if no
/// worker has worked on them for a day.
/// The dump that was just made counts, and stays.
fn no_longer_kept(mut others: Vec<Other>, keep: Keep, newest: i64, now: Timestamp) -> Vec<Location> {
    others.retain(|other| other.millis <= newest);
    others.sort_by_key(|other| std::cmp::Reverse(other.millis));
    let older_than = |other: &Other, days: i64| other.millis < now.as_millis().saturating_sub(days * DAY);
    let days = keep.days.map(i64::from);
    let mut good = 1;
    let mut gone = Vec::new();
    for other in others {
        let stays = if other.good {
            good += 1;
            keep.count.is_some_and(|count| good <= count)
                || days.is_some_and(|days| !older_than(&other, days))
        } else {
            let fresh = now.as_millis().saturating_sub(FRESH_MS);
            other.seen.is_some_and(|seen| seen.as_millis() >= fresh)
                || !older_than(&other, days.unwrap_or(1).max(1))
        };
        if !stays {
            gone.push(other.at);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Location {
        format!("/d/{:014}-x", day * DAY).parse().unwrap()
    }

    fn gone(count: Option<u32>, days: Option<u32>, dumps: &[(i64, bool)]) -> Vec<i64> {
        let others = dumps
            .iter()
            .map(|&(day, good)| Other { at: at(day), millis: day * DAY, good, seen: None })
            .collect();
        let now = Timestamp::from_millis(100 * DAY + 1).unwrap();
        let gone = no_longer_kept(others, Keep { count, days }, 100 * DAY, now);
        let day =
            |folder: &Location| dumps.iter().map(|(day, _)| *day).find(|day| at(*day) == *folder).unwrap();
        gone.iter().map(day).collect()
    }

    #[test]
    fn the_newest_and_the_last_days_are_kept() {
        let dumps = [(99, true), (98, true), (97, true), (50, true)];
        assert_eq!(gone(Some(3), None, &dumps), [97, 50]);
        assert_eq!(gone(None, Some(10), &dumps), [50]);
        assert_eq!(gone(Some(1), Some(3), &dumps), [97, 50]);
        assert_eq!(gone(Some(1), None, &dumps), [99, 98, 97, 50]);
        assert_eq!(gone(Some(10), Some(1), &dumps), [0_i64; 0]);
    }

    #[test]
    fn a_dump_that_is_not_whole_counts_for_none_and_goes_after_a_day() {
        assert_eq!(gone(Some(2), None, &[(100, false), (99, true), (98, false), (97, true)]), [98, 97]);
        assert_eq!(gone(Some(2), Some(5), &[(98, false), (90, false), (89, true)]), [90]);
    }

    #[test]
    fn a_dump_that_is_being_made_stays_however_old_it_is() {
        let now = 100 * DAY + 1;
        let seen = |ago: i64| Timestamp::from_millis(now - ago).unwrap();
        let other = |seen| Other { at: at(90), millis: 90 * DAY, good: false, seen };
        let gone = |seen| {
            let keep = Keep { count: Some(1), days: None };
            no_longer_kept(vec![other(seen)], keep, 100 * DAY, Timestamp::from_millis(now).unwrap()).len()
        };
        assert_eq!(gone(Some(seen(DAY))), 0);
        assert_eq!(gone(Some(seen(DAY + 1))), 1);
        assert_eq!(gone(None), 1);
    }

    #[test]
    fn a_later_dump_is_none_of_its_business() {
        assert_eq!(gone(Some(1), None, &[(101, true), (99, true)]), [99]);
    }
}
