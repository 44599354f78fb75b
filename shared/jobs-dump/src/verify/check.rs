//! A part is read once: its count and digest, and of a file whether it is what the manifest says.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::digest::ItemsDigest;
use crate::manifest::same_md5;
use crate::parts::{Part, PartOf, PartPage, PartPosition, PartReader, count_lines};
use crate::settings::ScanSettings;
use crate::source::SourceFile;

/// The time between two checkpoints. A page that is read again changes nothing.
const BETWEEN_SAVES: Duration = Duration::from_secs(2);
const NAMED_LINES: u64 = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Checked {
    pub side: u8,
    /// Of a dump: which of its sources.
    #[serde(default)]
    pub source: usize,
    pub digest: ItemsDigest,
    pub problems: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    at: PartPosition,
    digest: ItemsDigest,
    problems: Vec<String>,
    /// Lines that are no items.
    bad: u64,
}

pub(crate) async fn work(work: &mut Work, files: &Files, scan: ScanSettings) -> Result<Outcome, CallError> {
    let part: Part = work.input()?;
    let mut state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    let mut reader = PartReader::open(work, files, &part, &state.at, scan).await?;
    let (mut saved, mut scratch) = (Instant::now(), Vec::new());
    let whole = loop {
        match reader.next(work).await? {
            PartPage::Items { items, problems, at } => {
                count_lines(work, &part, items.len(), problems.len());
                for item in &items {
                    match ItemsDigest::of(item, &mut scratch) {
                        Ok(digest) => state.digest += digest,
                        Err(error) => state.bad_line(&part, &error.0),
                    }
                }
                for problem in &problems {
                    state.bad_line(&part, problem);
                }
                state.at = at;
                let due = saved.elapsed() >= BETWEEN_SAVES || work.must_stop();
                if due && !reader.is_at_end() {
                    if work.save(&state).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                    saved = Instant::now();
                }
            }
            PartPage::End(whole) => break Ok(whole),
            PartPage::Broken(problem) => break Err(problem),
        }
    };
    let Checkpoint { digest, mut problems, bad, .. } = state;
    let mut of_source = 0;
    if let PartOf::File { file, source, .. } = &part.of {
        of_source = *source;
        let name = &file.name;
        if bad > NAMED_LINES {
            problems.push(format!("{name}: {} more lines are not valid items", bad - NAMED_LINES));
        }
        match whole {
            Ok(whole) => compare(file, whole, digest, &mut problems),
            Err(problem) => {
                problems.push(format!("{name}: {problem}"));
                compare(file, None, digest, &mut problems);
            }
        }
    }
    Ok(Outcome::done(&Checked { side: part.side, source: of_source, digest, problems })?)
}

impl Checkpoint {
    fn bad_line(&mut self, part: &Part, problem: &str) {
        self.bad += 1;
        if self.bad <= NAMED_LINES {
            self.problems.push(format!("{}: {problem}", part.name()));
        }
    }
}

/// The file against what the manifest says of it.
fn compare(
    file: &SourceFile,
    whole: Option<([u8; 16], u64)>,
    digest: ItemsDigest,
    problems: &mut Vec<String>,
) {
    let name = &file.name;
    if let (Some(told), Some((md5, _))) = (&file.md5, whole)
        && !same_md5(told, &STANDARD.encode(md5))
    {
        problems.push(format!("{name}: its MD5 differs from the manifest"));
    }
    if let Some(items) = file.items.filter(|items| *items != digest.count) {
        problems.push(format!("{name}: has {} items, but the manifest says {items}", digest.count));
    }
    if let Some(told) = file.digest
        && told.count == digest.count
        && told != digest
    {
        problems.push(format!("{name}: its items differ from those that were dumped"));
    }
}
