//! Reads a file's records one after the other, from any position between two of them.

use std::io::{BufReader, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::columns::RecordKind;
use crate::error::ImportError;
use crate::file_layout::{FileLayout, FilePosition};
use crate::line_reader::LineReader;
use crate::options::ImportOptions;
use crate::record_parser::RecordParser;
use crate::record_reader::{NextRecord, RecordReader};
use crate::refusal::RecordFault;
use crate::shape::{JoinedFiles, ShapedRows};
use crate::source::{self, ReadProgress};
use crate::tally::ImportTally;

/// The result of reading the next record.
#[derive(Debug)]
pub enum ScanStep<'s> {
    /// The record is valid on its own.
    Taken(ScannedRecord<'s>),
    Refused,
    /// There is no further record.
    End,
}

/// A record that is valid on its own. An [`Assembler`](crate::Assembler) decides whether it fits the others of its
/// group.
#[derive(Debug, Clone, Copy)]
pub struct ScannedRecord<'s> {
    /// Its line in the file, counted from one.
    pub line: u64,
    /// A number that all records share which an assembler must see together; evenly distributed over all numbers.
    pub group: u64,
    /// The record in its original form.
    pub record: &'s [u8],
}

/// What is known at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanEnd {
    /// The counts of the whole file: lines, records and refusals. The results of gathering its records are added to
    /// them.
    pub tally: ImportTally,
    /// Columns that are not used.
    pub ignored_columns: Vec<String>,
    /// Why the file could not be read to its end, if so.
    pub ended_early: Option<String>,
    /// What was recognised and assumed, in sentences for people.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The file whose records the file's columns are joined to: it has none of its own.
    #[serde(default)]
    pub joined_to: Option<String>,
}

impl ScanEnd {
    /// Of a file whose columns are joined to the records of another one.
    #[must_use]
    pub fn joined_to(other: String) -> Self {
        Self {
            tally: ImportTally::default(),
            ignored_columns: Vec::new(),
            ended_early: None,
            notes: Vec::new(),
            joined_to: Some(other),
        }
    }
}

/// Reads a file's records one after the other, and rejects those that are invalid on their own. It keeps only one of
/// them in memory.
pub struct RecordScanner<'r> {
    records: RecordReader<'r>,
    /// The rows of our own columns that the file's rows become, if they do.
    shaped: Option<ShapedRows>,
    parser: RecordParser,
    tally: ImportTally,
    ended: bool,
    ended_early: Option<String>,
    notes: Vec<String>,
}

impl<'r> RecordScanner<'r> {
    /// Reads on from a position in a file of this layout. The reader begins there, or at the file's beginning if the
    /// file is packed.
    ///
    /// # Errors
    /// [`ImportError`] if the reader does not get there, or the layout does not belong to such a file.
    pub fn resume(
        reader: impl Read + Send + 'r,
        kind: RecordKind,
        options: &ImportOptions,
        (layout, joined): (&FileLayout, &JoinedFiles),
        position: &FilePosition,
    ) -> Result<Self, ImportError> {
        let (lines, bytes_read) = if layout.form.is_seekable() {
            let bytes = Box::new(BufReader::with_capacity(source::BUFFER_BYTES, reader));
            let lines = source::lines(bytes, &layout.form);
            (LineReader::at(lines, position.tally.lines, position.offset), Arc::default())
        } else {
            let source = source::open(reader, &layout.form.source)?;
            let mut lines = LineReader::new(source::lines(source.bytes, &layout.form));
            lines.skip_to(position).map_err(ImportError::Read)?;
            (lines, source.bytes_read)
        };
        let mut records = RecordReader::of(layout, lines, kind, bytes_read)?;
        records.remember(&position.keys);
        let shaped = ShapedRows::new(layout, joined, kind, position)?;
        let rules = shaped.as_ref().map_or(records.rules(), |shaped| shaped.records.rules());
        let parser = RecordParser::new(kind, options, Arc::clone(rules));
        Ok(Self {
            records,
            shaped,
            parser,
            tally: position.tally.clone(),
            ended: false,
            ended_early: None,
            notes: layout.notes().to_vec(),
        })
    }

    /// The position of the next record.
    #[must_use]
    pub fn position(&self) -> FilePosition {
        let (offset, lines) = self.records.next_line();
        let (above, queued) = self.shaped.as_ref().map(ShapedRows::state).unwrap_or_default();
        let tally = ImportTally { lines, ..self.tally.clone() };
        FilePosition { offset, tally, keys: self.records.keys(), above, queued }
    }

    /// How much of the file has been read.
    #[must_use]
    pub fn progress(&self) -> ReadProgress {
        self.records.progress()
    }

    /// Reads the next record. If it is rejected, it is written to `refused`, as one JSON object on a line.
    pub fn step(&mut self, refused: &mut dyn Write) -> Result<ScanStep<'_>, ImportError> {
        while self.shaped.as_ref().is_some_and(|shaped| shaped.queue.is_empty()) && !self.ended {
            if let Some(fault) = self.shape_next() {
                return self.refuse(&fault, refused).map(|()| ScanStep::Refused);
            }
        }
        let fault = match &mut self.shaped {
            Some(shaped) => match shaped.next() {
                Some(()) => None,
                None => return Ok(ScanStep::End),
            },
            None if self.ended => return Ok(ScanStep::End),
            None => match self.read_next() {
                Ok(true) => None,
                Ok(false) => return Ok(ScanStep::End),
                Err(fault) => Some(fault),
            },
        };
        let group = match fault {
            None => {
                let records = self.shaped.as_ref().map_or(&self.records, |shaped| &shaped.records);
                self.parser.parse(records).map(|parsed| parsed.group())
            }
            Some(fault) => Err(fault),
        };
        let group = match group {
            Ok(group) => group,
            Err(fault) => return self.refuse(&fault, refused).map(|()| ScanStep::Refused),
        };
        self.tally.records += 1;
        let (line, record) = match &self.shaped {
            Some(shaped) => (shaped.records.line(), shaped.records.raw()),
            None => (self.records.line(), self.records.raw()),
        };
        Ok(ScanStep::Taken(ScannedRecord { line, group, record }))
    }

    /// Reads the file's next record; `false` at its end.
    fn read_next(&mut self) -> Result<bool, RecordFault> {
        match self.records.next() {
            NextRecord::Record => Ok(true),
            NextRecord::Fault(fault) => Err(fault),
            NextRecord::Broken(error, fault) => {
                self.ended = true;
                self.ended_early = Some(error.to_string());
                fault.map_or(Ok(false), Err)
            }
            NextRecord::End => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    /// Reads the file's next record and puts its rows into the queue, or says why it is refused.
    fn shape_next(&mut self) -> Option<RecordFault> {
        if let Some(shaped) = &mut self.shaped {
            shaped.is_alone = true;
        }
        match self.read_next() {
            Ok(true) => self.shaped.as_mut()?.push(&self.records).err(),
            Ok(false) => None,
            Err(fault) => Some(fault),
        }
    }

    fn refuse(&mut self, fault: &RecordFault, refused: &mut dyn Write) -> Result<(), ImportError> {
        self.tally.records += 1;
        let name = fault.cell.as_ref().and_then(|(column, _)| self.shaped.as_ref()?.name_of(*column));
        match &self.shaped {
            // Of a row with several lines each is shown by itself.
            Some(shaped) if !shaped.is_alone => shaped.records.write_refusal(fault, name, refused)?,
            _ => self.records.write_refusal(fault, name, refused)?,
        }
        let line = match &self.shaped {
            Some(shaped) if !shaped.is_alone => shaped.records.line(),
            _ => self.records.line(),
        };
        self.tally.refuse(fault, line);
        Ok(())
    }

    /// The result, once there is no further record.
    ///
    /// # Errors
    /// [`ImportError`] if the lines of a JSON file lack keys that all files must have.
    pub fn finish(mut self) -> Result<ScanEnd, ImportError> {
        self.records.check_presence(self.tally.records.saturating_sub(self.tally.refused_records()))?;
        self.tally.lines = self.records.progress().lines;
        let mut ignored_columns = self.records.ignored();
        if let Some(shaped) = &self.shaped {
            ignored_columns.retain(|column| !shaped.uses(column));
        }
        Ok(ScanEnd {
            tally: self.tally,
            ignored_columns,
            ended_early: self.ended_early,
            notes: self.notes,
            joined_to: None,
        })
    }
}
