//! CSV with typed headers: `name:S,price:N,tags:SS`.
//!
//! A column holds one attribute of one type; an attribute that comes in two types has two columns, and the type is
//! what stands behind the header's last colon. Lists, maps and sets stand in a cell as DynamoDB JSON, binary as base64,
//! a boolean as `true` or `false`, null as `true`. An attribute that an item does not have is an empty cell, so a
//! backslash in front of a text or of base64 is taken off: `\` is the empty text, `\\x` the text `\x`.
//!
//! * [`columns`]: the header, and what fits under it
//! * [`mod@write`]: items to rows
//! * [`read`]: rows to items
//! * `untyped`: headers without types

pub mod columns;
pub mod read;
pub(crate) mod untyped;
pub mod write;

pub use columns::{Column, ColumnType, Columns, MOST_COLUMNS, Misfit};
pub use read::read_row;
pub(crate) use untyped::ColumnTypes;
pub use write::{write_header, write_row};

/// In front of a text that is empty or begins so.
pub(crate) const ESCAPE: char = '\\';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::FormatError;
    use crate::samples::{as_sets, items};
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue;
    use nextbasket_dynamodb::item::Item;
    use proptest::prelude::*;

    fn file(columns: &Columns, items: &[Item]) -> String {
        let mut out = Vec::new();
        write_header(columns, &mut out).unwrap();
        for item in items {
            write_row(columns, item, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    fn read(file: &str) -> Result<Vec<Item>, FormatError> {
        let mut reader = ::csv::ReaderBuilder::new().from_reader(file.as_bytes());
        let columns = Columns::read(reader.headers().unwrap())?;
        reader.records().map(|row| read_row(&columns, &row.unwrap())).collect()
    }

    fn item(entries: &[(&str, AttributeValue)]) -> Item {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn text(value: &str) -> AttributeValue {
        AttributeValue::S(value.to_owned())
    }

    #[test]
    fn a_file_is_what_people_expect() {
        let items = [
            item(&[("id", text("b")), ("a,b:c", text("")), ("n", AttributeValue::N("1.50".to_owned()))]),
            item(&[
                ("id", text("a")),
                ("n", text("one")),
                ("tags", AttributeValue::Ss(vec!["x".to_owned()])),
            ]),
            item(&[
                ("id", text("\\")),
                ("raw", AttributeValue::B(Blob::new(b""))),
                ("x", AttributeValue::Null(true)),
            ]),
        ];
        let columns = Columns::of(&["id"], &items).unwrap();
        let expected = "id:S,\"a,b:c:S\",n:S,n:N,raw:B,tags:SS,x:NULL\n\
            b,\\,,1.50,,,\n\
            a,,one,,,\"[\"\"x\"\"]\",\n\
            \\\\,,,,\\,,true\n";
        assert_eq!(file(&columns, &items), expected);
        assert_eq!(read(expected).unwrap(), items);
    }

    #[test]
    fn an_item_that_does_not_fit_is_refused_with_the_attribute_and_the_reason() {
        let columns = Columns::parse(&["id:S", "n:N"]).unwrap();
        for (entry, misfit) in [
            (("m", text("x")), "attribute \"m\": there is no column for it"),
            (("n", text("x")), "attribute \"n\": it has type S, but the column has N"),
        ] {
            let item = item(&[("id", text("a")), entry]);
            assert_eq!(columns.fit(&item).unwrap_err().to_string(), misfit);
        }
        let mut columns = Columns::new(&["id"]);
        for n in 0..999 {
            assert_eq!(columns.grow(&item(&[("id", text("a")), (&format!("n{n}"), text("x"))])), Ok(true));
        }
        let most = item(&[("id", text("a")), ("one more", text("x"))]);
        let misfit = columns.grow(&most).unwrap_err().to_string();
        assert_eq!(misfit, "attribute \"one more\": more than 1000 columns");
        assert_eq!(columns.len(), 1_000);
    }

    #[test]
    fn headers_and_cells_that_are_wrong_are_named() {
        for (file, problem) in [
            ("id\na\n", "column \"id\" has no type"),
            ("id:X\na\n", "column \"id:X\" has no type"),
            ("id:S,id:S\na,b\n", "column \"id:S\" appears twice"),
            ("id:S,n:N\na,x\n", "column \"n:N\": \"x\" is not a number"),
            ("id:S,n:S,n:N\na,x,1\n", "column \"n:N\": attribute \"n\" already has another value"),
            ("id:S,b:BOOL\na,yes\n", "column \"b:BOOL\": \"yes\" is not a boolean: expected true or false"),
            ("id:S,x:NULL\na,false\n", "column \"x:NULL\": \"false\" is not a valid null: expected true"),
            ("id:S,l:L\na,[\n", "column \"l:L\": EOF"),
            ("id:S,b:B\na,?\n", "is not valid base64"),
            ("id:S\n\"\"\n", "the row has no values"),
        ] {
            let error = read(file).unwrap_err().to_string();
            assert!(error.contains(problem), "{file}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_item_survives(items in items()) {
            prop_assume!(!items.is_empty());
            let columns = Columns::of(&["id"], &items).unwrap();
            let read = read(&file(&columns, &items)).unwrap();
            let as_sets = |items: &[Item]| items.iter().map(as_sets).collect::<Vec<_>>();
            prop_assert_eq!(as_sets(&read), as_sets(&items));
        }
    }
}
