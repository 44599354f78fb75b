//! The first pass over a file: decides from all of it how it is read.
//!
//! Some things cannot be seen in a single line: whether `1.000` is one or a thousand, whether `03/04/2024` is in March or in
//! April, which columns an export has. So a file is read twice. This pass leaves a [`FileLayout`]; with it each record can
//! be read by itself, by any worker, in any order. What cannot be decided from the whole file is refused with the name of
//! its column, and the option that decides it.

mod evidence;
mod recognition;

use std::io::{self, Read};
use std::sync::Arc;

use crate::columns::RecordKind;
use crate::dialect::{self, BYTE_ORDER_MARK, Dialect, MAX_HEAD_BYTES};
use crate::error::ImportError;
use crate::exact_json;
use crate::file_layout::{FileForm, FileLayout};
use crate::line_reader::{FileLine, LineReader};
use crate::merchant_feed::is_merchant_feed;
use crate::options::ImportOptions;
use crate::record_reader::{self, NextRecord, RecordReader};
use crate::shape::{JoinedFiles, ShapedRows};
use crate::source::{self, Container, SourceForm, TextEncoding};

use evidence::Evidence;
use recognition::{Recognised, recognise};

/// The number of JSON records whose keys show what the file is.
const SAMPLE_RECORDS: usize = 1_000;

/// A file that can be opened again and again.
pub type OpenFile<'o> = &'o mut dyn FnMut() -> io::Result<Box<dyn Read + Send>>;

/// Reads the file to its end and decides how it is read.
///
/// # Errors
/// [`ImportError`] if the file is of a form that is not read, lacks a column, or its numbers or dates can be read in two
/// ways.
pub fn survey(
    open: OpenFile<'_>,
    joined: &JoinedFiles,
    kind: RecordKind,
    options: &ImportOptions,
) -> Result<FileLayout, ImportError> {
    let Opened { form, names, start, .. } = Opened::detect(open, options.encoding)?;
    let Recognised { rules, shape, notes } = recognise(&names, joined, kind, options)?;
    rules.mapping.check(kind)?;
    if form.dialect.is_none() && shape.is_some() {
        let advice = "Use CSV, or --as none and --map";
        return Err(ImportError::Unsupported {
            is: "is JSON, and its profile or --fill-down is for tables",
            advice,
        });
    }
    let csv_names = if form.dialect.is_some() { names } else { Vec::new() };
    let mut layout = FileLayout::new(form, csv_names, (rules, shape), start, notes);
    let mut lines = Opened::lines(open, &layout.form)?;
    lines.skip_to(&layout.start()).map_err(ImportError::Read)?;
    let mut records = RecordReader::of(&layout, lines, kind, Arc::default())?;
    let mut shaped = ShapedRows::new(&layout, joined, kind, &layout.start())?;
    records.limit_to(&evidence::COLUMNS);
    if let Some(shaped) = &mut shaped {
        shaped.records.limit_to(&evidence::COLUMNS);
    }
    let mut evidence = Evidence::new(&layout.rules, kind, options);
    let name_of = |records: &RecordReader<'_>, column| {
        layout.name_of(column).unwrap_or_else(|| records.name_of(column).to_owned())
    };
    loop {
        match records.next() {
            NextRecord::Record => {}
            NextRecord::Fault(_) => continue,
            // The second pass reports the break.
            NextRecord::Broken(..) | NextRecord::End => break,
        }
        if let Some(shaped) = &mut shaped {
            if shaped.push(&records).is_ok() {
                while shaped.next().is_some() {
                    evidence.add(&shaped.records, |column| name_of(&records, column))?;
                }
            }
        } else if records.check_rules().is_ok() {
            evidence.add(&records, |column| name_of(&records, column))?;
        }
    }
    let decided = evidence.decide(|column| name_of(&records, column))?;
    layout.decide(decided, kind);
    Ok(layout)
}

/// The names of a CSV file's columns, and its records as they are.
///
/// # Errors
/// [`ImportError`] if the file is not a CSV file that can be read.
pub(crate) fn plain_records(
    open: OpenFile<'_>,
    options: &ImportOptions,
) -> Result<(Vec<String>, RecordReader<'static>), ImportError> {
    let Opened { form, names, lines, .. } = Opened::detect(open, options.encoding)?;
    let Some(dialect) = &form.dialect else {
        let advice = "Files that are joined to others must be CSV";
        return Err(ImportError::Unsupported { is: "is JSON Lines", advice });
    };
    Ok((names.clone(), record_reader::plain(lines, names, dialect)))
}

/// The form of a CSV file and the names of its columns, as its beginning shows them: each file of an import asks all
/// others.
///
/// # Errors
/// [`ImportError`] if the file cannot be read.
pub(crate) fn plain_names(
    open: OpenFile<'_>,
    options: &ImportOptions,
) -> Result<(FileForm, Vec<String>), ImportError> {
    const MAX_BYTES: u64 = 4 << 20;
    let beginning = open().map_err(ImportError::Read)?.take(MAX_BYTES);
    let Opened { form, names, .. } = Opened::of_source(source::detect(beginning)?, open, options.encoding)?;
    Ok((form, names))
}

/// A file whose form is known.
struct Opened {
    form: FileForm,
    /// The names of the columns, or the keys of the first records of a JSON file.
    names: Vec<String>,
    /// The offset of the first record, and the number of lines before it.
    start: (u64, u64),
    /// The lines from there on; of a JSON file from some record on.
    lines: LineReader<'static>,
}

impl Opened {
    /// Detects the form of the file from all of it, and its columns.
    ///
    /// `encoding` is that of the text, if somebody has said so.
    fn detect(open: OpenFile<'_>, encoding: Option<TextEncoding>) -> Result<Self, ImportError> {
        let source = source::detect(open().map_err(ImportError::Read)?)?;
        Self::of_source(source, open, encoding)
    }

    fn of_source(
        mut source: SourceForm,
        open: OpenFile<'_>,
        encoding: Option<TextEncoding>,
    ) -> Result<Self, ImportError> {
        if source.container == Container::Parquet {
            return Self::csv(source, &Dialect::own(0), open);
        }
        if !source.container.is_typed() {
            source.encoding = encoding.unwrap_or(source.encoding);
        }
        let mut head = head(open, &source)?;
        if is_merchant_feed(&head) {
            source.feed = true;
            head = self::head(open, &source)?;
        }
        let is_whole = head.len() <= MAX_HEAD_BYTES;
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        if text.trim_ascii_start().starts_with(b"{") {
            return Self::json(FileForm { source, dialect: None }, open);
        }
        Self::csv(source, &dialect::detect(&head, is_whole), open)
    }

    fn csv(source: SourceForm, dialect: &Dialect, open: OpenFile<'_>) -> Result<Self, ImportError> {
        let mut form = FileForm { source, dialect: Some(dialect.clone()) };
        let mut lines = Self::lines(open, &form)?;
        let mut skipped = Vec::new();
        for _ in 0..dialect.skipped_lines {
            lines.read(&mut skipped);
        }
        let first = first_line(&mut lines)?;
        let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&first);
        let bytes = lines.last_bytes();
        lines.give_back(text, &[bytes], None);
        let (names, lines) = record_reader::read_header(lines, dialect)?;
        // Of a file whose text this program writes, only its header says how many columns it has.
        form.dialect = Some(Dialect { columns: names.len().max(dialect.columns), ..dialect.clone() });
        Ok(Self { form, names, start: (lines.offset(), lines.number()), lines })
    }

    fn json(form: FileForm, open: OpenFile<'_>) -> Result<Self, ImportError> {
        let mut lines = Self::lines(open, &form)?;
        let first = first_line(&mut lines)?;
        let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&first);
        let mark = u64::try_from(first.len() - text.len()).unwrap_or(0);
        let start = (lines.offset() - lines.last_bytes() + mark, lines.number() - 1);
        let names = keys(text, &mut lines);
        Ok(Self { form, names, start, lines })
    }

    fn lines(open: OpenFile<'_>, form: &FileForm) -> Result<LineReader<'static>, ImportError> {
        let source = source::open(open().map_err(ImportError::Read)?, &form.source)?;
        Ok(LineReader::new(source::lines(source.bytes, form)))
    }
}

/// The beginning of the text; longer than the largest head if there is more.
fn head(open: OpenFile<'_>, form: &SourceForm) -> Result<Vec<u8>, ImportError> {
    let source = source::open(open().map_err(ImportError::Read)?, form)?;
    let (mut head, mut text) = (Vec::new(), source.bytes.take(MAX_HEAD_BYTES as u64 + 1));
    match text.read_to_end(&mut head) {
        Err(error) if head.is_empty() => Err(ImportError::Read(error)),
        // The break is reported when it is reached again.
        _ => Ok(head),
    }
}

fn first_line(lines: &mut LineReader<'_>) -> Result<Vec<u8>, ImportError> {
    let mut first = Vec::new();
    loop {
        first.clear();
        match lines.read(&mut first) {
            FileLine::Whole if first.trim_ascii().is_empty() => {}
            FileLine::Whole => break,
            FileLine::TooLong => {
                return Err(ImportError::Unsupported {
                    is: "has a first line longer than a megabyte",
                    advice: "Use a CSV or JSON Lines file",
                });
            }
            FileLine::Broken(error) => return Err(ImportError::Read(error)),
            FileLine::End => return Err(ImportError::Empty),
        }
    }
    let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&first);
    if text.trim_ascii().is_empty() { Err(ImportError::Empty) } else { Ok(first) }
}

/// The keys of the first records of a JSON file, in their order.
fn keys(first: &[u8], lines: &mut LineReader<'_>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    let mut line = first.to_vec();
    for _ in 0..SAMPLE_RECORDS {
        if let Ok(serde_json::Value::Object(object)) = exact_json::parse(&String::from_utf8_lossy(&line)) {
            for key in object.into_iter().map(|(key, _)| key) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        line.clear();
        if !matches!(lines.read(&mut line), FileLine::Whole) {
            break;
        }
    }
    keys
}
