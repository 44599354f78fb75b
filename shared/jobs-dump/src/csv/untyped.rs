//! Headers without types, as other tools write them.
//!
//! An attribute has the type that was given for it, or the type of the table's key, or is a text. A cell is taken as it
//! is, without the escape of typed columns: a backslash is a backslash, and an empty cell is an attribute that the item
//! does not have.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use csv::StringRecord;
use nextbasket_items::key::{KeyKind, KeySchema};

use super::{Column, ColumnType, Columns};
use crate::error::FormatError;

/// How many columns a message names.
const NAMED: usize = 20;

/// What is known of the columns of a file without types in its header.
#[derive(Debug, Clone)]
pub(crate) struct ColumnTypes {
    /// By attribute.
    pub given: BTreeMap<String, ColumnType>,
    pub keys: KeySchema,
    /// Whether each part of the key must have a column.
    pub requires_keys: bool,
}

impl ColumnTypes {
    /// The columns of a header, with types in it or without.
    ///
    /// # Errors
    /// [`FormatError`] if only some of them have types, or something is missing.
    pub(crate) fn columns(&self, header: &StringRecord) -> Result<Columns, FormatError> {
        let is_typed = |cell: &str| Column::parse(cell).is_ok();
        if header.iter().any(is_typed) {
            let columns = Columns::read(header)?;
            return match self.given.is_empty() {
                true => Ok(columns),
                false => Err(FormatError::new("the header has types already: omit types")),
            };
        }
        let missing = |name: &str| !header.iter().any(|cell| cell == name);
        let known = || header.iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if let Some(name) = self.given.keys().find(|name| missing(name)) {
            return Err(FormatError(format!("types: no column {name:?}. The columns are {}", known())));
        }
        if let Some(name) = self.keys.names().find(|name| self.requires_keys && missing(name)) {
            let problem =
                format!("no column {name:?}, which is part of the table's key. The columns are {}", known());
            return Err(FormatError(problem));
        }
        if let Some(at) = header.iter().position(str::is_empty) {
            return Err(FormatError(format!("column {} has no name", at + 1)));
        }
        Columns::untyped(
            header.iter().map(|name| Column { name: name.to_owned(), kind: self.of(name) }).collect(),
        )
    }

    fn of(&self, name: &str) -> ColumnType {
        let of_key = || {
            let mut attributes = std::iter::once(&self.keys.partition).chain(&self.keys.sort);
            attributes.find(|attribute| attribute.name == name).map(|attribute| match attribute.kind {
                KeyKind::S => ColumnType::S,
                KeyKind::N => ColumnType::N,
                KeyKind::B => ColumnType::B,
            })
        };
        self.given.get(name).copied().or_else(of_key).unwrap_or(ColumnType::S)
    }
}

/// A cell in words that other tools use; `None` if typed columns read it alike.
pub(super) fn read_cell(kind: ColumnType, cell: &str) -> Option<AttributeValue> {
    match kind {
        ColumnType::S => Some(AttributeValue::S(cell.to_owned())),
        ColumnType::Bool if cell.eq_ignore_ascii_case("true") => Some(AttributeValue::Bool(true)),
        ColumnType::Bool if cell.eq_ignore_ascii_case("false") => Some(AttributeValue::Bool(false)),
        ColumnType::Null if cell.eq_ignore_ascii_case("true") => Some(AttributeValue::Null(true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::csv::read_row;
    use nextbasket_dynamodb::item::{Item, number, text};
    use nextbasket_items::key::KeyAttribute;

    fn types(given: &[(&str, ColumnType)]) -> ColumnTypes {
        ColumnTypes {
            given: given.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
            keys: KeySchema {
                partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::N },
                sort: None,
            },
            requires_keys: true,
        }
    }

    fn header(cells: &[&str]) -> StringRecord {
        StringRecord::from(cells.to_vec())
    }

    #[test]
    fn a_column_has_the_type_that_was_given_or_of_the_key_or_is_text() {
        let types = types(&[("price", ColumnType::N), ("new", ColumnType::Bool), ("tags", ColumnType::Ss)]);
        let columns = types.columns(&header(&["id", "name", "price", "new", "tags", "note"])).unwrap();
        let row = header(&["7", "\\x", "1.50", "TRUE", "[\"a\"]", ""]);
        let item = Item::from([
            ("id".to_owned(), number(7)),
            ("name".to_owned(), text("\\x")),
            ("price".to_owned(), number("1.50")),
            ("new".to_owned(), AttributeValue::Bool(true)),
            ("tags".to_owned(), AttributeValue::Ss(vec!["a".to_owned()])),
        ]);
        assert_eq!(read_row(&columns, &row), Ok(item));
        let wrong = read_row(&columns, &header(&["x", "", "", "", "", ""])).unwrap_err().to_string();
        assert_eq!(wrong, "column \"id:N\": \"x\" is not a number");
    }

    #[test]
    fn a_header_with_types_is_read_as_that() {
        let columns = types(&[]).columns(&header(&["id:N", "name:S"])).unwrap();
        let item = Item::from([("id".to_owned(), number(7)), ("name".to_owned(), text(""))]);
        assert_eq!(read_row(&columns, &header(&["7", "\\"])), Ok(item));
    }

    #[test]
    fn a_header_that_cannot_be_meant_is_refused() {
        for (given, cells, problem) in [
            (&[][..], &["id:N", "name"][..], "column \"name\" has no type"),
            (&[], &["name"], "no column \"id\", which is part of the table's key. The columns are name"),
            (&[], &["id", "", "x"], "column 2 has no name"),
            (&[], &["id", "a", "a"], "column \"a:S\" appears twice"),
            (&[("x", ColumnType::N)], &["id", "y"], "types: no column \"x\". The columns are id, y"),
            (&[("id", ColumnType::N)], &["id:N"], "the header has types already"),
        ] {
            let found = types(given).columns(&header(cells)).unwrap_err().to_string();
            assert!(found.contains(problem), "{found}");
        }
    }
}
