//! Items of the buckets that differ, into the job's objects: sorted by group, so that a group is a slice of each.

use std::collections::HashMap;

use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::diff::buckets::{bucket_of, key_of, refuse_problems, unreadable};
use crate::diff::compare::Slice;
use crate::json::write_line;
use crate::parts::{Part, PartPage, PartPosition, PartReader, count_lines};
use crate::settings::ScanSettings;

/// An object is written when so many bytes are held.
const HELD: usize = 4 << 20;
/// Without so many, after so many pages.
const PAGES: u32 = 32;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GatherInput {
    pub part: Part,
    pub groups: String,
}

/// The buckets of each group.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Groups(pub Vec<Vec<u16>>);

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Gathered {
    side: u8,
    runs: Vec<Run>,
}

/// An object, and where each group is in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    object: String,
    groups: Vec<(u32, u64, u64)>,
}

impl Gathered {
    pub(crate) fn slices(&self) -> impl Iterator<Item = (u32, Slice)> + '_ {
        let slices = |run: &Run| {
            let (object, side) = (run.object.clone(), self.side);
            let groups = run.groups.clone().into_iter();
            groups.map(move |(group, from, length)| {
                (group, Slice { side, object: object.clone(), from, length })
            })
        };
        self.runs.iter().flat_map(slices)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    at: PartPosition,
    gathered: Gathered,
}

pub(crate) async fn work(
    work: &mut Work,
    files: &Files,
    keys: &[String],
    scan: ScanSettings,
) -> Result<Outcome, CallError> {
    let input: GatherInput = work.input()?;
    let groups: Groups = work.read_json(&input.groups).await?;
    let mut group_of = HashMap::new();
    for (n, buckets) in groups.0.iter().enumerate() {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        group_of.extend(buckets.iter().map(|bucket| (*bucket, n)));
    }
    let part = &input.part;
    let mut state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    state.gathered.side = part.side;
    let mut reader = PartReader::open(work, files, part, &state.at, scan).await?;
    let (mut lines, mut held, mut pages): (Vec<(u32, Vec<u8>)>, usize, u32) = (Vec::new(), 0, 0);
    loop {
        match reader.next(work).await? {
            PartPage::Items { items, problems, at } => {
                refuse_problems(part, &problems)?;
                count_lines(work, part, items.len(), 0);
                for item in &items {
                    let key = key_of(keys, item).map_err(|error| unreadable(part, &error.0))?;
                    if let Some(group) = group_of.get(&bucket_of(&key)) {
                        let mut line = Vec::new();
                        write_line(item, &mut line).map_err(|error| unreadable(part, &error.0))?;
                        held += line.len();
                        lines.push((*group, line));
                    }
                }
                pages += 1;
                state.at = at;
                let due = held >= HELD || pages >= PAGES || work.must_stop();
                if due && !reader.is_at_end() {
                    flush(work, &mut lines, &mut state.gathered).await?;
                    (held, pages) = (0, 0);
                    if work.save(&state).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                }
            }
            PartPage::End(_) => {
                flush(work, &mut lines, &mut state.gathered).await?;
                return Ok(Outcome::done(&state.gathered)?);
            }
            PartPage::Broken(problem) => return Err(unreadable(part, &problem).into()),
        }
    }
}

async fn flush(
    work: &Work,
    lines: &mut Vec<(u32, Vec<u8>)>,
    gathered: &mut Gathered,
) -> Result<(), WorkError> {
    if lines.is_empty() {
        return Ok(());
    }
    lines.sort_by_key(|(group, _)| *group);
    let (mut content, mut groups): (Vec<u8>, Vec<(u32, u64, u64)>) = (Vec::new(), Vec::new());
    for (group, line) in lines.drain(..) {
        let (at, length) = (size(content.len()), size(line.len()));
        match groups.last_mut() {
            Some((last, _, sum)) if *last == group => *sum += length,
            _ => groups.push((group, at, length)),
        }
        content.extend(line);
    }
    let object = work.put_own(&format!("items-{:06}", gathered.runs.len()), content).await?;
    gathered.runs.push(Run { object, groups });
    Ok(())
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
