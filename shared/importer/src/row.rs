//! One record's cells, wherever they came from.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::columns::FileColumn;
use crate::refusal::{RecordFault, RefusalReason};

/// Texts that exports write for a cell without a value.
const EMPTY_TEXTS: [&str; 6] = ["NULL", "null", "NaN", "nan", "None", "\\N"];

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
    pub(crate) lines: Option<&'a [Value]>,
}

impl<'a> Row<'a> {
    /// Puts in a CSV cell: spaces around it do not count, nor do words for nothing.
    pub(crate) fn set_text(&mut self, column: FileColumn, text: &'a str) {
        let text = text.trim();
        if !text.is_empty() && !EMPTY_TEXTS.contains(&text) {
            self.set(column, RowCell::Text(text));
        }
    }

    /// Puts in a JSON value, unless it is null or an empty text.
    pub(crate) fn set_json(&mut self, column: FileColumn, value: &'a Value) {
        if !value.is_null() && value.as_str() != Some("") {
            self.set(column, RowCell::Json(value));
        }
    }

    fn set(&mut self, column: FileColumn, cell: RowCell<'a>) {
        if let Some(place) = self.cells.get_mut(column as usize) {
            *place = cell;
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
            RowCell::Json(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            RowCell::Json(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
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

    /// The cell as a JSON object, if it is one.
    pub(crate) fn object(&self, column: FileColumn) -> Option<&'a Map<String, Value>> {
        match self.get(column) {
            RowCell::Json(value) => value.as_object(),
            _ => None,
        }
    }
}
