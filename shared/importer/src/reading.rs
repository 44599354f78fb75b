//! The loop over a file's records, whatever they hold.

use std::io::{Read, Write};

use crate::columns::Kind;
use crate::error::ImportError;
use crate::options::Options;
use crate::records::{Next, Records};
use crate::refusal::{Fault, Refusals};
use crate::summary::{Progress, Summary};

/// A call of the progress hook for so many records.
const PROGRESS_RECORDS: u64 = 4_096;

/// Offers every record to `take`, writes what it or the form refuses, and counts.
pub(crate) fn read(
    reader: impl Read,
    kind: Kind,
    options: &Options,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
    mut take: impl FnMut(&Records<'_>) -> Result<(), Fault>,
) -> Result<Summary, ImportError> {
    let mut records = Records::open(reader, kind, &options.mapping)?;
    let mut summary = Summary::new(kind, records.file_form());
    let mut refusals = Refusals::new(refused);
    while summary.ended_early.is_none() {
        let result = match records.next() {
            Next::Record => take(&records),
            Next::Fault(fault) => Err(fault),
            Next::Broken(error, fault) => {
                summary.ended_early = Some(error.to_string());
                match fault {
                    Some(fault) => Err(fault),
                    None => break,
                }
            }
            Next::End => break,
        };
        summary.records += 1;
        match result {
            Ok(()) => summary.taken += 1,
            Err(fault) => refusals.write_last(&records, &fault)?,
        }
        if summary.records.is_multiple_of(PROGRESS_RECORDS) {
            progress(records.progress());
        }
    }
    progress(records.progress());
    records.check_presence(summary.taken)?;
    summary.refused = refusals.finish()?;
    summary.lines = records.progress().lines;
    summary.ignored_columns = records.ignored();
    Ok(summary)
}

pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
