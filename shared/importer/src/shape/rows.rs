//! The rows of our own columns that a file's records become, one after the other.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::columns::{FileColumn, RecordKind};
use crate::error::ImportError;
use crate::file_layout::{FileLayout, FilePosition};
use crate::line_reader::LineReader;
use crate::record_reader::RecordReader;
use crate::refusal::{RecordFault, RefusalReason};

use super::{JoinedFiles, RowAbove, Shaper, line};

/// A queue of shaped rows, and a reader for them.
pub(crate) struct ShapedRows {
    shaper: Shaper,
    /// Has the row that was loaded last: rows of our own columns are read as those of any file.
    pub(crate) records: RecordReader<'static>,
    /// Each with the line that it comes from.
    pub(crate) queue: VecDeque<(u64, Vec<u8>)>,
    /// Whether the newest record became a single row.
    pub(crate) is_alone: bool,
}

impl ShapedRows {
    /// For a file of this layout, from this position on; `None` if its rows are read as they are.
    ///
    /// # Errors
    /// [`ImportError`] if the layout does not belong to such a file.
    pub(crate) fn new(
        layout: &FileLayout,
        joined: &JoinedFiles,
        kind: RecordKind,
        position: &FilePosition,
    ) -> Result<Option<Self>, ImportError> {
        let Some(shape) = layout.shape.clone() else { return Ok(None) };
        let lines = LineReader::new(Box::new(io::empty()));
        let records = RecordReader::of(&layout.gathered(), lines, kind, Arc::default())?;
        let queued = position.queued.iter().map(|(line, row)| (*line, row.clone().into_bytes()));
        Ok(Some(Self {
            shaper: Shaper::new(shape, &layout.names, joined.clone(), position.above.clone()),
            records,
            queue: queued.collect(),
            is_alone: false,
        }))
    }

    /// What a position has to know of this.
    pub(crate) fn state(&self) -> (RowAbove, Vec<(u64, String)>) {
        let queued = self.queue.iter().map(|(line, row)| (*line, String::from_utf8_lossy(row).into_owned()));
        (self.shaper.above.clone(), queued.collect())
    }

    /// Adds the rows of a record to the queue.
    ///
    /// # Errors
    /// Why the record is refused.
    pub(crate) fn push(&mut self, record: &RecordReader<'_>) -> Result<(), RecordFault> {
        let rows = self.shaper.shaped(&record.cells())?;
        if rows.is_empty() {
            return Err(RecordFault::of_record(RefusalReason::NoLines, "the order has no lines"));
        }
        self.is_alone = rows.len() == 1;
        self.queue.extend(rows.iter().map(|row| (record.line(), line(row))));
        Ok(())
    }

    /// Loads the next row into the reader.
    pub(crate) fn next(&mut self) -> Option<()> {
        let (line, row) = self.queue.pop_front()?;
        self.records.load(line, &row);
        Some(())
    }

    /// Whether a column of the file takes part in what its rows become, besides being one of ours.
    pub(crate) fn uses(&self, column: &str) -> bool {
        self.shaper.uses(column)
    }

    /// The file's own name for a column of ours.
    pub(crate) fn name_of(&self, column: FileColumn) -> Option<String> {
        self.shaper.shape().names_of(column)
    }
}
