//! Items of the buckets that differ, into the job's objects: sorted by group, so that a group is a slice of each.

use std::collections::HashMap;

use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::diff::buckets::{bucket_of, key_of, refuse_problems, unreadable};
use crate::diff::compare::Slice;
use crate::grouped::{GroupedLines, Run};
use crate::json::write_line;
use crate::parts::{Part, PartPage, PartPosition, PartReader, count_lines};
use crate::settings::ScanSettings;

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

impl Gathered {
    pub(crate) fn slices(&self) -> impl Iterator<Item = (u32, Slice)> + '_ {
        let slices = self.runs.iter().flat_map(Run::slices);
        slices.map(|(group, lines)| (group, Slice { side: self.side, lines }))
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
    let mut lines = GroupedLines::default();
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
                        lines.push(*group, line);
                    }
                }
                state.at = at;
                let due = lines.page() || work.must_stop();
                if due && !reader.is_at_end() {
                    lines.flush(work, &mut state.gathered.runs).await?;
                    if work.save(&state).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                }
            }
            PartPage::End(_) => {
                lines.flush(work, &mut state.gathered.runs).await?;
                return Ok(Outcome::done(&state.gathered)?);
            }
            PartPage::Broken(problem) => return Err(unreadable(part, &problem).into()),
        }
    }
}
