//! One record's cells, wherever they came from.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::columns::Column;
use crate::refusal::{RecordFault, RefusalReason};

/// Texts that exports write for a cell without a value.
const EMPTY_TEXTS: [&str; 6] = ["NULL", "null", "NaN", "nan", "None", "\\N"];

#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Cell<'a> {
    #[default]
    Missing,
    Text(&'a str),
    Json(&'a Value),
}

/// The cells of one record, by column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row<'a> {
    cells: [Cell<'a>; Column::ALL.len()],
    /// A whole purchase's lines.
    pub(crate) lines: Option<&'a [Value]>,
}

impl<'a> Row<'a> {
    /// Puts in a CSV cell: spaces around it do not count, nor do words for nothing.
    pub(crate) fn set_text(&mut self, column: Column, text: &'a str) {
        let text = text.trim();
        if !text.is_empty() && !EMPTY_TEXTS.contains(&text) {
            self.set(column, Cell::Text(text));
        }
    }

    /// Puts in a JSON value, unless it is null or an empty text.
    pub(crate) fn set_json(&mut self, column: Column, value: &'a Value) {
        if !value.is_null() && value.as_str() != Some("") {
            self.set(column, Cell::Json(value));
        }
    }

    fn set(&mut self, column: Column, cell: Cell<'a>) {
        if let Some(place) = self.cells.get_mut(column as usize) {
            *place = cell;
        }
    }

    pub(crate) fn get(&self, column: Column) -> Cell<'a> {
        self.cells.get(column as usize).copied().unwrap_or_default()
    }

    /// The cell as text; a JSON number is as it is written.
    pub(crate) fn text(&self, column: Column) -> Result<Option<Cow<'a, str>>, RecordFault> {
        match self.get(column) {
            Cell::Missing => Ok(None),
            Cell::Text(text) => Ok(Some(Cow::Borrowed(text))),
            Cell::Json(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            Cell::Json(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Cell::Json(_) => Err(RecordFault::of_cell(
                RefusalReason::WrongType,
                column,
                format!("{column} must be text or a number"),
            )),
        }
    }

    /// The cell as a JSON object, if it is one.
    pub(crate) fn object(&self, column: Column) -> Option<&'a Map<String, Value>> {
        match self.get(column) {
            Cell::Json(value) => value.as_object(),
            _ => None,
        }
    }
}
