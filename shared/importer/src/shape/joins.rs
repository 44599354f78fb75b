//! The other files of an export: an order's customer and date are often in a file of their own.
//!
//! They are kept in memory while the lines of orders are read, as text: some 60 bytes a row.

use std::io::{self, Read};
use std::sync::Arc;

use chrono::{Days, NaiveDate};

use crate::columns::RecordKind;
use crate::error::ImportError;
use crate::file_layout::FileForm;
use crate::group_hash::group_hash;
use crate::options::ImportOptions;
use crate::profile::{FirstOrder, Join, Profile};
use crate::record_reader::NextRecord;
use crate::survey::{OpenFile, plain_names, plain_records};
use crate::value::plain_id;

/// The column of the dates that are made of the days between a customer's orders.
pub(crate) const MADE_DATE: &str = "=order_date";

/// The sign between the cells of a row: no text of a CSV file is likely to hold it, and it is taken out of those that do.
const SEPARATOR: char = '\u{1f}';

/// How a file belongs to the others that are imported with it.
pub enum FileRole {
    /// Its records are read, with the columns of these files.
    Records(JoinedFiles),
    /// Its columns are joined to the records of the file at this position. It has this form.
    JoinedTo(FileForm, usize),
}

/// The files whose columns are joined to those of the file that is read.
#[derive(Debug, Clone, Default)]
pub struct JoinedFiles(Arc<Vec<Lookup>>);

/// A file that can be opened again and again, for lists of them.
pub type FileOpener<'o> = Box<dyn FnMut() -> io::Result<Box<dyn Read + Send>> + 'o>;

impl JoinedFiles {
    /// Finds out from the names of the columns of all files how the one at `own` belongs to the others, and reads those
    /// that are joined to it.
    ///
    /// # Errors
    /// [`ImportError`] if a file that must be joined is not there or cannot be read.
    pub fn role(
        files: &mut [FileOpener<'_>],
        own: usize,
        kind: RecordKind,
        options: &ImportOptions,
    ) -> Result<FileRole, ImportError> {
        let (mut headers, mut forms) = (Vec::with_capacity(files.len()), Vec::with_capacity(files.len()));
        for file in files.iter_mut() {
            // What cannot be read is reported when its turn comes.
            let (form, names) = plain_names(&mut **file, options)
                .map_or((None, Vec::new()), |(form, names)| (Some(form), names));
            forms.push(form);
            headers.push(names);
        }
        let names = headers.get(own).map(Vec::as_slice).unwrap_or_default();
        let profile = Profile::choose(&options.profile, names, kind);
        if let Some(profile) = profile.filter(|profile| !profile.joins.is_empty()) {
            return Self::read((profile, options), names, &headers, files, own).map(FileRole::Records);
        }
        for (other, names) in headers.iter().enumerate().filter(|(other, _)| *other != own) {
            let Some(profile) = Profile::choose(&options.profile, names, kind) else { continue };
            if profile.joins.iter().any(|join| join.file(&headers, other) == Some(own))
                && let Some(form) = forms.get(own).cloned().flatten()
            {
                return Ok(FileRole::JoinedTo(form, other));
            }
        }
        Ok(FileRole::Records(Self::default()))
    }

    fn read(
        (profile, options): (&Profile, &ImportOptions),
        names: &[String],
        headers: &[Vec<String>],
        files: &mut [FileOpener<'_>],
        own: usize,
    ) -> Result<Self, ImportError> {
        let (mut taken, mut lookups) = (names.to_vec(), Vec::new());
        for join in &profile.joins {
            let found = join.file(headers, own);
            let Some(file) = found.and_then(|at| files.get_mut(at)) else {
                if join.optional {
                    continue;
                }
                let (title, header) = (profile.title.clone(), join.header.clone());
                return Err(ImportError::MissingFile { title, header });
            };
            let lookup = Lookup::read(&mut **file, join, (profile, options), &taken)?;
            taken.extend(lookup.columns.iter().cloned());
            lookups.push(lookup);
        }
        Ok(Self(Arc::new(lookups)))
    }

    /// The names of all joined columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|lookup| &lookup.columns)
    }

    /// Whether rows are joined by a column.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.iter().any(|lookup| lookup.here == name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the joined cells to those of a row; otherwise says which value has no counterpart.
    pub(crate) fn add(&self, names: &[String], cells: &mut Vec<String>) -> Result<(), (String, String)> {
        for lookup in self.0.iter() {
            let field = names.iter().position(|name| *name == lookup.here);
            let key = field.and_then(|field| cells.get(field)).map_or("", String::as_str);
            match lookup.find(plain_id(key)) {
                Some(row) => lookup.cells(row, cells),
                None if lookup.optional => cells.resize(cells.len() + lookup.columns.len(), String::new()),
                None => return Err((lookup.here.clone(), key.to_owned())),
            }
        }
        Ok(())
    }
}

/// The rows of a joined file, by the value of one column.
#[derive(Debug)]
struct Lookup {
    /// The column of the file that it is joined to.
    here: String,
    optional: bool,
    /// The names of the columns that are joined.
    columns: Vec<String>,
    /// The key and the cells of each row.
    text: String,
    /// The beginning of each row in the text.
    rows: Vec<usize>,
    /// The rows by the hash of their key.
    index: Vec<(u64, u32)>,
    /// The date of each row, if it is made of days between orders.
    dates: Option<Vec<NaiveDate>>,
}

impl Lookup {
    fn read(
        open: OpenFile<'_>,
        join: &Join,
        (profile, options): (&Profile, &ImportOptions),
        taken: &[String],
    ) -> Result<Self, ImportError> {
        let (names, mut records) = plain_records(open, options)?;
        let field = |wanted: &str| names.iter().position(|name| crate::rules::same(name, wanted));
        let key = field(join.on.there()).ok_or_else(|| ImportError::MissingFile {
            title: profile.title.clone(),
            header: vec![join.on.there().to_owned()],
        })?;
        let is_new = |name: &String| !taken.contains(name) && profile.uses(name);
        let wanted: Vec<usize> =
            (0..names.len()).filter(|at| *at != key && names.get(*at).is_some_and(is_new)).collect();
        let mut columns: Vec<String> = wanted.iter().filter_map(|at| names.get(*at).cloned()).collect();
        let mut dates = profile.first_order().and_then(|made| OrderDates::new(&made, &names));
        let (mut text, mut rows) = (String::new(), Vec::new());
        loop {
            match records.next() {
                NextRecord::Record => {}
                NextRecord::Fault(_) => continue,
                NextRecord::Broken(error, _) => return Err(ImportError::Read(error)),
                NextRecord::End => break,
            }
            let cells = records.cells();
            rows.push(text.len());
            push_cell(&mut text, plain_id(cells.get(key).copied().unwrap_or_default().trim()));
            for field in &wanted {
                text.push(SEPARATOR);
                push_cell(&mut text, cells.get(*field).copied().unwrap_or_default().trim());
            }
            if let Some(dates) = &mut dates {
                dates.add(&cells);
            }
        }
        let dates = dates.map(OrderDates::into_dates);
        if dates.is_some() {
            columns.push(MADE_DATE.to_owned());
        }
        let mut lookup = Self {
            here: names_here(join, taken),
            optional: join.optional,
            columns,
            text,
            rows,
            index: Vec::new(),
            dates,
        };
        let hash = |row: u32| (group_hash(&[lookup.key(row)]), row);
        let mut index: Vec<(u64, u32)> =
            (0..u32::try_from(lookup.rows.len()).unwrap_or(u32::MAX)).map(hash).collect();
        index.sort_unstable();
        lookup.index = index;
        Ok(lookup)
    }

    fn row(&self, row: u32) -> &str {
        let at = usize::try_from(row).unwrap_or(usize::MAX);
        let end = self.rows.get(at + 1).copied().unwrap_or(self.text.len());
        self.rows.get(at).and_then(|start| self.text.get(*start..end)).unwrap_or_default()
    }

    fn key(&self, row: u32) -> &str {
        self.row(row).split(SEPARATOR).next().unwrap_or_default()
    }

    /// The first row with this key.
    fn find(&self, key: &str) -> Option<u32> {
        let hash = group_hash(&[key]);
        let from = self.index.partition_point(|(own, _)| *own < hash);
        let same = self.index.get(from..)?.iter().take_while(|(own, _)| *own == hash);
        same.map(|(_, row)| *row).find(|row| self.key(*row) == key)
    }

    fn cells(&self, row: u32, cells: &mut Vec<String>) {
        cells.extend(self.row(row).split(SEPARATOR).skip(1).map(str::to_owned));
        if let Some(dates) = &self.dates {
            let date = usize::try_from(row).ok().and_then(|row| dates.get(row));
            cells.push(date.map(ToString::to_string).unwrap_or_default());
        }
    }
}

fn push_cell(text: &mut String, cell: &str) {
    text.extend(cell.chars().filter(|sign| *sign != SEPARATOR));
}

/// The name, in the file that is joined to, of the common column.
fn names_here(join: &Join, taken: &[String]) -> String {
    let found = taken.iter().find(|name| crate::rules::same(name, join.on.here()));
    found.cloned().unwrap_or_else(|| join.on.here().to_owned())
}

/// Dates of orders of which only the order and the days between them are known.
struct OrderDates {
    start: NaiveDate,
    /// The columns of the customer, of the order's position, and of the days since the order before.
    fields: (usize, usize, usize),
    /// Each row's customer as a hash, position and days.
    orders: Vec<(u64, u32, u32)>,
}

impl OrderDates {
    fn new(made: &FirstOrder, names: &[String]) -> Option<Self> {
        let field = |wanted: &str| names.iter().position(|name| crate::rules::same(name, wanted));
        let fields = (field(&made.by)?, field(&made.order)?, field(&made.days_after)?);
        Some(Self { start: made.first_order, fields, orders: Vec::new() })
    }

    fn add(&mut self, cells: &[&str]) {
        let cell = |field: usize| cells.get(field).map_or("", |cell| cell.trim());
        let number = |text: &str| plain_id(text).parse::<u32>().unwrap_or(0);
        let (by, order, days) = self.fields;
        self.orders.push((group_hash(&[cell(by)]), number(cell(order)), number(cell(days))));
    }

    fn into_dates(self) -> Vec<NaiveDate> {
        let mut sorted: Vec<usize> = (0..self.orders.len()).collect();
        sorted.sort_unstable_by_key(|at| self.orders.get(*at).map(|(by, order, _)| (*by, *order)));
        let mut dates = vec![self.start; self.orders.len()];
        let mut last: Option<(u64, NaiveDate)> = None;
        for at in sorted {
            let Some((by, _, days)) = self.orders.get(at) else { continue };
            let date = match last {
                Some((same, before)) if same == *by => {
                    before.checked_add_days(Days::new(u64::from(*days))).unwrap_or(before)
                }
                _ => self.start,
            };
            last = Some((*by, date));
            if let Some(place) = dates.get_mut(at) {
                *place = date;
            }
        }
        dates
    }
}

/// The joined cells that a profile needs are found by name.
pub(crate) fn names_with(names: &[String], joined: &JoinedFiles) -> Vec<String> {
    let mut all: Vec<String> = names.to_vec();
    all.extend(joined.columns().cloned());
    all
}
