//! Lines of DynamoDB JSON to items, straight into values.

use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_dynamodb::item::Item;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{FormatError, LineError};
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::error::shown;

#[derive(Debug, Clone, PartialEq)]
pub enum LineChange {
    /// An item as it is, or as it was written.
    Put(Item),
    /// The key of an item that was deleted.
    Delete(Item),
}

/// Reads a line: an item of a full export, a change of an incremental one, or an item without a name in front.
///
/// Which of them it is, is certain: no item's attributes are types, and no type is an attribute's value.
///
/// # Errors
/// [`LineError`] with the line's number, `line`, and what is wrong.
pub fn read_line(line: u64, text: &[u8]) -> Result<LineChange, LineError> {
    let exported = match read_whole(text, LineVisitor) {
        Ok(Line { change: Some(change), others: false }) => return Ok(change),
        exported => exported,
    };
    let problem = match (read_item(text), exported) {
        (Ok(item), _) if !item.is_empty() => return Ok(LineChange::Put(item)),
        (_, Ok(Line { change: Some(change), .. })) => return Ok(change),
        (Err(problem), Ok(_)) => problem.to_string(),
        (Ok(_), Ok(_)) => {
            "expected an object with \"Item\" or \"Keys\", or with an item's attributes".to_owned()
        }
        (_, Err(problem)) => problem.to_string(),
    };
    Err(LineError { line, problem })
}

/// Reads an item without a name in front.
///
/// # Errors
/// [`serde_json::Error`] that says what is wrong.
pub(crate) fn read_item(text: &[u8]) -> Result<Item, serde_json::Error> {
    read_whole(text, ItemSeed)
}

/// Reads the key and both images of a change of an incremental export, as far as it has them.
///
/// # Errors
/// [`serde_json::Error`] that says what is wrong.
pub(crate) fn read_images(text: &[u8]) -> Result<[Option<Item>; 3], serde_json::Error> {
    read_whole(text, ImagesVisitor)
}

fn read_whole<'a, V: Visitor<'a>>(text: &'a [u8], visitor: V) -> Result<V::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = deserializer.deserialize_map(visitor)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a value without its type in front, of the type of this name: a cell whose column says it.
///
/// # Errors
/// [`FormatError`] that says what is wrong.
pub fn read_value(kind: &str, text: &str) -> Result<AttributeValue, FormatError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = ContentSeed(kind).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// A line of an export.
struct Line {
    /// `None` if it has neither an item nor a key.
    change: Option<LineChange>,
    /// Whether it has members that exports have not.
    others: bool,
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Item, or with Keys and images")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let (mut item, mut keys, mut others) = (None, None, false);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name.as_str() {
                "Item" | "NewImage" => item = Some(map.next_value_seed(ItemSeed)?),
                "Keys" => keys = Some(map.next_value_seed(ItemSeed)?),
                name => {
                    others |= !matches!(name, "Metadata" | "OldImage");
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let change = match (item, keys) {
            (Some(item), _) => Some(LineChange::Put(item)),
            (None, keys) => keys.map(LineChange::Delete),
        };
        Ok(Line { change, others })
    }
}

struct ImagesVisitor;

impl<'de> Visitor<'de> for ImagesVisitor {
    type Value = [Option<Item>; 3];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Keys and images")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut key, mut old, mut new) = (None, None, None);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name.as_str() {
                "Keys" => key = Some(map.next_value_seed(ItemSeed)?),
                "OldImage" => old = Some(map.next_value_seed(ItemSeed)?),
                "NewImage" => new = Some(map.next_value_seed(ItemSeed)?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok([key, old, new])
    }
}

/// A short name, such as that of a type.
pub(super) struct NameSeed;

/// Names that are looked for have at most 8 bytes; longer ones are not kept.
pub(super) struct Name([u8; 8], usize);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        self.0.get(..self.1).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("?")
    }
}

seed!(NameSeed, deserialize_str);

impl Visitor<'_> for NameSeed {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        let mut name = Name([b'?'; 8], text.len());
        match name.0.get_mut(..text.len()) {
            Some(place) => place.copy_from_slice(text.as_bytes()),
            None => name.1 = 1,
        }
        Ok(name)
    }
}

/// An item, or the content of a map.
pub(crate) struct ItemSeed;

seed!(ItemSeed, deserialize_map);

impl<'de> Visitor<'de> for ItemSeed {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut item = Item::with_capacity(8);
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(ValueSeed)?;
            if item.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{} twice", shown(&name))));
            }
            item.insert(name, value);
        }
        Ok(item)
    }
}

/// A value with its type: `{"S":"a"}`.
pub(super) struct ValueSeed;

seed!(ValueSeed, deserialize_map);

impl<'de> Visitor<'de> for ValueSeed {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type, such as {\"S\":\"a\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
        let Some(kind) = map.next_key_seed(NameSeed)? else {
            return Err(A::Error::custom("a value has no type, such as \"S\""));
        };
        let value = map.next_value_seed(ContentSeed(kind.as_str()))?;
        if map.next_key::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("a value has two types"));
        }
        Ok(value)
    }
}

struct ContentSeed<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for ContentSeed<'_> {
    type Value = AttributeValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttributeValue, D::Error> {
        Ok(match self.0 {
            "S" => AttributeValue::S(TEXT.deserialize(deserializer)?),
            "N" => AttributeValue::N(NUMBER.deserialize(deserializer)?),
            "B" => AttributeValue::B(BINARY.deserialize(deserializer)?),
            "BOOL" => AttributeValue::Bool(serde::Deserialize::deserialize(deserializer)?),
            "NULL" => match serde::Deserialize::deserialize(deserializer)? {
                true => AttributeValue::Null(true),
                false => return Err(D::Error::custom("NULL must be true")),
            },
            "SS" => AttributeValue::Ss(deserializer.deserialize_seq(ListSeed(|| TEXT))?),
            "NS" => AttributeValue::Ns(deserializer.deserialize_seq(ListSeed(|| NUMBER))?),
            "BS" => AttributeValue::Bs(deserializer.deserialize_seq(ListSeed(|| BINARY))?),
            "L" => AttributeValue::L(deserializer.deserialize_seq(ListSeed(|| ValueSeed))?),
            "M" => AttributeValue::M(ItemSeed.deserialize(deserializer)?),
            other => return Err(D::Error::custom(format_args!("unknown type {other:?}"))),
        })
    }
}

struct ListSeed<F>(F);

impl<'de, S: DeserializeSeed<'de>, F: Fn() -> S> Visitor<'de> for ListSeed<F> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element_seed((self.0)())? {
            elements.push(element);
        }
        Ok(elements)
    }
}

/// A value that stands in a string.
struct StringSeed<T> {
    expecting: &'static str,
    read: fn(&str) -> Result<T, FormatError>,
}

const TEXT: StringSeed<String> = StringSeed { expecting: "a string", read: |text| Ok(text.to_owned()) };
const NUMBER: StringSeed<String> = StringSeed { expecting: "a number as a string", read: number };
const BINARY: StringSeed<Blob> = StringSeed { expecting: "binary in base64", read: binary };

impl<'de, T> DeserializeSeed<'de> for StringSeed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for StringSeed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

fn number(text: &str) -> Result<String, FormatError> {
    Number::parse(text)?;
    Ok(text.to_owned())
}

/// Binary from base64.
pub(crate) fn binary(text: &str) -> Result<Blob, FormatError> {
    let bytes = STANDARD.decode(text);
    bytes.map(Blob::new).map_err(|error| FormatError(format!("{} is not valid base64: {error}", shown(text))))
}
