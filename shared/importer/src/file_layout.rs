//! How a file is read, and positions in it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::columns::{FileColumn, RecordKind};
use crate::dialect::{Dialect, Quoting};
use crate::mapping::Mapping;
use crate::number_format::DecimalSign;
use crate::rules::{Guests, ReadingRules};
use crate::shape::{GUEST, RowAbove, Shape};
use crate::source::{Container, SourceForm};
use crate::tally::ImportTally;
use crate::time_format::DateOrder;

/// The form of a file, detected from its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileForm {
    /// How its bytes become text.
    pub source: SourceForm,
    /// The dialect of a CSV file; none if the text is JSON Lines.
    pub dialect: Option<Dialect>,
}

impl FileForm {
    /// The delimiter of a CSV file.
    #[must_use]
    pub fn delimiter(&self) -> Option<char> {
        self.dialect.as_ref().map(|dialect| dialect.delimiter)
    }

    /// Whether a reader may begin at a position, instead of at the file's beginning.
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }
}

impl fmt::Display for FileForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.delimiter() {
            None if self.source.feed => "XML product feed",
            None if self.source.json_values => "JSON",
            None => "JSON Lines",
            Some(_) if self.source.container == Container::Workbook => "table",
            Some(_) if self.source.container == Container::Parquet => "Parquet table",
            Some(';') => "CSV with semicolons",
            Some('\t') => "CSV with tabs",
            Some('|') => "CSV with bars",
            Some(_) => "CSV",
        })?;
        if let Some(Dialect { quoting: Quoting::Backslash, .. }) = &self.dialect {
            f.write_str(" and backslashes before quotes")?;
        }
        match (self.source.container, &self.source.part) {
            (Container::Plain | Container::Parquet, _) => {}
            (Container::Workbook, Some(sheet)) => write!(f, ", sheet \"{sheet}\" of an Excel workbook")?,
            (container, Some(part)) => write!(f, ", {part} in {container}")?,
            (container, None) => write!(f, ", {container}")?,
        }
        if !self.source.encoding.is_utf_8() {
            write!(f, ", {}", self.source.encoding)?;
        }
        Ok(())
    }
}

/// How a file is read: decided from the whole of it, before its records are read one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileLayout {
    /// The detected form of the file.
    pub form: FileForm,
    /// The names of a CSV file's columns.
    pub(crate) names: Vec<String>,
    pub(crate) rules: ReadingRules,
    /// How rows become rows of our own columns, if other names are not enough.
    pub(crate) shape: Option<Shape>,
    /// The position of the first record.
    start: (u64, u64),
    notes: Vec<String>,
}

impl FileLayout {
    pub(crate) fn new(
        form: FileForm,
        names: Vec<String>,
        (rules, shape): (ReadingRules, Option<Shape>),
        start: (u64, u64),
        notes: Vec<String>,
    ) -> Self {
        Self { form, names, rules, shape, start, notes }
    }

    /// What was recognised and assumed, in sentences for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The layout of the records that are gathered: rows of our own columns if the file's are shaped.
    pub(crate) fn gathered(&self) -> Cow<'_, Self> {
        if self.shape.is_none() {
            return Cow::Borrowed(self);
        }
        let rules = ReadingRules {
            mapping: Mapping::default(),
            rows: Vec::new(),
            guests: Guests::new(vec![GUEST.to_owned()]),
            ..self.rules.clone()
        };
        Cow::Owned(Self {
            form: FileForm {
                source: self.form.source.clone(),
                dialect: Some(Dialect::own(FileColumn::ALL.len())),
            },
            names: FileColumn::ALL.map(|column| column.name().to_owned()).to_vec(),
            rules,
            shape: None,
            start: self.start,
            notes: Vec::new(),
        })
    }

    /// The file's own name for a column of ours.
    pub(crate) fn name_of(&self, column: FileColumn) -> Option<String> {
        self.shape.as_ref().and_then(|shape| shape.names_of(column))
    }

    /// Adds what the values of the file decide, and says what was assumed.
    pub(crate) fn decide(&mut self, decided: Decided, kind: RecordKind) {
        let Decided { decimal, date_order, has_local_times, zone_assumed } = decided;
        let pair = |column: FileColumn| {
            let theirs = self.mapped(column, kind).filter(|theirs| theirs != column.name())?;
            Some(format!("{column}={theirs}"))
        };
        let pairs: Vec<String> = FileColumn::of(kind).filter_map(pair).collect();
        if !pairs.is_empty() {
            self.notes.push(format!("columns: {}", pairs.join(", ")));
        }
        if let Some(order) = date_order {
            self.notes.push(format!("dates: {order}"));
        }
        if decimal == Some(DecimalSign::Comma) {
            self.notes.push("numbers: with a decimal comma".to_owned());
        }
        if has_local_times {
            let zone = self.rules.time.zone;
            let assumed = if zone_assumed { ", assumed (--timezone ZONE says which)" } else { "" };
            self.notes.push(format!("times without a zone: {zone}{assumed}"));
        }
        (self.rules.decimal, self.rules.time.order) = (decimal, date_order);
    }

    /// The file's names for a column of ours, for people.
    fn mapped(&self, column: FileColumn, kind: RecordKind) -> Option<String> {
        let is_own =
            |name: &&String| self.rules.mapping.columns_of(name, kind).iter().any(|(own, _)| *own == column);
        let mapped = || {
            let found: Vec<&str> = self.names.iter().filter(is_own).map(String::as_str).collect();
            (!found.is_empty()).then(|| found.join(" or "))
        };
        self.name_of(column).or_else(mapped)
    }

    /// The position of the first record.
    #[must_use]
    pub fn start(&self) -> FilePosition {
        let (offset, lines) = self.start;
        FilePosition {
            offset,
            tally: ImportTally { lines, ..ImportTally::default() },
            keys: Vec::new(),
            above: RowAbove::default(),
            queued: Vec::new(),
        }
    }
}

/// What the values of a file decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) decimal: Option<DecimalSign>,
    pub(crate) date_order: Option<DateOrder>,
    /// Some times name no zone.
    pub(crate) has_local_times: bool,
    /// Nobody has said which zone they are of.
    pub(crate) zone_assumed: bool,
}

/// A position between two records of a file, and the counts of the records before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePosition {
    /// The offset in unpacked bytes from the file's beginning.
    pub offset: u64,
    /// The counts so far: lines, records and refusals.
    pub tally: ImportTally,
    /// The keys of JSON lines that were seen so far.
    pub(crate) keys: Vec<String>,
    /// The cells that the next row may take from the row before.
    #[serde(default)]
    pub(crate) above: RowAbove,
    /// Shaped rows of the record before that were not read yet, and its line.
    #[serde(default)]
    pub(crate) queued: Vec<(u64, String)>,
}
