//! One record's cells, wherever they came from.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::columns::FileColumn;
use crate::refusal::{RecordFault, RefusalReason};
use crate::rules::Guests;

/// Texts that exports write for a cell without a value.
const EMPTY_TEXTS: [&str; 6] = ["NULL", "null", "NaN", "nan", "None", "\\N"];

/// Whether a trimmed cell has no value, or a word for none.
pub(crate) fn is_blank(text: &str) -> bool {
    // The first byte alone tells nearly every value from these words.
    match text.as_bytes().first() {
        None => true,
        Some(b'N' | b'n' | b'\\') => EMPTY_TEXTS.contains(&text),
        Some(_) => false,
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum RowCell<'a> {
    #[default]
    Missing,
    Text(&'a str),
    Json(&'a Value),
}

/// The cells of one record, by column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row<'a> {
    cells: [RowCell<'a>; FileColumn::ALL.len()],
    /// The rank of the column of the file that each cell came from.
    ranks: [u8; FileColumn::ALL.len()],
    /// The user is one of the texts that stand for nobody in particular.
    pub(crate) guest: bool,
    pub(crate) lines: Option<&'a [Value]>,
}

impl<'a> Row<'a> {
    /// Puts in a CSV cell, unless one of a lower rank has a value: spaces around it do not count, nor do words for
    /// nothing, nor users that stand for nobody in particular.
    pub(crate) fn set_cell(&mut self, column: FileColumn, rank: u8, text: &'a str, guests: &Guests) {
        if column == FileColumn::UserId && guests.include(text.trim()) {
            self.guest = true;
        } else {
            self.set_text(column, rank, text);
        }
    }

    /// Decides, when all cells are there, whether the order is one of nobody in particular: one with a user is not.
    pub(crate) fn settle_guest(&mut self, guests: &Guests) {
        let is_missing = matches!(self.get(FileColumn::UserId), RowCell::Missing);
        self.guest = is_missing && (self.guest || guests.include(""));
    }

    /// As [`set_cell`](Self::set_cell), of whatever column.
    fn set_text(&mut self, column: FileColumn, rank: u8, text: &'a str) {
        let text = text.trim();
        if !is_blank(text) {
            self.set(column, rank, RowCell::Text(text));
        }
    }

    /// Puts in a JSON value, unless it is null or a blank text, stands for nobody in particular, or one of a lower rank
    /// has a value.
    pub(crate) fn set_json(&mut self, column: FileColumn, rank: u8, value: &'a Value, guests: &Guests) {
        if column == FileColumn::UserId
            && value
                .as_str()
                .map_or_else(|| guests.include(&value.to_string()), |text| guests.include(text.trim()))
        {
            self.guest = true;
            return;
        }
        match value {
            Value::Null => {}
            Value::String(text) if text.trim().is_empty() => {}
            value => self.set(column, rank, RowCell::Json(value)),
        }
    }

    fn set(&mut self, column: FileColumn, rank: u8, cell: RowCell<'a>) {
        let at = column as usize;
        if let (Some(place), Some(own)) = (self.cells.get_mut(at), self.ranks.get_mut(at))
            && (matches!(place, RowCell::Missing) || rank < *own)
        {
            (*place, *own) = (cell, rank);
        }
    }

    pub(crate) fn get(&self, column: FileColumn) -> RowCell<'a> {
        self.cells.get(column as usize).copied().unwrap_or_default()
    }

    /// The cell as text; a JSON number is as it is written.
    pub(crate) fn text(&self, column: FileColumn) -> Result<Option<Cow<'a, str>>, RecordFault> {
        match self.get(column) {
            RowCell::Missing => Ok(None),
            RowCell::Text(text) => Ok(Some(Cow::Borrowed(text))),
            RowCell::Json(Value::String(text)) => Ok(Some(Cow::Borrowed(text.trim()))),
            RowCell::Json(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            RowCell::Json(Value::Bool(yes)) => Ok(Some(Cow::Borrowed(if *yes { "true" } else { "false" }))),
            RowCell::Json(_) => Err(RecordFault::of_cell(
                RefusalReason::WrongType,
                column,
                format!("{column} must be text or a number"),
            )),
        }
    }

    /// The cell as text, or why a record without it is refused.
    pub(crate) fn required(
        &self,
        column: FileColumn,
        missing: RefusalReason,
        message: &str,
    ) -> Result<Cow<'a, str>, RecordFault> {
        self.text(column)?.ok_or_else(|| RecordFault::of_cell(missing, column, message))
    }

    /// Whether the cell is a JSON number: its point is a decimal sign.
    pub(crate) fn is_json_number(&self, column: FileColumn) -> bool {
        matches!(self.get(column), RowCell::Json(Value::Number(_)))
    }

    /// The cell as a JSON object, if it is one.
    pub(crate) fn object(&self, column: FileColumn) -> Option<&'a Map<String, Value>> {
        match self.get(column) {
            RowCell::Json(value) => value.as_object(),
            _ => None,
        }
    }
}
