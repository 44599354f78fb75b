//! Reads a file's records one after the other, from any position between two of them.

use std::io::{self, BufRead, BufReader, Read, Write};
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
}

/// Reads a file's records one after the other, and rejects those that are invalid on their own. It keeps only one of
/// them in memory.
pub struct RecordScanner<'r> {
    records: RecordReader<'r>,
    parser: RecordParser,
    tally: ImportTally,
    ended: bool,
    ended_early: Option<String>,
}

impl<'r> RecordScanner<'r> {
    /// Detects the file's form from its beginning.
    ///
    /// # Errors
    /// [`ImportError`] if the form of the file is not supported or a column is missing.
    pub fn open(
        reader: impl Read + Send + 'r,
        kind: RecordKind,
        options: &ImportOptions,
    ) -> Result<Self, ImportError> {
        let records = RecordReader::open(reader, kind, &options.mapping)?;
        Ok(Self::new(records, kind, options, ImportTally::default()))
    }

    /// Resumes at a position. For a plain file, the reader must begin there; for a compressed one, at the file's
    /// beginning: everything before the position is unpacked again and dropped.
    ///
    /// # Errors
    /// [`ImportError`] if the layout does not belong to such a file, or a compressed file ends before the position.
    pub fn resume(
        reader: impl Read + Send + 'r,
        kind: RecordKind,
        options: &ImportOptions,
        layout: &FileLayout,
        position: &FilePosition,
    ) -> Result<Self, ImportError> {
        let (mut bytes, bytes_read): (Box<dyn BufRead + Send + 'r>, _) = if layout.form.gzip {
            let source = source::open(reader).map_err(ImportError::Read)?;
            (source.bytes, source.bytes_read)
        } else {
            (Box::new(BufReader::with_capacity(source::BUFFER_BYTES, reader)), Arc::default())
        };
        if layout.form.gzip {
            let skipped = io::copy(&mut (&mut bytes).take(position.offset), &mut io::sink());
            if skipped.map_err(ImportError::Read)? < position.offset {
                return Err(ImportError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let lines = LineReader::at(bytes, position.tally.lines, position.offset);
        let mut records = RecordReader::of(layout, lines, kind, &options.mapping, bytes_read)?;
        records.remember(&position.keys);
        Ok(Self::new(records, kind, options, position.tally.clone()))
    }

    fn new(records: RecordReader<'r>, kind: RecordKind, options: &ImportOptions, tally: ImportTally) -> Self {
        Self { records, parser: RecordParser::new(kind, options), tally, ended: false, ended_early: None }
    }

    /// The layout, as seen at the file's beginning.
    #[must_use]
    pub fn layout(&self) -> FileLayout {
        self.records.layout()
    }

    /// The position of the next record.
    #[must_use]
    pub fn position(&self) -> FilePosition {
        let (offset, lines) = self.records.next_line();
        FilePosition { offset, tally: ImportTally { lines, ..self.tally.clone() }, keys: self.records.keys() }
    }

    /// How much of the file has been read.
    #[must_use]
    pub fn progress(&self) -> ReadProgress {
        self.records.progress()
    }

    /// Reads the next record. If it is rejected, it is written to `refused`, as one JSON object on a line.
    pub fn step(&mut self, refused: &mut dyn Write) -> Result<ScanStep<'_>, ImportError> {
        if self.ended {
            return Ok(ScanStep::End);
        }
        let fault = match self.records.next() {
            NextRecord::Record => None,
            NextRecord::Fault(fault) => Some(fault),
            NextRecord::Broken(error, fault) => {
                self.ended = true;
                self.ended_early = Some(error.to_string());
                let Some(fault) = fault else { return Ok(ScanStep::End) };
                Some(fault)
            }
            NextRecord::End => {
                self.ended = true;
                return Ok(ScanStep::End);
            }
        };
        self.tally.records += 1;
        let group = match fault {
            None => self.parser.parse(&self.records).map(|parsed| parsed.group()),
            Some(fault) => Err(fault),
        };
        match group {
            Ok(group) => {
                let (line, record) = (self.records.line(), self.records.raw());
                Ok(ScanStep::Taken(ScannedRecord { line, group, record }))
            }
            Err(fault) => self.refuse(&fault, refused).map(|()| ScanStep::Refused),
        }
    }

    fn refuse(&mut self, fault: &RecordFault, refused: &mut dyn Write) -> Result<(), ImportError> {
        self.records.write_refusal(fault, refused)?;
        self.tally.refuse(fault);
        Ok(())
    }

    /// The result, once there is no further record.
    ///
    /// # Errors
    /// [`ImportError`] if the lines of a JSON file lack keys that all files must have.
    pub fn finish(mut self) -> Result<ScanEnd, ImportError> {
        self.records.check_presence(self.tally.records.saturating_sub(self.tally.refused_records()))?;
        self.tally.lines = self.records.progress().lines;
        Ok(ScanEnd {
            tally: self.tally,
            ignored_columns: self.records.ignored(),
            ended_early: self.ended_early,
        })
    }
}
