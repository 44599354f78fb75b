//! Lines of DynamoDB JSON to items, straight into values.

use std::fmt;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_dynamodb::item::Item;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::digest::write_value;
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

/// A line of an incremental export: the key that it is of, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedChange {
    pub keys: Item,
    pub change: LineChange,
    /// When it was written, in microseconds since 1970, if the line says it.
    pub written_micros: Option<u64>,
}

/// Reads a line: an item of a full export, a change of an incremental one, or an item without a name in front.
///
/// Which of them it is, is certain: no item's attributes are types, and no type is an attribute's value.
///
/// # Errors
/// [`LineError`] with the line's number, `line`, and what is wrong.
pub fn read_line(line: u64, text: &[u8]) -> Result<LineChange, LineError> {
    let wrong = |problem: String| LineError { line, problem };
    let exported = match read_whole(text, LineVisitor) {
        Ok(parts) if parts.is_exported() && !parts.others => {
            return parts.change().map_err(|error| wrong(error.0));
        }
        exported => exported,
    };
    let problem = match (read_item(text), exported) {
        (Ok(item), _) if !item.is_empty() => return Ok(LineChange::Put(item)),
        (_, Ok(parts)) if parts.is_exported() => return parts.change().map_err(|error| wrong(error.0)),
        (Err(problem), Ok(_)) => problem.to_string(),
        (Ok(_), Ok(_)) => {
            "expected an object with \"Item\" or \"Keys\", or with an item's attributes".to_owned()
        }
        (_, Err(problem)) => problem.to_string(),
    };
    Err(wrong(problem))
}

/// Reads a line of an incremental export.
///
/// # Errors
/// [`LineError`] with the line's number, `line`, and what is wrong.
pub fn read_change(line: u64, text: &[u8]) -> Result<KeyedChange, LineError> {
    let problem = |problem: &str| LineError { line, problem: problem.to_owned() };
    let parts = read_whole(text, LineVisitor).map_err(|error| problem(&error.to_string()))?;
    let keys =
        parts.keys.clone().ok_or_else(|| problem("no \"Keys\" in the line of an incremental export"))?;
    let written_micros = parts.written_micros;
    let change = parts.change().map_err(|error| LineError { line, problem: error.0 })?;
    Ok(KeyedChange { keys, change, written_micros })
}

/// Reads an item without a name in front.
///
/// # Errors
/// [`serde_json::Error`] that says what is wrong.
pub fn read_item(text: &[u8]) -> Result<Item, serde_json::Error> {
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

#[derive(Default)]
struct LineParts {
    /// Of a full export the item, of an incremental one the new image.
    item: Option<Item>,
    keys: Option<Item>,
    written_micros: Option<u64>,
    /// Whether the line has members that exports have not.
    others: bool,
}

impl LineParts {
    fn is_exported(&self) -> bool {
        self.item.is_some() || self.keys.is_some()
    }

    fn change(self) -> Result<LineChange, FormatError> {
        match (self.item, self.keys) {
            (Some(item), Some(keys)) => {
                check_image(&item, &keys)?;
                Ok(LineChange::Put(item))
            }
            (Some(item), None) => Ok(LineChange::Put(item)),
            (None, Some(keys)) => Ok(LineChange::Delete(keys)),
            (None, None) => Err(FormatError::new("expected an object with \"Item\" or \"Keys\"")),
        }
    }
}

/// Refuses a new image that is of another item than the line.
fn check_image(image: &Item, keys: &Item) -> Result<(), FormatError> {
    for (name, value) in keys {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        write_value(value, &mut one)?;
        if let Some(value) = image.get(name) {
            write_value(value, &mut other)?;
        }
        if one != other {
            return Err(FormatError(format!("NewImage has another {} than Keys", shown(name))));
        }
    }
    Ok(())
}

/// What DynamoDB says of a change beside its images.
#[derive(serde::Deserialize)]
struct Metadata {
    #[serde(rename = "WriteTimestampMicros")]
    written: Option<Micros>,
}

#[derive(serde::Deserialize)]
struct Micros {
    #[serde(rename = "N")]
    digits: String,
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

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = LineParts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with Item, or with Keys and images")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LineParts, A::Error> {
        let mut parts = LineParts::default();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match name.as_str() {
                "Item" | "NewImage" => parts.item = Some(map.next_value_seed(ItemSeed)?),
                "Keys" => parts.keys = Some(map.next_value_seed(ItemSeed)?),
                "Metadata" => {
                    let written = map.next_value::<Metadata>()?.written;
                    let parsed = written.map(|written| written.digits.parse());
                    parts.written_micros = parsed
                        .transpose()
                        .map_err(|_| A::Error::custom("WriteTimestampMicros must be a whole number"))?;
                }
                name => {
                    parts.others |= name != "OldImage";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(parts)
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
