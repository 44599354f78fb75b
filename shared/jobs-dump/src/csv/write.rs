//! Items to rows.

use aws_sdk_dynamodb::types::AttributeValue;
use csv::{ByteRecord, WriterBuilder};
use nextbasket_dynamodb::item::Item;

use crate::csv::{Columns, ESCAPE, Misfit};
use crate::error::FormatError;
use crate::json::write::{append_base64, write_content};

/// Writes the header.
pub fn write_header(columns: &Columns, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let headers: ByteRecord = columns.headers().map(String::into_bytes).collect();
    write_record(&headers, out)
}

/// Writes an item.
///
/// # Errors
/// [`Misfit`] if it does not fit; then nothing is written.
pub fn write_row(columns: &Columns, item: &Item, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let places = columns.fit(item)?;
    let mut places = places.into_iter().peekable();
    let (mut row, mut cell) = (ByteRecord::new(), Vec::new());
    for n in 0..columns.len() {
        cell.clear();
        if let Some((_, value)) = places.next_if(|(place, _)| *place == n) {
            write_cell(value, &mut cell).map_err(|error| unwritable(columns, n, &error))?;
        }
        row.push_field(&cell);
    }
    write_record(&row, out).map_err(|error| unwritable(columns, 0, &error))
}

fn unwritable(columns: &Columns, place: usize, error: &FormatError) -> Misfit {
    let attribute = columns.iter().nth(place).map(|column| column.name.clone()).unwrap_or_default();
    Misfit { attribute, reason: error.to_string() }
}

fn write_record(record: &ByteRecord, out: &mut Vec<u8>) -> Result<(), FormatError> {
    let mut writer = WriterBuilder::new().from_writer(out);
    let written = writer.write_byte_record(record).and_then(|()| Ok(writer.flush()?));
    written.map_err(|error| FormatError(error.to_string()))
}

fn write_cell(value: &AttributeValue, cell: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        AttributeValue::S(text) => {
            if text.is_empty() || text.starts_with(ESCAPE) {
                cell.push(b'\\');
            }
            cell.extend_from_slice(text.as_bytes());
        }
        AttributeValue::N(digits) => cell.extend_from_slice(digits.as_bytes()),
        AttributeValue::B(bytes) if bytes.as_ref().is_empty() => cell.push(b'\\'),
        AttributeValue::B(bytes) => append_base64(bytes.as_ref(), cell),
        other => write_content(other, cell)?,
    }
    Ok(())
}
