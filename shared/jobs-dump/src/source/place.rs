//! What a location stands for that holds dumps and exports.
//!
//! * The newest complete dump or full export of all items; the incremental exports that follow it, in the order of the
//!   times that they are of, belong to it. Where they leave a gap, the location stands for nothing.
//! * Without a complete dump, all archives: together they are what was moved out of the table.
//!
//! Anything else (a dump of some items, an incomplete one, the schema alone, an increment without a full export) is meant
//! only when its own folder is named.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use nextbasket_domain::Timestamp;
use nextbasket_job_engine::JobError;
use nextbasket_objects::{Files, Location};
use serde::{Deserialize, Serialize};

use crate::manifest::{DumpRecord, DumpScope, RECORD, SETTINGS, SUMMARY, Summary, TableSettings};
use crate::source::{Source, export};

/// How many manifests are read at a time.
const AT_ONCE: usize = 8;

/// What a location stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Located {
    /// One, or several that are applied in this order: of the items with one key the last one counts.
    pub sources: Vec<Source>,
    /// What else is there, one sentence each.
    pub notes: Vec<String>,
}

impl Located {
    pub(super) fn of(source: Source) -> Self {
        Self { sources: vec![source], notes: Vec::new() }
    }

    /// Whether some of it are changes.
    pub(crate) fn is_incremental(&self) -> bool {
        self.sources.iter().any(|source| source.incremental)
    }

    /// What is wrong with the manifests.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.sources.iter().flat_map(|source| &source.problems)
    }

    /// Their folders.
    pub(crate) fn folders(&self) -> Vec<&Location> {
        self.sources.iter().map(|source| &source.at).collect()
    }
}

#[derive(Debug, Clone)]
struct Candidate {
    folder: Location,
    /// The ARN of its table, or what else there is in its place.
    arn: String,
    table: String,
    /// Of which time it is, in milliseconds.
    time: i64,
    holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Items(DumpScope),
    /// Changes from a time until another one.
    Changes(Option<(i64, i64)>),
}

impl Candidate {
    async fn read(files: &Files, folder: Location) -> Result<Option<Self>, JobError> {
        let Some(content) = files.read_if_found(&folder.join(SUMMARY)).await? else { return Ok(None) };
        // One that cannot be read is taken for a full one, so that it fails by its name instead of being passed over.
        let summary = match serde_json::from_slice(&content) {
            Ok(summary) => summary,
            Err(_) => of_settings(files, &folder).await?,
        };
        let holds = if summary.is_incremental() {
            let times = (millis(summary.export_from_time.as_ref()), millis(summary.export_to_time.as_ref()));
            Holds::Changes(times.0.zip(times.1))
        } else {
            let record = files.read_if_found(&folder.join(RECORD)).await?;
            let record = record.and_then(|content| serde_json::from_slice::<DumpRecord>(&content).ok());
            Holds::Items(record.map_or(DumpScope::Full, |record| record.scope()))
        };
        let begun = || folder.name().split_once('-').and_then(|(millis, _)| millis.parse().ok());
        let time = millis(summary.export_time.as_ref()).or_else(begun).unwrap_or(0);
        let table = summary.table().map(str::to_owned).unwrap_or_default();
        let arn = summary.table_arn.unwrap_or_default();
        Ok(Some(Self { folder, arn, table, time, holds }))
    }

    fn holds(&self, scope: DumpScope) -> bool {
        self.holds == Holds::Items(scope)
    }

    fn noun(&self) -> &'static str {
        match self.holds {
            Holds::Items(scope) => scope.noun(),
            Holds::Changes(_) => "an incremental export",
        }
    }
}

/// Which table a dump is of whose summary is damaged.
async fn of_settings(files: &Files, folder: &Location) -> Result<Summary, JobError> {
    let settings = files.read_if_found(&folder.join(SETTINGS)).await?;
    let settings = settings.and_then(|content| serde_json::from_slice::<TableSettings>(&content).ok());
    Ok(Summary { table_arn: settings.and_then(|settings| settings.table_arn), ..Summary::default() })
}

fn millis(time: Option<&String>) -> Option<i64> {
    Some(Timestamp::parse(time?).ok()?.as_millis())
}

/// What the folders below `from` stand for.
pub(super) async fn located(
    files: &Files,
    from: &Location,
    below: Vec<Location>,
    table: Option<&str>,
) -> Result<Located, JobError> {
    let found: Vec<Option<Candidate>> = futures::stream::iter(below)
        .map(|folder| Box::pin(Candidate::read(files, folder)))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let of_table = of_one_table(from, found.into_iter().flatten().collect(), table)?;
    let (chosen, notes) = chosen(from, of_table)?;
    let mut sources = Vec::with_capacity(chosen.len());
    for folder in &chosen {
        sources.push(Box::pin(export(files, folder)).await?);
    }
    if sources.len() > 1 {
        sources.iter_mut().for_each(name_by_folder);
    }
    Ok(Located { sources, notes })
}

/// Several exports may have files of one name.
fn name_by_folder(source: &mut Source) {
    let folder = source.at.name();
    for name in source.files.iter_mut().map(|file| &mut file.name).chain(&mut source.problems) {
        *name = format!("{folder}/{name}");
    }
}

/// The dumps of the table that is meant.
fn of_one_table(
    from: &Location,
    found: Vec<Candidate>,
    table: Option<&str>,
) -> Result<Vec<Candidate>, JobError> {
    let is_named = found.iter().any(|found| Some(found.table.as_str()) == table);
    let meant: Vec<Candidate> =
        found.into_iter().filter(|found| !is_named || Some(found.table.as_str()) == table).collect();
    let mut newest: BTreeMap<&str, &Candidate> = BTreeMap::new();
    for candidate in &meant {
        let newer = newest.get(candidate.arn.as_str()).is_none_or(|other| candidate.time >= other.time);
        if newer {
            newest.insert(&candidate.arn, candidate);
        }
    }
    if newest.len() < 2 {
        return Ok(meant);
    }
    // Tables of one name, in several accounts or regions, are told apart by their ARNs.
    let names: BTreeSet<&str> = newest.values().map(|candidate| candidate.table.as_str()).collect();
    let by_arn = names.len() < newest.len();
    let named = newest.values().map(|candidate| {
        let of = if by_arn { &candidate.arn } else { &candidate.table };
        format!("{of} in {}", candidate.folder)
    });
    let named = named.collect::<Vec<_>>().join(", ");
    Err(JobError::Failed(format!(
        "{from}: contains dumps of several tables ({named}). Give the folder of one of them."
    )))
}

/// The folders that are meant, in the order in which they are applied, and notes on others.
fn chosen(from: &Location, mut all: Vec<Candidate>) -> Result<(Vec<Location>, Vec<String>), JobError> {
    all.sort_by_cached_key(|candidate| (candidate.time, candidate.folder.name()));
    let Some(full) = all.iter().rev().find(|candidate| candidate.holds(DumpScope::Full)) else {
        return archives(from, &all);
    };
    let mut folders = vec![full.folder.clone()];
    folders.extend(increments(from, full, &all)?);
    let mut others: BTreeMap<&str, (usize, &Location)> = BTreeMap::new();
    for candidate in &all {
        let is_increment = matches!(candidate.holds, Holds::Changes(_));
        // Full ones are older, and so replaced.
        if !is_increment && !candidate.holds(DumpScope::Full) && candidate.time >= full.time {
            let other = others.entry(candidate.noun()).or_insert((0, &candidate.folder));
            *other = (other.0 + 1, &candidate.folder);
        }
    }
    let notes = others.into_iter().map(|(noun, (count, newest))| {
        let more = if count > 1 { format!(" (and {} older)", count - 1) } else { String::new() };
        format!("{newest}{more}, {noun}, is not part of it: give its own folder if it is meant")
    });
    Ok((folders, notes.collect()))
}

/// Those that lead on from the full export, without a gap.
fn increments(from: &Location, full: &Candidate, all: &[Candidate]) -> Result<Vec<Location>, JobError> {
    let mut changes = Vec::new();
    for candidate in all {
        match candidate.holds {
            Holds::Changes(Some((begin, end))) if end > full.time => {
                changes.push((end, begin, &candidate.folder));
            }
            Holds::Changes(None) => {
                let problem = "an incremental export whose manifest-summary.json has no valid exportFromTime and \
                               exportToTime";
                return Err(JobError::Failed(format!("{}: {problem}", candidate.folder)));
            }
            _ => {}
        }
    }
    changes.sort_unstable_by_key(|(end, begin, folder)| (*end, *begin, folder.name()));
    // One that ends later may begin earlier and so close what looks like a gap.
    let mut begins: Vec<i64> = changes.iter().map(|(_, begin, _)| *begin).collect();
    for at in (0..begins.len().saturating_sub(1)).rev() {
        let earliest = begins.get(at + 1).copied().unwrap_or(i64::MAX);
        if let Some(begin) = begins.get_mut(at) {
            *begin = earliest.min(*begin);
        }
    }
    let mut until = full.time;
    for ((end, _, folder), begin) in changes.iter().zip(begins) {
        if begin > until {
            let [gap, next] = [until, begin].map(shown);
            let folder = folder.name();
            return Err(JobError::Failed(format!(
                "{from}: no incremental export covers the time from {gap} to {next}, before {folder}. Add the missing \
                 export, or give {} to have the full export alone.",
                full.folder
            )));
        }
        until = until.max(*end);
    }
    Ok(changes.into_iter().map(|(_, _, folder)| folder.clone()).collect())
}

fn shown(millis: i64) -> String {
    Timestamp::from_millis(millis).map_or_else(|_| millis.to_string(), |time| time.to_string())
}

/// All archives of a location without a full dump, the oldest first.
fn archives(from: &Location, all: &[Candidate]) -> Result<(Vec<Location>, Vec<String>), JobError> {
    let (archives, others): (Vec<&Candidate>, Vec<&Candidate>) =
        all.iter().partition(|candidate| candidate.holds(DumpScope::Archive));
    let others: Vec<&Candidate> = others
        .into_iter()
        .filter(|candidate| !candidate.holds(DumpScope::Schema) || archives.is_empty())
        .collect();
    if others.is_empty() && !archives.is_empty() {
        return Ok((archives.into_iter().map(|archive| archive.folder.clone()).collect(), Vec::new()));
    }
    let Some(newest) = all.last() else {
        return Err(JobError::Failed(format!("{from}: no complete dump found")));
    };
    let nouns: BTreeSet<&str> = all.iter().map(Candidate::noun).collect();
    let nouns = nouns.into_iter().collect::<Vec<_>>().join(", ");
    Err(JobError::Failed(format!(
        "{from}: no complete dump found, only {nouns}. Give the folder of the one that is meant, such as {}.",
        newest.folder
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Holds = Holds::Items(DumpScope::Full);

    fn candidate(name: &str, time: i64, holds: Holds) -> Candidate {
        let folder = format!("/p/AWSDynamoDB/{name}").parse().unwrap();
        Candidate { folder, arn: "arn".to_owned(), table: "orders".to_owned(), time, holds }
    }

    fn changes(name: &str, begin: i64, end: i64) -> Candidate {
        candidate(name, end, Holds::Changes(Some((begin, end))))
    }

    fn names(all: Vec<Candidate>) -> Result<Vec<String>, String> {
        let chosen = chosen(&"/p".parse().unwrap(), all).map_err(|error| error.to_string())?;
        Ok(chosen.0.iter().map(Location::name).collect())
    }

    #[test]
    fn increments_follow_the_full_export_by_their_times() {
        let all = || {
            vec![
                changes("d", 30, 40),
                candidate("old", 5, FULL),
                candidate("full", 10, FULL),
                changes("a", 0, 10),
                changes("c", 20, 30),
                changes("b", 10, 20),
            ]
        };
        assert_eq!(names(all()).unwrap(), ["full", "b", "c", "d"]);
        let mut overlapping = all();
        overlapping.push(changes("e", 15, 35));
        assert_eq!(names(overlapping).unwrap(), ["full", "b", "c", "e", "d"]);
        let mut gap = all();
        gap.retain(|candidate| candidate.folder.name() != "c");
        let problem = names(gap.clone()).unwrap_err();
        assert!(problem.contains("from 1970-01-01T00:00:00.020Z to 1970-01-01T00:00:00.030Z"), "{problem}");
        // A longer one closes it.
        gap.push(changes("long", 10, 50));
        assert_eq!(names(gap).unwrap(), ["full", "b", "d", "long"]);
    }

    #[test]
    fn the_newest_complete_dump_is_meant_whatever_else_is_newer() {
        let others = [DumpScope::Filtered, DumpScope::Archive, DumpScope::Schema, DumpScope::Incomplete];
        let others = others.map(|scope| candidate(&format!("{scope:?}"), 20, Holds::Items(scope)));
        let mut all = vec![candidate("old", 5, FULL), candidate("new", 10, FULL)];
        all.extend(others.clone());
        let (chosen, notes) = chosen(&"/p".parse().unwrap(), all).unwrap();
        assert_eq!(chosen.iter().map(Location::name).collect::<Vec<_>>(), ["new"]);
        assert_eq!(notes.len(), 4, "{notes:?}");
        for other in others {
            let is_archive = other.holds(DumpScope::Archive);
            assert_eq!(names(vec![other]).is_ok(), is_archive);
        }
        names(vec![changes("b", 10, 20)]).unwrap_err();
    }

    #[test]
    fn a_location_that_holds_only_archives_stands_for_all_of_them() {
        let archive = |name, time| candidate(name, time, Holds::Items(DumpScope::Archive));
        let schema = candidate("s", 9, Holds::Items(DumpScope::Schema));
        let all = vec![archive("b", 20), archive("a", 10), schema];
        assert_eq!(names(all.clone()).unwrap(), ["a", "b"]);
        let mut mixed = all;
        mixed.push(candidate("f", 5, Holds::Items(DumpScope::Filtered)));
        let problem = names(mixed).unwrap_err();
        assert!(
            problem.contains("only a dump of some items, a dump of the schema alone, an archive"),
            "{problem}"
        );
    }
}
