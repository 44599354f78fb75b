//! Items to the bytes of a page.

use bytes::Bytes;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::{KeySchema, to_json};
use serde_json::Value;

use crate::csv::{Columns, write_header, write_row};
use crate::digest::ItemsDigest;
use crate::error::FormatError;
use crate::format::Format;
use crate::json::checked::{Checker, key_in};
use crate::json::{self, LineChange};
use crate::json_lines;

/// A page's bytes, and what went into them.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    pub bytes: Vec<u8>,
    pub digest: ItemsDigest,
    /// Keys of items that cannot be written, with the reasons.
    pub refused: Vec<(Value, String)>,
}

/// Columns that the items need beside those that there are; those items that would need too many are taken out.
pub(crate) fn grow(
    columns: &mut Columns,
    items: &mut Vec<Item>,
    keys: &KeySchema,
    refused: &mut Vec<(Value, String)>,
) -> bool {
    let mut grew = false;
    items.retain(|item| match columns.grow(item) {
        Ok(new) => {
            grew |= new;
            true
        }
        Err(misfit) => {
            refused.push((to_json(&keys.of(item)), misfit.to_string()));
            false
        }
    });
    grew
}

/// The lines of items that come as DynamoDB JSON, and stay it.
pub(crate) fn encode_texts(items: &[Bytes], keys: &KeySchema) -> Encoded {
    let texts: usize = items.iter().map(|item| item.len() + 16).sum();
    let mut encoded = Encoded { bytes: Vec::with_capacity(texts), ..Encoded::default() };
    let mut checker = Checker::new(keys.clone());
    for item in items {
        // A line has to be one.
        let digest = if item.contains(&b'\n') { None } else { checker.digest(item) };
        match digest {
            Some(digest) => {
                encoded.digest += digest;
                json::write_text(item, &mut encoded.bytes);
            }
            None => match of_value(item, &mut encoded.bytes) {
                Ok(digest) => encoded.digest += digest,
                Err(problem) => encoded.refused.push((key_in(keys, item), problem)),
            },
        }
    }
    encoded
}

/// An item that is not as it is expected, read and written anew.
fn of_value(item: &[u8], out: &mut Vec<u8>) -> Result<ItemsDigest, String> {
    let mut line = Vec::with_capacity(item.len() + 16);
    json::write_text(item, &mut line);
    let LineChange::Put(item) = json::read_line(1, &line).map_err(|error| error.problem)? else {
        return Err("it is not a valid item".to_owned());
    };
    let begin = out.len();
    let written = json::write_line(&item, out).and_then(|()| ItemsDigest::of(&item, &mut Vec::new()));
    written.map_err(|error| {
        out.truncate(begin);
        error.0
    })
}

/// The items' lines or rows; with `header`, behind the header.
pub(crate) fn encode(
    format: Format,
    columns: Option<&Columns>,
    header: bool,
    items: &[Item],
    keys: &KeySchema,
) -> Result<Encoded, FormatError> {
    let mut encoded = Encoded { bytes: Vec::with_capacity(items.len() * 512), ..Encoded::default() };
    let mut scratch = Vec::with_capacity(1024);
    let out = &mut encoded.bytes;
    if let (Some(columns), true) = (columns, header) {
        write_header(columns, out)?;
    }
    for item in items {
        let begin = out.len();
        let written = match (format, columns) {
            (Format::Csv, Some(columns)) => {
                write_row(columns, item, out).map_err(|misfit| FormatError(misfit.to_string()))
            }
            (Format::Csv, None) => Err(FormatError::new("no columns were given")),
            (Format::DynamodbJson, _) => json::write_line(item, out),
            (Format::JsonLines, _) => json_lines::write_line(item, out),
        };
        match written.and_then(|()| ItemsDigest::of(item, &mut scratch)) {
            Ok(digest) => encoded.digest += digest,
            Err(error) => {
                out.truncate(begin);
                encoded.refused.push((to_json(&keys.of(item)), error.0));
            }
        }
    }
    Ok(encoded)
}
