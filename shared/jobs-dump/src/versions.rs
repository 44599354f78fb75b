//! Several exports that are applied one after the other, made into one set: the newest version of each key.
//!
//! | stage | batches | does |
//! |---|---|---|
//! | `versions` | files | sorts items and changes into groups by their keys |
//! | `newest` | groups | keeps of each key the version that was written last |
//!
//! AWS's incremental exports have a key once each. But a location stands for several of them, their times may overlap,
//! and nothing stops others from writing two changes of one key into one file, or into files that are read side by side.
//! So all of them are sorted into the job's objects first. Changes come after items; of two changes the one that was
//! written later counts, by `WriteTimestampMicros`, then by the order of exports, files and lines. Memory holds a group:
//! some 16 MB.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{BatchPlan, Outcome, Work, WorkError};
use nextbasket_objects::{Files, FoundFile};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::diff::key_of;
use crate::digest::hash_of;
use crate::error::FormatError;
use crate::format::SourceFormat;
use crate::grouped::{GroupSlice, GroupedLines, Run, own_object, size};
use crate::json::{LineChange, read_change, read_line, write_line};
use crate::manifest::same_md5;
use crate::records::{Piece, Record, Records, md5_of};
use crate::source::{Source, SourceFile};

pub(crate) const VERSIONS: &str = "versions";
pub(crate) const NEWEST: &str = "newest";

/// About how many bytes of lines a group has, and how much larger they are than their files.
const GROUP_BYTES: u64 = 16 << 20;
const UNPACKED: u64 = 8;
const MOST_GROUPS: u64 = 4_096;

/// Which of two versions is the newer one: a change comes after an item, then when it was written counts, if that is
/// known, then the order of exports, files and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Rank(bool, Option<u64>, usize, usize, u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct VersionsInput {
    file: SourceFile,
    format: SourceFormat,
    /// The file holds changes, not items.
    changes: bool,
    side: u8,
    /// Which export the file is of, and which of its files it is.
    source: usize,
    number: usize,
    keys: Vec<String>,
    groups: u64,
    /// Whether lines that cannot be read are rejected one by one; if not, the first one is a failure.
    rejects: bool,
}

/// What a file came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Gathered {
    side: u8,
    runs: Vec<Run>,
    pub lines: u64,
    pub refused: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Checkpoint {
    line: u64,
    gathered: Gathered,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct NewestInput {
    side: u8,
    slices: Vec<GroupSlice>,
    /// Whether items are wanted, not changes.
    items: bool,
}

/// The newest versions of a group's keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Newest {
    pub side: u8,
    found: FoundFile,
    pub lines: u64,
}

impl Newest {
    pub(crate) fn file(self, number: usize) -> SourceFile {
        SourceFile {
            name: format!("newest versions, part {}", number + 1),
            items: Some(self.lines),
            found: Some(self.found),
            md5: None,
            digest: None,
        }
    }
}

/// A line of the job's objects.
#[derive(Debug, Serialize, Deserialize)]
struct RankedLine<'a> {
    /// The hash of the key, as hexadecimal digits.
    key: String,
    rank: Rank,
    #[serde(borrow)]
    line: &'a RawValue,
}

/// What a line says, as the text of a line of DynamoDB JSON.
struct Version {
    key: u128,
    written_micros: Option<u64>,
    text: Box<RawValue>,
}

/// A line that was read, or the item of a line of another format.
enum ReadVersion {
    Version(Version),
    Other(LineChange),
}

impl From<LineChange> for ReadVersion {
    fn from(change: LineChange) -> Self {
        Self::Other(change)
    }
}

/// The sources of a side whose lines are sorted, and how.
pub(crate) struct Sides<'a> {
    pub side: u8,
    pub sources: &'a [Source],
    /// Without those that hold items.
    pub only_changes: bool,
    /// The names of the attributes of the key.
    pub keys: &'a [String],
    pub rejects: bool,
}

/// The batches of `versions`.
pub(crate) fn versions(of: &Sides<'_>) -> Vec<BatchPlan> {
    let meant = || of.sources.iter().enumerate().filter(|(_, source)| source.incremental || !of.only_changes);
    let bytes = meant().fold(0_u64, |sum, (_, source)| sum.saturating_add(source.bytes()));
    let groups = bytes.saturating_mul(UNPACKED).div_ceil(GROUP_BYTES).clamp(1, MOST_GROUPS);
    let mut batches = Vec::new();
    for (at, source) in meant() {
        for (number, file) in source.files.iter().enumerate() {
            let input = VersionsInput {
                file: file.clone(),
                format: source.format,
                changes: source.incremental,
                side: of.side,
                source: at,
                number,
                keys: of.keys.to_vec(),
                groups,
                rejects: of.rejects,
            };
            batches.push(BatchPlan {
                weight: file.found.as_ref().map_or(0, |found| found.bytes),
                of: file.plausible_items(),
                ..BatchPlan::new(json!(input))
            });
        }
    }
    batches
}

/// The batches of `newest`, whose lines are items if those are wanted, else changes.
pub(crate) fn newest(gathered: &[Gathered], items: bool) -> Vec<BatchPlan> {
    let mut groups: BTreeMap<(u8, u32), Vec<GroupSlice>> = BTreeMap::new();
    for part in gathered {
        for (group, slice) in part.runs.iter().flat_map(Run::slices) {
            groups.entry((part.side, group)).or_default().push(slice);
        }
    }
    let batch = |((side, _), slices): ((u8, u32), Vec<GroupSlice>)| BatchPlan {
        weight: slices.iter().fold(0_u64, |sum, slice| sum.saturating_add(slice.length)),
        ..BatchPlan::new(json!(NewestInput { side, slices, items }))
    };
    groups.into_iter().map(batch).collect()
}

pub(crate) async fn work_versions(work: &mut Work, files: &Files) -> Result<Outcome, WorkError> {
    let input: VersionsInput = work.input()?;
    let name = &input.file.name;
    let found = input.file.found()?;
    let mut state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    state.gathered.side = input.side;
    if let Some(md5) = &input.file.md5
        && state.line == 0
        && !same_md5(md5, &STANDARD.encode(md5_of(files, found).await?))
    {
        return Err(WorkError::Failed(format!(
            "{name}: its MD5 differs from the manifest; nothing was written"
        )));
    }
    let (keys, changes) = (input.keys.clone(), input.changes);
    let read = move |line, text: &[u8]| version(&keys, changes, line, text).map(ReadVersion::Version);
    let mut records = Records::open_with(files, found, input.format.into(), state.line, read).await?;
    let mut lines = GroupedLines::default();
    loop {
        let piece = records.next().await.map_err(|error| match WorkError::from(error) {
            WorkError::Failed(problem) => WorkError::Failed(format!("{name}: {problem}")),
            other => other,
        });
        let Piece::Chunk(chunk) = piece? else { break };
        work.progress.processed += size(chunk.len());
        work.progress.matched += size(chunk.len());
        for Record { line, change } in chunk {
            state.line = line;
            state.gathered.lines += 1;
            let version = change.and_then(|read| match read {
                ReadVersion::Version(version) => Ok(version),
                ReadVersion::Other(change) => of_item(&input, change).map_err(|error| error.0),
            });
            match version {
                Ok(version) => {
                    let (group, line) = ranked(&input, line, &version)?;
                    lines.push(group, line);
                }
                Err(problem) if input.rejects => {
                    work.refuse(&json!({ "file": name, "line": line }), &problem);
                    state.gathered.refused += 1;
                }
                Err(problem) => return Err(WorkError::Failed(format!("{name}: line {line}: {problem}"))),
            }
        }
        if lines.page() || work.must_stop() {
            lines.flush(work, &mut state.gathered.runs).await?;
            if work.save(&state).await? == Go::Stop {
                return Ok(Outcome::Stopped);
            }
        }
    }
    lines.flush(work, &mut state.gathered.runs).await?;
    let read = state.gathered.lines;
    if let Some(items) = input.file.items.filter(|items| *items != read) {
        return Err(WorkError::Failed(format!("{name}: has {read} lines, but the manifest says {items}")));
    }
    Outcome::done(&state.gathered)
}

/// The line for the job's objects, with its group.
fn ranked(input: &VersionsInput, line: u64, version: &Version) -> Result<(u32, Vec<u8>), WorkError> {
    let rank = Rank(input.changes, version.written_micros, input.source, input.number, line);
    let ranked = RankedLine { key: format!("{:032x}", version.key), rank, line: &version.text };
    let mut written = serde_json::to_vec(&ranked)?;
    written.push(b'\n');
    let group = version.key % u128::from(input.groups.max(1));
    Ok((u32::try_from(group).unwrap_or(0), written))
}

/// A line of DynamoDB JSON.
fn version(keys: &[String], changes: bool, line: u64, text: &[u8]) -> Result<Version, String> {
    let raw = || serde_json::from_slice(text).map_err(|error| error.to_string());
    if !changes {
        let LineChange::Put(item) = read_line(line, text).map_err(|error| error.problem)? else {
            return Err("no \"Item\" in the line".to_owned());
        };
        let key = key_of(keys, &item).map_err(|error| error.0)?;
        return Ok(Version { key: hash_of(&key), written_micros: None, text: raw()? });
    }
    let change = read_change(line, text).map_err(|error| error.problem)?;
    if change.keys.len() != keys.len() || keys.iter().any(|name| !change.keys.contains_key(name)) {
        return Err(format!("Keys must have {}, the key of the table", keys.join(" and ")));
    }
    let key = key_of(keys, &change.keys).map_err(|error| error.0)?;
    Ok(Version { key: hash_of(&key), written_micros: change.written_micros, text: raw()? })
}

/// An item of another format.
fn of_item(input: &VersionsInput, change: LineChange) -> Result<Version, FormatError> {
    let LineChange::Put(item) = change else { return Err(FormatError::new("not an item")) };
    if input.changes {
        return Err(FormatError::new("not a change"));
    }
    let mut line = Vec::new();
    write_line(&item, &mut line)?;
    let key = hash_of(&key_of(&input.keys, &item)?);
    Ok(Version { key, written_micros: None, text: serde_json::from_slice(&line)? })
}

pub(crate) async fn work_newest(work: &mut Work, files: &Files) -> Result<Outcome, WorkError> {
    let input: NewestInput = work.input()?;
    let mut newest: BTreeMap<String, (Rank, Box<RawValue>)> = BTreeMap::new();
    for slice in &input.slices {
        let content = slice.read(work, files).await?;
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let RankedLine { key, rank, line } = serde_json::from_slice(line)?;
            if newest.get(&key).is_none_or(|(other, _)| *other < rank) {
                newest.insert(key, (rank, line.to_owned()));
            }
        }
    }
    let (mut content, mut lines) = (Vec::new(), 0);
    for (_, line) in newest.values() {
        if input.items {
            let change =
                read_line(0, line.get().as_bytes()).map_err(|error| WorkError::Failed(error.to_string()))?;
            let LineChange::Put(item) = change else { continue };
            write_line(&item, &mut content)?;
        } else {
            content.extend_from_slice(line.get().as_bytes());
            content.push(b'\n');
        }
        lines += 1;
    }
    work.progress.processed += lines;
    let bytes = size(content.len());
    let object = work.put_own("newest.json", content).await?;
    Outcome::done(&Newest { side: input.side, found: own_object(work, &object, bytes), lines })
}
