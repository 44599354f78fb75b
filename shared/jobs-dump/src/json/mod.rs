//! DynamoDB JSON, a line for each item, as AWS's own exports to S3 have it.
//!
//! * [`mod@write`]: items to lines
//! * [`read`]: lines to items, of full exports and of incremental ones
//! * [`checked`]: items that are looked at and stay text
//! * `documents`: items of JSON documents, DynamoDB's or plain, that are not written a line each
//!
//! The form of the lines is documented under "DynamoDB table export output format" in the developer guide:
//! `{"Item":{"pk":{"S":"a"}}}`, and for changes
//! `{"Metadata":{"WriteTimestampMicros":{"N":"…"}},"Keys":{…},"OldImage":{…},"NewImage":{…}}`, where an item without a
//! new image was deleted. A line may also be the item itself, `{"pk":{"S":"a"}}`, as other tools write it.

/// Lets a visitor be asked for with a method of the deserializer.
macro_rules! seed {
    ($seed:ident $(<$life:lifetime>)?, $method:ident) => {
        impl<'de> serde::de::DeserializeSeed<'de> for $seed $(<$life>)? {
            type Value = <Self as serde::de::Visitor<'de>>::Value;

            fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                deserializer.$method(self)
            }
        }
    };
}

pub mod checked;
pub(crate) mod documents;
pub mod read;
pub mod write;

pub use read::{KeyedChange, LineChange, read_change, read_item, read_line, read_value};
pub(crate) use write::write_text;
pub use write::{write_item, write_line};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{as_sets, item};
    use aws_sdk_dynamodb::primitives::Blob;
    use aws_sdk_dynamodb::types::AttributeValue;
    use nextbasket_dynamodb::item::Item;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<LineChange, String> {
        read_line(7, line.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn lines_are_those_of_awss_exports() {
        let item = Item::from([
            ("pk".to_owned(), AttributeValue::S("a \"b\"\n\u{1}ü".to_owned())),
            ("n".to_owned(), AttributeValue::N("1.5".to_owned())),
            ("raw".to_owned(), AttributeValue::B(Blob::new(b"hi"))),
            ("tags".to_owned(), AttributeValue::Ss(vec!["x".to_owned()])),
            (
                "list".to_owned(),
                AttributeValue::L(vec![AttributeValue::Null(true), AttributeValue::Bool(false)]),
            ),
        ]);
        let mut line = Vec::new();
        write_line(&item, &mut line).unwrap();
        let expected = concat!(
            r#"{"Item":{"list":{"L":[{"NULL":true},{"BOOL":false}]},"n":{"N":"1.5"},"#,
            r#""pk":{"S":"a \"b\"\n\u0001ü"},"raw":{"B":"aGk="},"tags":{"SS":["x"]}}}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn changes_are_puts_and_deletions() {
        let line = r#"{"Metadata":{"WriteTimestampMicros":{"N":"1680109764000000"}},"Keys":{"pk":{"S":"a"}},
            "OldImage":{"pk":{"S":"a"},"n":{"N":"1"}},"NewImage":{"pk":{"S":"a"},"n":{"N":"2"}}}"#;
        let new = Item::from([
            ("pk".to_owned(), AttributeValue::S("a".to_owned())),
            ("n".to_owned(), AttributeValue::N("2".to_owned())),
        ]);
        assert_eq!(read(line), Ok(LineChange::Put(new)));
        let changed = read_change(7, line.as_bytes()).unwrap();
        assert_eq!((changed.written_micros, changed.keys.len()), (Some(1_680_109_764_000_000), 1));
        let line = r#"{"Metadata":{},"Keys":{"pk":{"S":"a"}},"OldImage":{"pk":{"S":"a"}}}"#;
        let key = Item::from([("pk".to_owned(), AttributeValue::S("a".to_owned()))]);
        assert_eq!(read(line), Ok(LineChange::Delete(key)));
    }

    #[test]
    fn an_item_needs_no_name_in_front() {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let map = |entries: &[(&str, AttributeValue)]| -> Item {
            entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        for (line, item) in [
            (r#"{"pk":{"S":"a"}}"#, map(&[("pk", text("a"))])),
            // An attribute may have a name that exports use.
            (r#"{"Item":{"S":"a"}}"#, map(&[("Item", text("a"))])),
            (
                r#"{"Item":{"M":{}},"pk":{"S":"a"}}"#,
                map(&[("Item", AttributeValue::M(Item::new())), ("pk", text("a"))]),
            ),
            (r#"{"pk":{"S":"a"},"Keys":{"S":"b"}}"#, map(&[("pk", text("a")), ("Keys", text("b"))])),
            (r#"{"Item":{"M":{"S":"a"}}}"#, map(&[("M", text("a"))])),
            (r#"{"Item":{"pk":{"S":"a"}},"Later":1}"#, map(&[("pk", text("a"))])),
        ] {
            assert_eq!(read(line), Ok(LineChange::Put(item)), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line() {
        for (line, problem) in [
            ("", "line 7: EOF while parsing"),
            ("{}", "expected an object with \"Item\" or \"Keys\""),
            (r#"{"a":{"S":1}}"#, "expected a string"),
            (r#"{"a":"plain"}"#, "a value with its type"),
            (r#"{"Item":{"a":{"S":1}}}"#, "expected a string"),
            (r#"{"Item":{"a":{"N":"x"}}}"#, "\"x\" is not a number"),
            (r#"{"Item":{"a":{"N":1}}}"#, "expected a number as a string"),
            (r#"{"Item":{"a":{"B":"?"}}}"#, "is not valid base64"),
            (r#"{"Item":{"a":{"X":"x"}}}"#, "unknown type \"X\""),
            (r#"{"Item":{"a":{}}}"#, "has no type"),
            (r#"{"Item":{"a":{"S":"x","N":"1"}}}"#, "has two types"),
            (r#"{"Item":{"a":{"S":"x"},"a":{"S":"y"}}}"#, "\"a\" twice"),
            (r#"{"Item":{"a":{"S":"x"}}} x"#, "trailing characters"),
            (r#"{"Item":{"a":{"S":"x""#, "EOF while parsing"),
            (
                r#"{"Keys":{"a":{"S":"x"}},"NewImage":{"a":{"S":"y"}}}"#,
                "NewImage has another \"a\" than Keys",
            ),
            (
                r#"{"Keys":{"a":{"S":"x"}},"NewImage":{"b":{"S":"x"}}}"#,
                "NewImage has another \"a\" than Keys",
            ),
            (
                r#"{"Metadata":{"WriteTimestampMicros":{"N":"-1"}},"Keys":{"a":{"S":"x"}}}"#,
                "WriteTimestampMicros must be a whole number",
            ),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with("line 7: ") && error.contains(problem), "{line}: {error}");
        }
    }

    #[test]
    fn values_may_be_nested_as_deep_as_dynamodb_has_them() {
        let mut value = AttributeValue::S("deep".to_owned());
        for level in 0..32 {
            value = match level % 2 {
                0 => AttributeValue::L(vec![value]),
                _ => AttributeValue::M(Item::from([("x".to_owned(), value)])),
            };
        }
        let item = Item::from([("a".to_owned(), value)]);
        let mut line = Vec::new();
        write_line(&item, &mut line).unwrap();
        assert_eq!(read_line(1, &line), Ok(LineChange::Put(item)));
    }

    proptest! {
        #[test]
        fn every_item_survives(item in item()) {
            let mut line = Vec::new();
            write_line(&item, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let Ok(LineChange::Put(read)) = read_line(1, &line) else { panic!("no item") };
            prop_assert_eq!(as_sets(&read), as_sets(&item));
        }
    }
}
