//! Lines of DynamoDB JSON whose items stay text: all of it is looked at, nothing but the key is made a value.
//!
//! What is not taken here is read with [`read_line`](super::read_line), which takes it or says what is wrong with it. So
//! this may be strict where it is in doubt.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use nextbasket_table_jobs::key::{KeySchema, hash_parts};
use nextbasket_table_jobs::write::encoded::Encoded;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::read::{NameSeed, ValueSeed};
use nextbasket_dynamodb::Number;

/// How much text is kept together, in bytes.
const ROOM: usize = 64 << 10;

/// A line of a full export, and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "Item", borrow)]
    item: &'a RawValue,
}

/// Looks at lines for a table with these keys.
#[derive(Debug)]
pub struct Checker {
    keys: KeySchema,
    /// The hashes of the names of the maps that are being looked at, those of the outermost first.
    names: Vec<u64>,
    /// The key's values, as far as they are known.
    key: [Option<AttributeValue>; 2],
    binary: Vec<u8>,
    /// Room for texts: many items share one.
    room: BytesMut,
}

impl Checker {
    /// For a table with these keys.
    #[must_use]
    pub fn new(keys: KeySchema) -> Self {
        Self { keys, names: Vec::new(), key: [None, None], binary: Vec::new(), room: BytesMut::new() }
    }

    /// The item of a line. `None` if the line is not of a full export, or if anything in it may be wrong.
    pub fn encoded(&mut self, line: &[u8]) -> Option<Encoded> {
        let Line { item } = serde_json::from_slice(line).ok()?;
        let mut deserializer = serde_json::Deserializer::from_str(item.get());
        self.names.clear();
        self.key = [None, None];
        Map { checker: self, is_item: true }.deserialize(&mut deserializer).ok()?;
        let text = item.get().as_bytes();
        if self.room.capacity() < text.len() {
            self.room = BytesMut::with_capacity(ROOM.max(text.len()));
        }
        self.room.extend_from_slice(text);
        let key = hash_parts(self.key.iter().flatten());
        Some(Encoded { key, json: self.room.split().freeze() })
    }
}

/// The attributes of an item or of a map.
struct Map<'a> {
    checker: &'a mut Checker,
    /// Whether it is an item, whose key has to be known.
    is_item: bool,
}

impl<'de> DeserializeSeed<'de> for Map<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Map<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Map { checker, is_item } = self;
        let begin = checker.names.len();
        while let Some(of_key) = map.next_key_seed(AttributeName { checker })? {
            match of_key.filter(|_| is_item).and_then(|at| checker.key.get_mut(at)) {
                Some(place) => *place = Some(map.next_value_seed(ValueSeed)?),
                None => map.next_value_seed(Value { checker })?,
            }
        }
        let names = checker.names.get_mut(begin..).unwrap_or_default();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        checker.names.truncate(begin);
        if twice { Err(A::Error::custom("perhaps an attribute twice")) } else { Ok(()) }
    }
}

/// The name of an attribute: which of the key's it is, if it is one of them.
struct AttributeName<'a> {
    checker: &'a mut Checker,
}

impl<'de> DeserializeSeed<'de> for AttributeName<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for AttributeName<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.checker.names.push(hasher.finish());
        Ok(self.checker.keys.names().position(|key| key == name))
    }
}

/// A value with its type.
struct Value<'a> {
    checker: &'a mut Checker,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its type")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(kind) = map.next_key_seed(NameSeed)? else { return Err(A::Error::custom("no type")) };
        map.next_value_seed(Content { checker: self.checker, kind: kind.as_str() })?;
        match map.next_key_seed(NameSeed)? {
            Some(_) => Err(A::Error::custom("two types")),
            None => Ok(()),
        }
    }
}

/// What stands behind a type.
struct Content<'a> {
    checker: &'a mut Checker,
    kind: &'a str,
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let checker = self.checker;
        match self.kind {
            "S" => Scalar { checker, kind: ScalarKind::Text }.deserialize(deserializer),
            "N" => Scalar { checker, kind: ScalarKind::Number }.deserialize(deserializer),
            "B" => Scalar { checker, kind: ScalarKind::Binary }.deserialize(deserializer),
            "BOOL" => bool::deserialize(deserializer).map(drop),
            "NULL" => match bool::deserialize(deserializer)? {
                true => Ok(()),
                false => Err(D::Error::custom("NULL must be true")),
            },
            "SS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Text }),
            "NS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Number }),
            "BS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Binary }),
            "L" => deserializer.deserialize_seq(List { checker }),
            "M" => Map { checker, is_item: false }.deserialize(deserializer),
            _ => Err(D::Error::custom("another type")),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum ScalarKind {
    Text,
    Number,
    Binary,
}

struct Scalar<'a> {
    checker: &'a mut Checker,
    kind: ScalarKind,
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self.kind {
            ScalarKind::Text => Ok(()),
            ScalarKind::Number => Number::parse(text).map(drop).map_err(E::custom),
            ScalarKind::Binary => {
                let binary = &mut self.checker.binary;
                binary.resize(base64::decoded_len_estimate(text.len()), 0);
                STANDARD.decode_slice(text, binary).map(drop).map_err(E::custom)
            }
        }
    }
}

struct Set<'a> {
    checker: &'a mut Checker,
    of: ScalarKind,
}

impl<'de> Visitor<'de> for Set<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut set: A) -> Result<(), A::Error> {
        while set.next_element_seed(Scalar { checker: self.checker, kind: self.of })?.is_some() {}
        Ok(())
    }
}

struct List<'a> {
    checker: &'a mut Checker,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Value { checker: self.checker })?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Change, read_line, write_line};
    use crate::samples;
    use nextbasket_table_jobs::key::{KeyAttribute, KeyKind, hash};
    use proptest::prelude::*;

    fn checker() -> Checker {
        let attribute = |name: &str| KeyAttribute { name: name.to_owned(), kind: KeyKind::S };
        Checker::new(KeySchema { partition: attribute("pk"), sort: Some(attribute("sk")) })
    }

    #[test]
    fn an_item_is_its_text_and_its_key() {
        let line = r#" {"Item": {"pk":{"S":"a\u00e9"},"n":{"M":{"pk":{"S":"x"}}},"sk":{"N":"1"}} }"#;
        let found = checker().encoded(line.as_bytes()).unwrap();
        assert_eq!(found.json, r#"{"pk":{"S":"a\u00e9"},"n":{"M":{"pk":{"S":"x"}}},"sk":{"N":"1"}}"#);
        let values = [AttributeValue::S("aé".to_owned()), AttributeValue::N("1".to_owned())];
        assert_eq!(found.key, hash_parts(values.iter()));
    }

    #[test]
    fn what_may_be_wrong_is_left_to_others() {
        let mut checker = checker();
        for line in [
            "",
            "{}",
            r#"{"Item":{"a":{"S":1}}}"#,
            r#"{"Item":{"a":{"N":"x"}}}"#,
            r#"{"Item":{"a":{"N":1}}}"#,
            r#"{"Item":{"a":{"B":"?"}}}"#,
            r#"{"Item":{"a":{"X":"x"}}}"#,
            r#"{"Item":{"a":{"NULL":false}}}"#,
            r#"{"Item":{"a":{"NS":["1","x"]}}}"#,
            r#"{"Item":{"a":{"BS":["?"]}}}"#,
            r#"{"Item":{"a":{"SS":"x"}}}"#,
            r#"{"Item":{"a":{"L":[{"S":"x"},{}]}}}"#,
            r#"{"Item":{"a":{}}}"#,
            r#"{"Item":{"a":{"S":"x","N":"1"}}}"#,
            r#"{"Item":{"a":{"S":"x"},"a":{"S":"y"}}}"#,
            r#"{"Item":{"a":{"S":"x"},"\u0061":{"S":"y"}}}"#,
            r#"{"Item":{"b":{"M":{"a":{"S":"x"},"c":{"M":{"a":{"S":""}}},"a":{"S":"y"}}}}}"#,
            r#"{"Item":{"a":{"S":"x"}}} x"#,
            r#"{"Item":{"a":{"S":"x""#,
            r#"{"Keys":{"a":{"S":"x"}}}"#,
            r#"{"Item":{"a":{"S":"x"}},"NewImage":{"a":{"S":"y"}}}"#,
        ] {
            assert_eq!(checker.encoded(line.as_bytes()), None, "{line}");
        }
        let invalid = b"{\"Item\":{\"a\":{\"S\":\"\xff\"}}}";
        assert_eq!(checker.encoded(invalid), None);
        // And nothing of them is left behind.
        let nested = r#"{"Item":{"a":{"M":{"a":{"S":"x"}}},"b":{"M":{"a":{"S":"x"}}}}}"#;
        assert!(checker.encoded(nested.as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn every_item_stays_what_it_is(item in samples::item()) {
            let mut line = Vec::new();
            write_line(&item, &mut line).unwrap();
            let found = checker().encoded(&line).unwrap();
            let read = read_line(1, [br#"{"Item":"#, &found.json[..], b"}"].concat().as_slice());
            prop_assert_eq!(read, read_line(1, &line));
            prop_assert_eq!(found.key, hash(&checker().keys, &item));
        }

        #[test]
        fn what_is_taken_is_what_a_reader_of_values_takes(line in r#"\{"Item":\{("[ab]":\{"[SNBLM]{1,2}":("[1a=]{0,4}"|\["1"\]|\{\})\},?){0,3}\}\}"#) {
            if checker().encoded(line.as_bytes()).is_some() {
                prop_assert!(matches!(read_line(1, line.as_bytes()), Ok(Change::Put(_))), "{}", line);
            }
        }
    }
}
