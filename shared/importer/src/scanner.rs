//! Reads a file's records one after the other, from any position between two of them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::columns::Kind;
use crate::error::ImportError;
use crate::layout::{Layout, Position};
use crate::lines::Lines;
use crate::options::Options;
use crate::parse::Parser;
use crate::records::{Next, Records};
use crate::refusal::{Fault, write_last};
use crate::source;
use crate::summary::Progress;
use crate::tally::Tally;

/// The result of reading the next record.
#[derive(Debug)]
pub enum Step<'s> {
    /// The record is valid on its own.
    Taken(Entry<'s>),
    /// The record was rejected.
    Refused,
    /// There is no further record.
    End,
}

/// A record that is valid on its own. A [`Gatherer`](crate::Gatherer) decides whether it fits the others of its
/// group.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'s> {
    /// Its line in the file, counted from one.
    pub line: u64,
    /// A number that all records share which a gatherer must see together; evenly distributed over all numbers.
    pub group: u64,
    /// The record in its original form.
    pub record: &'s [u8],
}

/// What is known at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    /// The counts of the whole file: lines, records and refusals. The results of gathering its records are added to
    /// them.
    pub tally: Tally,
    /// Columns that are not used.
    pub ignored_columns: Vec<String>,
    /// Why the file could not be read to its end, if so.
    pub ended_early: Option<String>,
}

/// Reads a file's records one after the other, and rejects those that are invalid on their own. It keeps only one of
/// them in memory.
pub struct Scanner<'r> {
    records: Records<'r>,
    parser: Parser,
    tally: Tally,
    ended: bool,
    ended_early: Option<String>,
}

impl<'r> Scanner<'r> {
    /// Detects the file's form from its beginning.
    ///
    /// # Errors
    /// [`ImportError`] if the form of the file is not supported or a column is missing.
    pub fn open(reader: impl Read + Send + 'r, kind: Kind, options: &Options) -> Result<Self, ImportError> {
        let records = Records::open(reader, kind, &options.mapping)?;
        Ok(Self::new(records, kind, options, Tally::default()))
    }

    /// Resumes at a position. For a plain file, the reader must begin there; for a compressed one, at the file's
    /// beginning: everything before the position is unpacked again and dropped.
    ///
    /// # Errors
    /// [`ImportError`] if the layout does not belong to such a file, or a compressed file ends before the position.
    pub fn resume(
        reader: impl Read + Send + 'r,
        kind: Kind,
        options: &Options,
        layout: &Layout,
        position: &Position,
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
        let lines = Lines::at(bytes, position.tally.lines, position.offset);
        let mut records = Records::of(layout, lines, kind, &options.mapping, bytes_read)?;
        records.remember(&position.keys);
        Ok(Self::new(records, kind, options, position.tally.clone()))
    }

    fn new(records: Records<'r>, kind: Kind, options: &Options, tally: Tally) -> Self {
        Self { records, parser: Parser::new(kind, options), tally, ended: false, ended_early: None }
    }

    /// The layout, as seen at the file's beginning.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.records.layout()
    }

    /// The position of the next record.
    #[must_use]
    pub fn position(&self) -> Position {
        let (offset, lines) = self.records.next_line();
        Position { offset, tally: Tally { lines, ..self.tally.clone() }, keys: self.records.keys() }
    }

    /// How much of the file has been read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.records.progress()
    }

    /// Reads the next record. If it is rejected, it is written to `refused`, as one JSON object on a line.
    ///
    /// # Errors
    /// [`ImportError::Refused`] if `refused` cannot be written.
    pub fn step(&mut self, refused: &mut dyn Write) -> Result<Step<'_>, ImportError> {
        if self.ended {
            return Ok(Step::End);
        }
        let fault = match self.records.next() {
            Next::Record => None,
            Next::Fault(fault) => Some(fault),
            Next::Broken(error, fault) => {
                self.ended = true;
                self.ended_early = Some(error.to_string());
                let Some(fault) = fault else { return Ok(Step::End) };
                Some(fault)
            }
            Next::End => {
                self.ended = true;
                return Ok(Step::End);
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
                Ok(Step::Taken(Entry { line, group, record }))
            }
            Err(fault) => self.refuse(&fault, refused).map(|()| Step::Refused),
        }
    }

    fn refuse(&mut self, fault: &Fault, refused: &mut dyn Write) -> Result<(), ImportError> {
        write_last(&self.records, fault, refused)?;
        self.tally.refuse(fault);
        Ok(())
    }

    /// What is known at the end of the file, once there is no further record.
    ///
    /// # Errors
    /// [`ImportError`] if the lines of a JSON file lack keys that all files must have.
    pub fn finish(mut self) -> Result<End, ImportError> {
        self.records.check_presence(self.tally.records.saturating_sub(self.tally.refused_records()))?;
        self.tally.lines = self.records.progress().lines;
        Ok(End { tally: self.tally, ignored_columns: self.records.ignored(), ended_early: self.ended_early })
    }
}
