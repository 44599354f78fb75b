//! A file's records, one after the other, with their positions.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};

use crate::column_names::shown;
use crate::columns::{FileColumn, RecordKind};
use crate::csv_record::CsvRecord;
use crate::dialect::{Dialect, header_names};
use crate::error::ImportError;
use crate::exact_json;
use crate::file_layout::FileLayout;
use crate::line_reader::{FileLine, LineReader, Lookahead, MAX_RECORD_BYTES};
use crate::mapping::Mapping;
use crate::refusal::{self, RecordFault, RefusalReason};
use crate::row::{Row, RowCell};
use crate::rules::{ReadingRules, RowRule};
use crate::source::ReadProgress;

/// The maximum number of lines of one CSV record: so a quote that is never closed costs that many lines, not the file.
const MAX_RECORD_LINES: usize = 100;

/// The maximum number of columns that are remembered as ignored: every JSON line may have keys of its own.
const MAX_IGNORED: usize = 100;

/// The result of reading the next record.
pub(crate) enum NextRecord {
    /// A record; [`RecordReader::row`] has its cells.
    Record,
    /// A record that cannot be read.
    Fault(RecordFault),
    /// The file broke off, in the middle of a record if there is a fault.
    Broken(io::Error, Option<RecordFault>),
    End,
}

impl NextRecord {
    fn fault(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self::Fault(RecordFault::of_record(reason, message))
    }

    fn invalid_utf8() -> Self {
        Self::fault(RefusalReason::InvalidUtf8, "the text is not UTF-8")
    }
}

struct CsvForm {
    delimited: CsvRecord,
    names: Vec<String>,
    /// Which field is which column, and its rank among those of the column.
    wanted: Vec<(usize, FileColumn, u8)>,
    /// The field of each rule about rows.
    ruled: Vec<Option<usize>>,
}

#[derive(Default)]
struct JsonForm {
    object: Map<String, Value>,
    /// The columns of each key that was seen.
    known: HashMap<String, Vec<(FileColumn, u8)>>,
    ignored: BTreeSet<String>,
}

enum Form {
    CsvForm(Box<CsvForm>),
    JsonForm(Box<JsonForm>),
}

/// The record that was read last, as it is written in the file.
struct CurrentRecord<'r> {
    lines: LineReader<'r>,
    raw: Vec<u8>,
    line: u64,
    /// The length in the file of each of its lines, except the first.
    further: Vec<u64>,
}

impl<'r> CurrentRecord<'r> {
    fn new(lines: LineReader<'r>) -> Self {
        Self { lines, raw: Vec::new(), line: 0, further: Vec::new() }
    }
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
                    let text = csv.cell(*field);
                    if *column == FileColumn::UserId && self.rules.is_guest(text.trim()) {
                        row.guest = true;
                    } else {
                        row.set_text(*column, *rank, text);
                    }
                }
                self.settle_guest(row)
            }
        }
    }

    /// A row with another user is not a guest's.
    fn settle_guest<'a>(&self, mut row: Row<'a>) -> Row<'a> {
        let is_missing = matches!(row.get(FileColumn::UserId), RowCell::Missing);
        row.guest = is_missing && (row.guest || self.rules.is_guest(""));
        row
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
                    let guest = *column == FileColumn::UserId
                        && value.as_str().map_or_else(
                            || self.rules.is_guest(&value.to_string()),
                            |text| self.rules.is_guest(text.trim()),
                        );
                    if guest {
                        row.guest = true;
                    } else {
                        row.set_json(*column, *rank, value);
                    }
                }
            }
            if self.kind == RecordKind::Purchases {
                row.lines = object.get("lines").and_then(Value::as_array).map(Vec::as_slice);
            }
        }
        self.settle_guest(row)
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

fn has(columns: &[(FileColumn, u8)], wanted: FileColumn) -> bool {
    columns.iter().any(|(column, _)| *column == wanted)
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

impl CsvForm {
    fn new(layout: &FileLayout, delimited: CsvRecord, kind: RecordKind) -> Result<Self, ImportError> {
        let FileLayout { names, rules, .. } = layout;
        let mapping = &rules.mapping;
        mapping.check(kind)?;
        let mut wanted: Vec<(usize, FileColumn, u8)> = Vec::new();
        for (field, name) in names.iter().enumerate() {
            for (column, rank) in mapping.columns_of(name, kind) {
                let other = wanted.iter().find(|(_, taken, own)| *taken == column && *own == rank);
                if let Some(other) = other.and_then(|(field, ..)| names.get(*field)) {
                    let (first, second) = (shown(other), shown(name));
                    return Err(ImportError::AmbiguousColumn { column, first, second });
                }
                wanted.push((field, column, rank));
            }
        }
        let is_shaped = |column| layout.name_of(column).is_some();
        let present = |column| wanted.iter().any(|(_, own, _)| *own == column) || is_shaped(column);
        mapping.check_presence(kind, present, names)?;
        let place = |rule: &RowRule| names.iter().position(|name| *name == rule.column);
        let ruled = rules.rows.iter().map(place).collect();
        Ok(Self { delimited, names: names.to_vec(), wanted, ruled })
    }

    fn cell(&self, field: usize) -> &str {
        let text = std::str::from_utf8(self.delimited.bytes()).unwrap_or_default();
        text.get(self.delimited.range(field)).unwrap_or_default()
    }
}

impl CurrentRecord<'_> {
    /// Reads the first line of a record; `None` is a line to continue with.
    fn next_line(&mut self) -> Option<NextRecord> {
        loop {
            self.raw.clear();
            let read = self.lines.read(&mut self.raw);
            self.line = self.lines.number();
            return match read {
                FileLine::Whole if self.raw.trim_ascii().is_empty() => continue,
                FileLine::Whole => None,
                FileLine::TooLong => {
                    let message = format!("a line must be at most {MAX_RECORD_BYTES} bytes long");
                    Some(NextRecord::fault(RefusalReason::TooLong, message))
                }
                FileLine::Broken(error) => {
                    let message = "the file ends unexpectedly here, so this line may be incomplete";
                    let fault = || RecordFault::of_record(RefusalReason::CutOff, message);
                    Some(NextRecord::Broken(error, (!self.raw.is_empty()).then(fault)))
                }
                FileLine::End => Some(NextRecord::End),
            };
        }
    }

    fn next_delimited(&mut self, delimited: &mut CsvRecord, fields: Option<usize>) -> NextRecord {
        if let Some(next) = self.next_line() {
            return next;
        }
        let first_end = self.raw.len();
        let mut fed = 0;
        self.further.clear();
        let mut after = None;
        delimited.start(self.line);
        let problem = loop {
            match delimited.feed(self.raw.get(fed..).unwrap_or_default()) {
                Ok(true) => break None,
                Ok(false) => {}
                Err(problem) => break Some(problem),
            }
            fed = self.raw.len();
            if self.further.len() + 1 >= MAX_RECORD_LINES || fed >= MAX_RECORD_BYTES {
                break delimited.unclosed();
            }
            match self.lines.read(&mut self.raw) {
                FileLine::Whole => self.further.push(self.lines.last_bytes()),
                line => {
                    if !matches!(line, FileLine::End) {
                        let (start, bytes) = (self.raw.split_off(fed), self.lines.last_bytes());
                        after = Some(Lookahead { line, start, bytes });
                    }
                    break delimited.unclosed();
                }
            }
        };
        let wrong = if problem.is_none() {
            delimited.take(&self.raw);
            fields.filter(|expected| *expected != delimited.field_count())
        } else {
            None
        };
        if problem.is_none() && wrong.is_none() {
            // Of the whole record: two halves of a character in two fields are none.
            return match std::str::from_utf8(&self.raw) {
                Ok(_) => NextRecord::Record,
                Err(_) => NextRecord::invalid_utf8(),
            };
        }
        // A stray quote swallows the lines up to the next one: the first is given up, the others are read again.
        let alone = self.further.is_empty();
        self.lines.give_back(self.raw.get(first_end..).unwrap_or_default(), &self.further, after);
        self.raw.truncate(first_end);
        match (problem, wrong) {
            (None, Some(expected)) if alone => {
                let found = delimited.field_count();
                let message =
                    format!("the line has {found} fields, the first line of the file has {expected}");
                NextRecord::fault(RefusalReason::WrongFieldCount, message)
            }
            (None, _) => {
                let message = "a quote is opened here and not closed at the end of its field";
                NextRecord::fault(RefusalReason::UnclosedQuote, message)
            }
            (Some(problem), _) => NextRecord::fault(RefusalReason::UnclosedQuote, problem.to_string()),
        }
    }
}

/// The keys of a record and of a whole purchase's lines.
fn keys_of(object: &Map<String, Value>) -> impl Iterator<Item = &String> {
    let lines = object.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    object.keys().chain(lines.iter().filter_map(Value::as_object).flat_map(Map::keys))
}

impl JsonForm {
    fn next(&mut self, place: &mut CurrentRecord<'_>, mapping: &Mapping, kind: RecordKind) -> NextRecord {
        if let Some(next) = place.next_line() {
            return next;
        }
        self.parse(&place.raw, mapping, kind)
    }

    fn parse(&mut self, raw: &[u8], mapping: &Mapping, kind: RecordKind) -> NextRecord {
        let Ok(text) = std::str::from_utf8(raw) else { return NextRecord::invalid_utf8() };
        match exact_json::parse(text) {
            Ok(Value::Object(object)) => self.object = object,
            Ok(_) => return NextRecord::fault(RefusalReason::BadJson, "each line must be one JSON object"),
            Err(error) => {
                let message = error.to_string().replace("at line 1 column", "at character");
                let message = format!("the line is not valid JSON: {message}");
                return NextRecord::fault(RefusalReason::BadJson, message);
            }
        }
        let object = std::mem::take(&mut self.object);
        keys_of(&object).for_each(|key| self.remember(key, mapping, kind));
        self.object = object;
        NextRecord::Record
    }

    fn remember(&mut self, key: &String, mapping: &Mapping, kind: RecordKind) {
        if self.known.contains_key(key) || self.ignored.contains(key) {
            return;
        }
        let columns = mapping.columns_of(key, kind);
        if !columns.is_empty() {
            self.known.insert(key.clone(), columns);
        } else if key != "lines" && self.ignored.len() < MAX_IGNORED {
            self.ignored.insert(key.clone());
        }
    }
}
