//! A file's records, one after the other, with their positions.

mod csv_form;
mod current_record;
mod json_form;

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use crate::column_names::shown;
use crate::columns::{FileColumn, RecordKind};
use crate::csv_record::CsvRecord;
use crate::dialect::{Dialect, header_names};
use crate::error::ImportError;
use crate::file_layout::FileLayout;
use crate::line_reader::LineReader;
use crate::refusal::{self, RecordFault, RefusalReason};
use crate::row::Row;
use crate::rules::{ReadingRules, RowRule};
use crate::source::ReadProgress;
use csv_form::CsvForm;
use current_record::CurrentRecord;
pub(crate) use current_record::NextRecord;
use json_form::{JsonForm, has, keys_of};

/// The maximum number of columns that are remembered as ignored: every JSON line may have keys of its own.
const MAX_IGNORED: usize = 100;

enum Form {
    CsvForm(Box<CsvForm>),
    JsonForm(Box<JsonForm>),
}

pub(crate) struct RecordReader<'r> {
    kind: RecordKind,
    rules: Arc<ReadingRules>,
    place: CurrentRecord<'r>,
    form: Form,
    bytes_read: Arc<AtomicU64>,
}

impl<'r> RecordReader<'r> {
    /// The records of a file of this layout, starting at one of its lines.
    ///
    /// # Errors
    /// [`ImportError`] if a column is missing.
    pub(crate) fn of(
        layout: &FileLayout,
        lines: LineReader<'r>,
        kind: RecordKind,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, ImportError> {
        let rules = Arc::new(layout.rules.clone());
        let form = match &layout.form.dialect {
            Some(dialect) => Form::CsvForm(Box::new(CsvForm::new(layout, CsvRecord::of(dialect), kind)?)),
            None => Form::JsonForm(Box::default()),
        };
        Ok(Self { kind, rules, place: CurrentRecord::new(lines), form, bytes_read })
    }

    pub(crate) fn rules(&self) -> &Arc<ReadingRules> {
        &self.rules
    }

    /// Loads a record that was read earlier from a file of this layout.
    pub(crate) fn load(&mut self, line: u64, record: &[u8]) -> NextRecord {
        self.place.line = line;
        self.place.raw.clear();
        self.place.raw.extend_from_slice(record);
        match &mut self.form {
            Form::CsvForm(csv) => {
                csv.delimited.take(record);
                NextRecord::Record
            }
            Form::JsonForm(json) => json.parse(&self.place.raw, &self.rules.mapping, self.kind),
        }
    }

    /// Reads no other columns of a CSV file than these.
    pub(crate) fn limit_to(&mut self, columns: &[FileColumn]) {
        if let Form::CsvForm(csv) = &mut self.form {
            csv.wanted.retain(|(_, column, _)| columns.contains(column));
        }
    }

    /// The keys of JSON lines so far; a CSV file has none.
    pub(crate) fn keys(&self) -> Vec<String> {
        let Form::JsonForm(json) = &self.form else { return Vec::new() };
        let mut keys: Vec<String> = json.known.keys().chain(&json.ignored).cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Restores keys that were seen earlier.
    pub(crate) fn remember(&mut self, keys: &[String]) {
        if let Form::JsonForm(json) = &mut self.form {
            keys.iter().for_each(|key| json.remember(key, &self.rules.mapping, self.kind));
        }
    }

    /// The offset of the next line, in unpacked bytes of the file, and the number of lines before it.
    pub(crate) fn next_line(&self) -> (u64, u64) {
        (self.place.lines.offset(), self.place.lines.number())
    }

    pub(crate) fn next(&mut self) -> NextRecord {
        match &mut self.form {
            Form::CsvForm(csv) => self.place.next_delimited(&mut csv.delimited, Some(csv.names.len())),
            Form::JsonForm(json) => json.next(&mut self.place, &self.rules.mapping, self.kind),
        }
    }

    /// The cells of the record that was read.
    pub(crate) fn row(&self) -> Row<'_> {
        match &self.form {
            Form::JsonForm(json) => self.row_of(&json.object),
            Form::CsvForm(csv) => {
                let mut row = Row::default();
                for (field, column, rank) in &csv.wanted {
                    row.set_cell(*column, *rank, csv.cell(*field), &self.rules.guests);
                }
                row.settle_guest(&self.rules.guests);
                row
            }
        }
    }

    /// The cell of a rule's column as text.
    fn ruled_cell(&self, at: usize, rule: &RowRule) -> Cow<'_, str> {
        match &self.form {
            Form::CsvForm(csv) => {
                let field = csv.ruled.get(at).copied().flatten();
                Cow::Borrowed(field.map_or("", |field| csv.cell(field)))
            }
            Form::JsonForm(json) => match json.object.get(&rule.column) {
                None | Some(Value::Null) => Cow::Borrowed(""),
                Some(Value::String(text)) => Cow::Borrowed(text),
                Some(value) => Cow::Owned(value.to_string()),
            },
        }
    }

    /// Fails if a rule skips the record.
    pub(crate) fn check_rules(&self) -> Result<(), RecordFault> {
        for (at, rule) in self.rules.rows.iter().enumerate() {
            let cell = self.ruled_cell(at, rule);
            if rule.skips(&cell) {
                return Err(RecordFault::skipped_row(
                    &rule.column,
                    &cell,
                    rule.keep.then_some(rule.values.as_slice()),
                ));
            }
        }
        Ok(())
    }

    /// The cells of a JSON object within the record: a line of a purchase.
    pub(crate) fn row_of<'a>(&'a self, object: &'a Map<String, Value>) -> Row<'a> {
        let mut row = Row::default();
        if let Form::JsonForm(json) = &self.form {
            for (key, value) in object {
                for (column, rank) in json.known.get(key).into_iter().flatten() {
                    row.set_json(*column, *rank, value, &self.rules.guests);
                }
            }
            if self.kind == RecordKind::Purchases {
                row.lines = object.get("lines").and_then(Value::as_array).map(Vec::as_slice);
            }
        }
        row.settle_guest(&self.rules.guests);
        row
    }

    /// The file's own name for a column.
    pub(crate) fn name_of(&self, column: FileColumn) -> &str {
        let own = match &self.form {
            Form::CsvForm(csv) => {
                let field =
                    csv.wanted.iter().filter(|(_, own, _)| *own == column).min_by_key(|(.., rank)| *rank);
                field.and_then(|(field, ..)| csv.names.get(*field)).map(String::as_str)
            }
            Form::JsonForm(json) => {
                let is = |key: &&String| json.known.get(*key).is_some_and(|columns| has(columns, column));
                let mapped = || self.rules.mapping.theirs(column).and_then(<[String]>::first);
                keys_of(&json.object).find(is).or_else(mapped).map(String::as_str)
            }
        };
        own.unwrap_or(column.name())
    }

    /// The columns that are not used.
    pub(crate) fn ignored(&self) -> Vec<String> {
        match &self.form {
            Form::JsonForm(json) => json.ignored.iter().map(|name| shown(name)).collect(),
            Form::CsvForm(csv) => {
                let wanted = |field: usize| {
                    csv.wanted.iter().any(|(own, ..)| *own == field) || csv.ruled.contains(&Some(field))
                };
                let unwanted = csv.names.iter().enumerate().filter(|(field, _)| !wanted(*field));
                unwanted.map(|(_, name)| shown(name)).take(MAX_IGNORED).collect()
            }
        }
    }

    /// Refuses a JSON file none of whose lines had a column that is mapped, or required. That of a CSV file is
    /// known from its first line.
    pub(crate) fn check_presence(&self, taken: u64) -> Result<(), ImportError> {
        let Form::JsonForm(json) = &self.form else { return Ok(()) };
        if json.known.is_empty() && json.ignored.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = json.known.keys().cloned().collect();
        names.extend(json.ignored.iter().cloned());
        names.sort_unstable();
        let seen = |column| json.known.values().any(|columns| has(columns, column));
        let present =
            |column: FileColumn| seen(column) || (taken > 0 && self.rules.mapping.theirs(column).is_none());
        self.rules.mapping.check_presence(self.kind, present, &names)
    }

    /// All cells of a CSV record.
    pub(crate) fn cells(&self) -> Vec<&str> {
        match &self.form {
            Form::CsvForm(csv) => (0..csv.names.len()).map(|field| csv.cell(field)).collect(),
            Form::JsonForm(_) => Vec::new(),
        }
    }

    /// The line in the file that the record starts at, from one.
    pub(crate) fn line(&self) -> u64 {
        self.place.line
    }

    /// Writes that the record is refused, as one JSON object on a line.
    ///
    /// `own_name` is the file's name for the column, if this reader does not know it.
    pub(crate) fn write_refusal(
        &self,
        fault: &RecordFault,
        own_name: Option<String>,
        into: &mut dyn Write,
    ) -> Result<(), ImportError> {
        let name = |(column, line): &(FileColumn, Option<usize>)| match line {
            Some(line) => format!("lines[{line}].{}", self.name_of(*column)),
            None => self.name_of(*column).to_owned(),
        };
        let field = own_name.or_else(|| fault.cell.as_ref().map(name)).or_else(|| fault.column.clone());
        refusal::write(self.line(), fault, field.as_deref(), self.raw(), into)
    }

    /// The record as it is written in the file.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.place.raw
    }

    pub(crate) fn progress(&self) -> ReadProgress {
        ReadProgress { bytes_read: self.bytes_read.load(Ordering::Relaxed), lines: self.place.lines.number() }
    }
}

/// The records of a CSV file with these columns, as they are.
pub(crate) fn plain<'r>(lines: LineReader<'r>, names: Vec<String>, dialect: &Dialect) -> RecordReader<'r> {
    let csv = CsvForm { delimited: CsvRecord::of(dialect), names, wanted: Vec::new(), ruled: Vec::new() };
    RecordReader {
        kind: RecordKind::default(),
        rules: Arc::new(ReadingRules::none()),
        place: CurrentRecord::new(lines),
        form: Form::CsvForm(Box::new(csv)),
        bytes_read: Arc::default(),
    }
}

/// Reads the record that names the columns, and gives the lines back, which are behind it then.
pub(crate) fn read_header<'r>(
    lines: LineReader<'r>,
    dialect: &Dialect,
) -> Result<(Vec<String>, LineReader<'r>), ImportError> {
    let mut place = CurrentRecord::new(lines);
    let mut delimited = CsvRecord::of(dialect);
    match place.next_delimited(&mut delimited, None) {
        NextRecord::Record => {}
        NextRecord::Fault(fault) if fault.reason == RefusalReason::UnclosedQuote => {
            return Err(ImportError::Header(fault.message));
        }
        NextRecord::Fault(_) => {
            let advice = "The first line must name the columns, in UTF-8";
            return Err(ImportError::Unsupported { is: "has no readable first line", advice });
        }
        NextRecord::Broken(error, _) => return Err(ImportError::Read(error)),
        NextRecord::End => return Err(ImportError::Empty),
    }
    let text = String::from_utf8_lossy(delimited.bytes()).into_owned();
    let fields =
        (0..delimited.field_count()).map(|field| text.get(delimited.range(field)).unwrap_or_default());
    Ok((header_names(fields), place.lines))
}
