//! Rows to items.

use aws_sdk_dynamodb::types::AttributeValue;
use csv::StringRecord;
use nextbasket_dynamodb::item::Item;

use crate::csv::{Column, ColumnType, Columns, ESCAPE, untyped};
use crate::error::FormatError;
use crate::json::read::binary;
use crate::json::read_value;
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::error::shown;

/// Reads a row.
///
/// # Errors
/// [`FormatError`] that names the column and what is wrong with its cell.
pub fn read_row(columns: &Columns, row: &StringRecord) -> Result<Item, FormatError> {
    columns.check_cells(row.len())?;
    let mut item = Item::new();
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
        let wrong = |problem: String| FormatError(format!("column \"{column}\": {problem}"));
        let plain = if columns.is_plain() { untyped::read_cell(column.kind, cell) } else { None };
        let value = plain.map_or_else(|| read_cell(column, cell), Ok).map_err(|error| wrong(error.0))?;
        if item.insert(column.name.clone(), value).is_some() {
            return Err(wrong(format!("attribute {:?} already has another value", column.name)));
        }
    }
    if item.is_empty() { Err(FormatError::new("the row has no values")) } else { Ok(item) }
}

fn read_cell(column: &Column, cell: &str) -> Result<AttributeValue, FormatError> {
    let text = || cell.strip_prefix(ESCAPE).unwrap_or(cell);
    Ok(match (column.kind, cell) {
        (ColumnType::S, _) => AttributeValue::S(text().to_owned()),
        (ColumnType::B, _) => AttributeValue::B(binary(text())?),
        (ColumnType::N, _) => {
            Number::parse(cell)?;
            AttributeValue::N(cell.to_owned())
        }
        (ColumnType::Bool, "true") => AttributeValue::Bool(true),
        (ColumnType::Bool, "false") => AttributeValue::Bool(false),
        (ColumnType::Bool, _) => {
            return Err(FormatError(format!("{} is not a boolean: expected true or false", shown(cell))));
        }
        (ColumnType::Null, "true") => AttributeValue::Null(true),
        (ColumnType::Null, _) => {
            return Err(FormatError(format!("{} is not a valid null: expected true", shown(cell))));
        }
        (kind, _) => read_value(kind.name(), cell)?,
    })
}
