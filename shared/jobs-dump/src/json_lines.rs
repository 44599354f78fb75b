//! Plain JSON, a line for each item, for people and their tools.
//!
//! Strings, numbers, booleans, null, lists and maps stand as themselves; a number has all of its digits. What JSON does
//! not have is an object with one name that begins with `$`:
//!
//! | value | in JSON |
//! |---|---|
//! | binary | `{"$binary": "base64"}` |
//! | a set | `{"$set": {"S": ["a", "b"]}}`, with `N` of numbers and with `B` of base64 |
//! | a map whose only name begins with `$` | `{"$map": {"$name": …}}` |

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{FormatError, LineError};
use crate::json::read::binary;
use crate::json::write::{write_base64, write_list, write_object, write_string};
use nextbasket_dynamodb::error::shown;
use nextbasket_dynamodb::number::{Number, is_json};

/// DynamoDB nests values 32 deep; a text that is nested deeper is no item.
const DEEPEST: u32 = 33;

/// Writes an item and a line feed.
///
/// # Errors
/// [`FormatError`] if it holds an invalid number, or the value has an unknown type.
pub fn write_line(item: &Item, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_object(item, out, write_value)?;
    out.push(b'\n');
    Ok(())
}

/// Writes a value.
///
/// # Errors
/// As of [`write_line`].
pub fn write_value(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        AttributeValue::S(text) => write_string(text, out),
        AttributeValue::N(digits) => write_number(digits, out)?,
        AttributeValue::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        AttributeValue::Null(_) => out.extend_from_slice(b"null"),
        AttributeValue::B(bytes) => {
            out.extend_from_slice(b"{\"$binary\":");
            write_base64(bytes.as_ref(), out);
            out.push(b'}');
        }
        AttributeValue::Ss(members) => write_set(b'S', members, out, |member, out| {
            write_string(member, out);
            Ok(())
        })?,
        AttributeValue::Ns(members) => {
            write_set(b'N', members, out, |member, out| write_number(member, out))?;
        }
        AttributeValue::Bs(members) => write_set(b'B', members, out, |member, out| {
            write_base64(member.as_ref(), out);
            Ok(())
        })?,
        AttributeValue::L(list) => write_list(list, out, write_value)?,
        AttributeValue::M(map) => {
            let special = map.len() == 1 && map.keys().any(|name| name.starts_with('$'));
            if special {
                out.extend_from_slice(b"{\"$map\":");
            }
            write_object(map, out, write_value)?;
            if special {
                out.push(b'}');
            }
        }
        _ => return Err(FormatError::new("the value has an unknown type")),
    }
    Ok(())
}

fn write_set<T>(
    kind: u8,
    members: &[T],
    out: &mut Vec<u8>,
    write: impl Fn(&T, &mut Vec<u8>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    out.extend_from_slice(b"{\"$set\":{\"");
    out.push(kind);
    out.extend_from_slice(b"\":");
    write_list(members, out, write)?;
    out.extend_from_slice(b"}}");
    Ok(())
}

/// As it is spelt, or as JSON does if that is not JSON.
fn write_number(digits: &str, out: &mut Vec<u8>) -> Result<(), FormatError> {
    if is_json(digits) {
        out.extend_from_slice(digits.as_bytes());
    } else {
        out.extend_from_slice(Number::parse(digits)?.to_string().as_bytes());
    }
    Ok(())
}

/// Reads a line.
///
/// # Errors
/// [`LineError`] with the line's number, `line`, and what is wrong.
pub fn read_line(line: u64, text: &[u8]) -> Result<Item, LineError> {
    let read = || {
        let raw: &RawValue = serde_json::from_slice(text)?;
        if !raw.get().starts_with('{') {
            return Err(FormatError::new("must be an object"));
        }
        read_map(raw, 0)
    };
    read().map_err(|error| LineError { line, problem: error.0 })
}

/// The names and values of an object, as they stand.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taken;
        impl<'de> Visitor<'de> for Taken {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Taken)
    }
}

fn entries(raw: &RawValue) -> Result<Vec<(String, &RawValue)>, FormatError> {
    Ok(serde_json::from_str::<Entries<'_>>(raw.get())?.0)
}

fn read_map(raw: &RawValue, depth: u32) -> Result<Item, FormatError> {
    attributes(entries(raw)?, depth)
}

fn attributes(entries: Vec<(String, &RawValue)>, depth: u32) -> Result<Item, FormatError> {
    let mut item = Item::with_capacity(entries.len());
    for (name, raw) in entries {
        let value = read_value(raw, depth + 1)
            .map_err(|error| FormatError(format!("{}: {}", shown(&name).trim_matches('"'), error.0)))?;
        if item.insert(name.clone(), value).is_some() {
            return Err(FormatError(format!("{} twice", shown(&name))));
        }
    }
    Ok(item)
}

fn read_value(raw: &RawValue, depth: u32) -> Result<AttributeValue, FormatError> {
    if depth > DEEPEST {
        return Err(FormatError::new("is nested deeper than the 32 levels that DynamoDB allows"));
    }
    Ok(match raw.get().as_bytes().first() {
        Some(b'"') => AttributeValue::S(serde_json::from_str(raw.get())?),
        Some(b't') => AttributeValue::Bool(true),
        Some(b'f') => AttributeValue::Bool(false),
        Some(b'n') => AttributeValue::Null(true),
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(raw.get())?;
            AttributeValue::L(
                list.into_iter().map(|raw| read_value(raw, depth + 1)).collect::<Result<_, _>>()?,
            )
        }
        Some(b'{') => {
            let entries = entries(raw)?;
            match entries.as_slice() {
                [(name, content)] if name.starts_with('$') => special(name, content, depth)?,
                _ => AttributeValue::M(attributes(entries, depth)?),
            }
        }
        _ => AttributeValue::N(read_number(raw)?),
    })
}

fn special(name: &str, content: &RawValue, depth: u32) -> Result<AttributeValue, FormatError> {
    match name {
        "$binary" => Ok(AttributeValue::B(binary(&serde_json::from_str::<String>(content.get())?)?)),
        "$map" => Ok(AttributeValue::M(read_map(content, depth)?)),
        "$set" => {
            let set = entries(content)?;
            let [(kind, members)] = set.as_slice() else {
                return Err(FormatError::new("a $set must have exactly one of S, N and B"));
            };
            let members: Vec<&RawValue> = serde_json::from_str(members.get())?;
            let texts = || members.iter().map(|raw| Ok(serde_json::from_str::<String>(raw.get())?));
            Ok(match kind.as_str() {
                "S" => AttributeValue::Ss(texts().collect::<Result<_, FormatError>>()?),
                "N" => {
                    AttributeValue::Ns(members.iter().map(|raw| read_number(raw)).collect::<Result<_, _>>()?)
                }
                "B" => AttributeValue::Bs(
                    texts().map(|text| binary(&text?)).collect::<Result<_, FormatError>>()?,
                ),
                other => {
                    return Err(FormatError(format!(
                        "a $set must have exactly one of S, N and B, not {}",
                        shown(other)
                    )));
                }
            })
        }
        other => Err(FormatError(format!(
            "{} is not known: a map of this one name is {{\"$map\": …}}",
            shown(other)
        ))),
    }
}

fn read_number(raw: &RawValue) -> Result<String, FormatError> {
    Number::parse(raw.get())?;
    Ok(raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{as_sets, item};
    use aws_sdk_dynamodb::primitives::Blob;
    use proptest::prelude::*;

    fn written(value: AttributeValue) -> String {
        let mut line = Vec::new();
        write_line(&Item::from([("a".to_owned(), value)]), &mut line).unwrap();
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    #[test]
    fn values_stand_as_people_write_them() {
        let number = "12345678901234567890123456789012345678".to_owned();
        for (value, json) in [
            (AttributeValue::S("x".to_owned()), r#"{"a":"x"}"#.to_owned()),
            (AttributeValue::N(number.clone()), format!(r#"{{"a":{number}}}"#)),
            (AttributeValue::N(".5".to_owned()), r#"{"a":5E-1}"#.to_owned()),
            (AttributeValue::Null(true), r#"{"a":null}"#.to_owned()),
            (AttributeValue::B(Blob::new(b"hi")), r#"{"a":{"$binary":"aGk="}}"#.to_owned()),
            (AttributeValue::Ns(vec!["1".to_owned()]), r#"{"a":{"$set":{"N":[1]}}}"#.to_owned()),
            (
                AttributeValue::M(Item::from([("$set".to_owned(), AttributeValue::Bool(true))])),
                r#"{"a":{"$map":{"$set":true}}}"#.to_owned(),
            ),
        ] {
            assert_eq!(written(value), json);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_line() {
        for (line, problem) in [
            ("[]", "must be an object"),
            (r#"{"a":1e200}"#, "a: \"1e200\" is not between"),
            (r#"{"a":{"$binary":"?"}}"#, "is not valid base64"),
            (r#"{"a":{"$set":{"X":[]}}}"#, "one of S, N and B"),
            (r#"{"a":{"$set":{"N":["1"]}}}"#, "is not a number"),
            (r#"{"a":{"$when":1}}"#, "\"$when\" is not known"),
            (r#"{"a":1,"a":2}"#, "\"a\" twice"),
            (r#"{"a":1"#, "EOF while parsing"),
            (&format!(r#"{{"a":{}1{}}}"#, "[".repeat(100), "]".repeat(100)), "nested deeper"),
        ] {
            let error = read_line(3, line.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("line 3: ") && error.contains(problem), "{line}: {error}");
        }
    }

    #[test]
    fn values_may_be_nested_as_deep_as_dynamodb_has_them() {
        let mut value = AttributeValue::Null(true);
        for _ in 0..16 {
            value = AttributeValue::L(vec![AttributeValue::M(Item::from([("$x".to_owned(), value)]))]);
        }
        let item = Item::from([("a".to_owned(), value)]);
        let mut line = Vec::new();
        write_line(&item, &mut line).unwrap();
        assert_eq!(read_line(1, &line), Ok(item));
    }

    proptest! {
        #[test]
        fn every_item_survives(item in item()) {
            let mut line = Vec::new();
            write_line(&item, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let read = read_line(1, &line).unwrap();
            prop_assert_eq!(as_sets(&read), as_sets(&item));
        }
    }
}
