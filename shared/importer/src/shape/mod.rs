//! Rows of an export to rows of our own columns, where more is needed than other names.
//!
//! Some exports leave the cells of an order blank after its first line, put all lines of an order in one row, or the parts
//! of a name in several columns. Such a file is read row by row into rows of our own columns, each with all that it needs.
//! From there on they are like the rows of any file.

mod items;
mod joins;
mod rows;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::availability::is_available;
use crate::columns::FileColumn;
use crate::refusal::RecordFault;
use crate::row::{Row, RowCell, is_blank};
use crate::rules::{FillDown, Guests, RowRule, same};

pub(crate) use items::Items;
pub use joins::{FileOpener, FileRole, JoinedFiles};
pub(crate) use joins::{MADE_DATE, names_with};
pub(crate) use rows::ShapedRows;

/// The user of an order of nobody in particular: no id holds a control character.
pub(crate) const GUEST: &str = "\u{2}guest";

/// The name of our own product name among the columns of a product id.
const OWN_NAME: &str = "=product_name";

/// What a column of ours is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sources {
    pub(crate) column: FileColumn,
    /// Columns of the file, parts of an item (`item.sku`) or our own name (`=product_name`): the first one with a value
    /// counts.
    pub(crate) names: Vec<String>,
}

/// What is appended to a product's name: `Shirt - Red / M`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub(crate) columns: Vec<String>,
    /// Values that stand for no variant.
    #[serde(default)]
    pub(crate) except: Vec<String>,
}

/// How a file's rows become rows of our own columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shape {
    pub(crate) sources: Vec<Sources>,
    pub(crate) rows: Vec<RowRule>,
    pub(crate) fill_down: Option<FillDown>,
    pub(crate) guests: Guests,
    pub(crate) variant: Option<Variant>,
    /// Columns that together are the date and time, joined by a blank.
    pub(crate) time_columns: Vec<String>,
    /// The column with the name of the times' zone, and what its names mean.
    pub(crate) zone_column: Option<String>,
    pub(crate) zones: BTreeMap<String, String>,
    pub(crate) items: Option<Items>,
    /// Texts that are taken off the beginnings of cells, by column.
    pub(crate) prefixes: BTreeMap<String, String>,
}

impl Shape {
    /// Whether a file is read well enough without it.
    pub(crate) fn is_needless(&self) -> bool {
        self.fill_down.is_none()
            && self.variant.is_none()
            && self.time_columns.len() < 2
            && self.zone_column.is_none()
            && self.items.is_none()
            && self.prefixes.is_empty()
            && !self
                .sources
                .iter()
                .any(|sources| sources.column == FileColumn::Available && sources.names.len() > 1)
            && !self.sources.iter().any(|sources| sources.names.iter().any(|name| name == OWN_NAME))
    }

    /// Whether a column of the file takes part in more than one cell of ours.
    fn uses(&self, name: &str) -> bool {
        let of_variant = self.variant.iter().flat_map(|variant| &variant.columns);
        let of_fill = self.fill_down.iter().flat_map(|fill| fill.by.iter().chain(&fill.columns));
        let of_time = self.time_columns.iter().chain(&self.zone_column);
        of_variant.chain(of_fill).chain(of_time).any(|own| own == name)
            || self.items.as_ref().is_some_and(|items| items.are_in(name))
    }

    /// The file's names for a column of ours.
    pub(crate) fn names_of(&self, column: FileColumn) -> Option<String> {
        if column == FileColumn::Timestamp && !self.time_columns.is_empty() {
            return Some(self.time_columns.join(" + "));
        }
        let sources = self.sources.iter().find(|sources| sources.column == column)?;
        (!sources.names.is_empty()).then(|| sources.names.join(" or "))
    }
}

/// The cells that the next row may take from the row above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowAbove {
    by: String,
    cells: Vec<String>,
}

/// A row of our own columns, in the order of [`FileColumn::ALL`].
pub(crate) type ShapedRow = [String; FileColumn::ALL.len()];

/// Shapes the rows of a file, one after the other.
#[derive(Debug)]
pub(crate) struct Shaper {
    shape: Shape,
    /// The names of the file's columns, and of those that are joined.
    names: Vec<String>,
    /// The fields by their names.
    fields: HashMap<String, usize>,
    joined: JoinedFiles,
    pub(crate) above: RowAbove,
}

impl Shaper {
    /// For a file with these columns.
    pub(crate) fn new(shape: Shape, names: &[String], joined: JoinedFiles, above: RowAbove) -> Self {
        let names = names_with(names, &joined);
        let fields = names.iter().enumerate().rev().map(|(field, name)| (name.clone(), field)).collect();
        Self { shape, names, fields, joined, above }
    }

    /// Whether a column of the file takes part in what its rows become, besides being one of ours.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.shape.uses(name) || self.joined.uses(name)
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    fn field(&self, name: &str) -> Option<usize> {
        self.fields.get(name).copied()
    }

    /// The rows of our own columns that a row of the file stands for.
    ///
    /// # Errors
    /// Why the row is skipped.
    pub(crate) fn shaped(&mut self, cells: &[&str]) -> Result<Vec<ShapedRow>, RecordFault> {
        let text = |cell: &&str| if is_blank(cell.trim()) { String::new() } else { cell.trim().to_owned() };
        let mut cells: Vec<String> = cells.iter().map(text).collect();
        self.fill_down(&mut cells);
        self.joined
            .add(&self.names, &mut cells)
            .map_err(|(column, value)| RecordFault::unmatched_row(&column, &value))?;
        for (column, prefix) in &self.shape.prefixes {
            if let Some(cell) = self.field(column).and_then(|field| cells.get_mut(field))
                && let Some(rest) = cell.strip_prefix(prefix.as_str())
            {
                *cell = rest.to_owned();
            }
        }
        let cell =
            |name: &str| self.field(name).and_then(|field| cells.get(field)).map_or("", String::as_str);
        for rule in &self.shape.rows {
            let value = cell(&rule.column);
            if rule.skips(value) {
                return Err(RecordFault::skipped_row(&rule.column, value, rule.keep.then_some(&rule.values)));
            }
        }
        let items = match &self.shape.items {
            None => vec![BTreeMap::new()],
            Some(items) => items.of_row(&self.names, &cells),
        };
        Ok(items.iter().map(|item| self.row(&cell, item)).collect())
    }

    fn row<'a>(&'a self, cell: &impl Fn(&str) -> &'a str, item: &'a BTreeMap<String, String>) -> ShapedRow {
        let value = |name: &str| match name.strip_prefix("item.") {
            Some(part) => item.get(part).map_or("", String::as_str),
            None => cell(name),
        };
        let (name, guests) = (self.product_name(&value), &self.shape.guests);
        let mut found = Row::default();
        let mut row = ShapedRow::default();
        for Sources { column, names } in &self.shape.sources {
            if *column == FileColumn::ProductName {
                found.set_cell(*column, 0, &name, guests);
            } else {
                for (rank, source) in (0..=u8::MAX).zip(names) {
                    let text = if source == OWN_NAME { name.as_str() } else { value(source) };
                    found.set_cell(*column, rank, text, guests);
                }
            }
            let text = match (*column, found.get(*column)) {
                // Each column that says something must say yes.
                (FileColumn::Available, RowCell::Text(text)) => {
                    let mut texts = names.iter().map(|name| value(name));
                    texts.find(|text| is_available(text) == Some(false)).unwrap_or(text)
                }
                (_, RowCell::Text(text)) => text,
                (FileColumn::UserId, _) => {
                    found.settle_guest(guests);
                    if found.guest { GUEST } else { "" }
                }
                _ => "",
            };
            if let Some(place) = row.get_mut(*column as usize) {
                text.clone_into(place);
            }
        }
        self.set_time(&mut row, cell);
        row
    }

    /// The name of a row's product, with its variant.
    fn product_name<'a>(&self, value: &impl Fn(&str) -> &'a str) -> String {
        let is_name = |sources: &&Sources| sources.column == FileColumn::ProductName;
        let Some(sources) = self.shape.sources.iter().find(is_name) else { return String::new() };
        let name =
            sources.names.iter().map(|name| value(name)).find(|text| !is_blank(text)).unwrap_or_default();
        let Some(variant) = self.shape.variant.as_ref().filter(|_| !name.is_empty()) else {
            return name.to_owned();
        };
        let named = |part: &&str| !part.is_empty() && !variant.except.iter().any(|except| same(except, part));
        let parts: Vec<&str> = variant.columns.iter().map(|column| value(column)).filter(named).collect();
        if parts.is_empty() { name.to_owned() } else { format!("{name} - {}", parts.join(" / ")) }
    }

    fn set_time<'a>(&self, row: &mut ShapedRow, cell: &impl Fn(&str) -> &'a str) {
        let Some(time) = row.get_mut(FileColumn::Timestamp as usize) else { return };
        if !self.shape.time_columns.is_empty() {
            let parts: Vec<&str> = self.shape.time_columns.iter().map(|name| cell(name)).collect();
            *time = parts.join(" ").trim().to_owned();
        }
        if let Some(zone) = self.shape.zone_column.as_deref().map(cell)
            && !zone.is_empty()
            && !time.is_empty()
        {
            let zone = self.shape.zones.get(zone).map_or(zone, String::as_str);
            *time = format!("{time} {zone}");
        }
    }

    /// Fills blank cells from the row above, if both are of one order.
    fn fill_down(&mut self, cells: &mut [String]) {
        let Some(FillDown { by, columns }) = &self.shape.fill_down else { return };
        let by = by.as_deref().and_then(|by| self.field(by));
        let is_same =
            by.is_none_or(|by| cells.get(by).is_some_and(|cell| cell.is_empty() || *cell == self.above.by));
        if let Some(cell) = by.and_then(|by| cells.get_mut(by)) {
            if cell.is_empty() {
                cell.clone_from(&self.above.by);
            }
            self.above.by.clone_from(cell);
        }
        self.above.cells.resize(columns.len(), String::new());
        let fields: Vec<Option<usize>> = columns.iter().map(|column| self.field(column)).collect();
        for (field, above) in fields.into_iter().zip(&mut self.above.cells) {
            let Some(cell) = field.and_then(|field| cells.get_mut(field)) else { continue };
            if cell.is_empty() && is_same {
                cell.clone_from(above);
            }
            above.clone_from(cell);
        }
    }
}

/// A row of our own columns as a line of CSV.
pub(crate) fn line(row: &ShapedRow) -> Vec<u8> {
    /// Enough for most lines: a buffer is made for each.
    const LINE_BYTES: usize = 256;
    let mut writer =
        csv::WriterBuilder::new().buffer_capacity(LINE_BYTES).from_writer(Vec::with_capacity(LINE_BYTES));
    // Writing to memory does not fail.
    let _ = writer.write_record(row);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Shape {
        Shape {
            sources: Vec::new(),
            rows: Vec::new(),
            fill_down: None,
            guests: Guests::default(),
            variant: None,
            time_columns: Vec::new(),
            zone_column: None,
            zones: BTreeMap::new(),
            items: None,
            prefixes: BTreeMap::new(),
        }
    }

    fn sources(column: FileColumn, names: &[&str]) -> Sources {
        Sources { column, names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn blank_cells_are_filled_within_an_order() {
        let shape = Shape {
            sources: vec![sources(FileColumn::UserId, &["Email"]), sources(FileColumn::BasketId, &["Name"])],
            fill_down: Some(FillDown { by: Some("Name".into()), columns: names(&["Email"]) }),
            ..shape()
        };
        let mut shaper =
            Shaper::new(shape, &names(&["Name", "Email"]), JoinedFiles::default(), RowAbove::default());
        let mut user = |cells: [&str; 2]| {
            let rows = shaper.shaped(&cells).unwrap();
            format!("{} {}", rows[0][FileColumn::BasketId as usize], rows[0][FileColumn::UserId as usize])
        };
        assert_eq!(user(["#1", "ada"]), "#1 ada");
        assert_eq!(user(["#1", ""]), "#1 ada");
        assert_eq!(user(["", ""]), "#1 ada");
        assert_eq!(user(["#2", ""]), "#2 ");
        assert_eq!(user(["#2", "bob"]), "#2 bob");
    }

    #[test]
    fn the_first_column_with_a_value_counts_and_a_guest_is_nobody() {
        let shape = Shape {
            sources: vec![
                sources(FileColumn::UserId, &["id", "email"]),
                sources(FileColumn::ProductId, &["sku", "=product_name"]),
                sources(FileColumn::ProductName, &["title"]),
            ],
            guests: Guests::new(names(&["0", ""])),
            variant: Some(Variant { columns: names(&["size"]), except: names(&["Default Title"]) }),
            ..shape()
        };
        let mut shaper = Shaper::new(
            shape,
            &names(&["id", "email", "sku", "title", "size"]),
            JoinedFiles::default(),
            RowAbove::default(),
        );
        let mut row = |cells: [&str; 5]| {
            let rows = shaper.shaped(&cells).unwrap();
            [FileColumn::UserId, FileColumn::ProductId, FileColumn::ProductName]
                .map(|column| rows[0][column as usize].clone())
        };
        assert_eq!(row(["7", "a@b", "s1", "Shirt", "M"]), ["7", "s1", "Shirt - M"]);
        assert_eq!(row(["0", "a@b", "", "Shirt", "M"]), ["a@b", "Shirt - M", "Shirt - M"]);
        assert_eq!(row(["0", "", "", "Cup", "Default Title"]), [GUEST, "Cup", "Cup"]);
    }

    #[test]
    fn date_time_and_zone_become_one_text() {
        let shape = Shape {
            sources: vec![sources(FileColumn::Timestamp, &[])],
            time_columns: names(&["Date", "Time"]),
            zone_column: Some("Zone".into()),
            zones: [("Eastern Time".to_owned(), "America/New_York".to_owned())].into(),
            ..shape()
        };
        let mut shaper = Shaper::new(
            shape,
            &names(&["Date", "Time", "Zone"]),
            JoinedFiles::default(),
            RowAbove::default(),
        );
        let mut time =
            |cells: [&str; 3]| shaper.shaped(&cells).unwrap()[0][FileColumn::Timestamp as usize].clone();
        assert_eq!(time(["2024-01-05", "10:00:00", "Eastern Time"]), "2024-01-05 10:00:00 America/New_York");
        assert_eq!(time(["2024-01-05", "", "Asia/Tokyo"]), "2024-01-05 Asia/Tokyo");
        assert_eq!(time(["", "", "Asia/Tokyo"]), "");
    }
}
