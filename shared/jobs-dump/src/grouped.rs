//! Lines on their way into the job's objects, sorted by group, so that a group is a slice of each object.

use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::{Files, FoundFile, Location};
use serde::{Deserialize, Serialize};

/// The number of bytes in memory at which an object is written.
const HELD: usize = 4 << 20;
/// The number of pages after which an object is written if there are fewer bytes.
const PAGES: u32 = 32;

/// An object, and where each group is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    object: String,
    groups: Vec<(u32, u64, u64)>,
}

/// A group's lines in an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GroupSlice {
    pub object: String,
    pub from: u64,
    pub length: u64,
}

impl Run {
    pub(crate) fn slices(&self) -> impl Iterator<Item = (u32, GroupSlice)> + '_ {
        let slice = |&(group, from, length): &(u32, u64, u64)| {
            (group, GroupSlice { object: self.object.clone(), from, length })
        };
        self.groups.iter().map(slice)
    }
}

impl GroupSlice {
    pub(crate) async fn read(&self, work: &Work, files: &Files) -> Result<Vec<u8>, WorkError> {
        let found = own_object(work, &self.object, u64::MAX);
        Ok(files.read(&found, self.from..self.from.saturating_add(self.length)).await?)
    }
}

/// An object of the job as a file.
pub(crate) fn own_object(work: &Work, key: &str, bytes: u64) -> FoundFile {
    let bucket = work.site().objects.name().to_owned();
    let at = Location::Object { bucket, key: key.to_owned() };
    FoundFile { at, bytes, stamp: String::new(), modified_ms: 0 }
}

/// Lines that are held until there are enough for an object.
#[derive(Debug, Default)]
pub(crate) struct GroupedLines {
    lines: Vec<(u32, Vec<u8>)>,
    held: usize,
    pages: u32,
}

impl GroupedLines {
    pub(crate) fn push(&mut self, group: u32, line: Vec<u8>) {
        self.held += line.len();
        self.lines.push((group, line));
    }

    /// Says that a page has been read. Tells whether it is time to write and to save.
    pub(crate) fn page(&mut self) -> bool {
        self.pages += 1;
        self.held >= HELD || self.pages >= PAGES
    }

    /// Writes what is held into an object of its own.
    pub(crate) async fn flush(&mut self, work: &Work, runs: &mut Vec<Run>) -> Result<(), WorkError> {
        (self.held, self.pages) = (0, 0);
        if self.lines.is_empty() {
            return Ok(());
        }
        self.lines.sort_by_key(|(group, _)| *group);
        let (mut content, mut groups): (Vec<u8>, Vec<(u32, u64, u64)>) = (Vec::new(), Vec::new());
        for (group, line) in self.lines.drain(..) {
            let (at, length) = (size(content.len()), size(line.len()));
            match groups.last_mut() {
                Some((last, _, sum)) if *last == group => *sum += length,
                _ => groups.push((group, at, length)),
            }
            content.extend(line);
        }
        let object = work.put_own(&format!("items-{:06}", runs.len()), content).await?;
        runs.push(Run { object, groups });
        Ok(())
    }
}

pub(crate) fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
