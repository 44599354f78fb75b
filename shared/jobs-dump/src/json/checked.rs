//! Items of DynamoDB JSON that stay text: all of an item is looked at, and its canonical form made, without values in
//! between.
//!
//! What is not taken here is read with [`read_line`](super::read_line), which takes it or says what is wrong with it. So
//! this may be strict where it is in doubt.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use nextbasket_dynamodb::Number;
use nextbasket_items::key::KeySchema;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::digest::{ItemsDigest, hash_of, mark, write_length};
use crate::json::read::NameSeed;

/// How much text is kept together, in bytes.
const ROOM: usize = 64 << 10;
/// The bytes of a length in the canonical form.
const LENGTH: usize = 4;

/// Looks at items of a table with these keys.
#[derive(Debug)]
pub struct Checker {
    keys: KeySchema,
    /// The canonical form of the item: see [`mod@crate::digest`].
    canonical: Vec<u8>,
    /// The canonical form of the values of the key.
    key: [Vec<u8>; 2],
    /// The parts of the maps and sets that are being looked at, those of the outermost first.
    parts: Vec<CanonicalPart>,
    /// Whether parts are put in order.
    ordered: bool,
    sorted: Vec<u8>,
    binary: Vec<u8>,
    /// Room for texts: many items share one.
    room: BytesMut,
}

/// The key of an item that is text, as JSON.
pub(crate) fn key_in(keys: &KeySchema, item: &[u8]) -> serde_json::Value {
    let mut item: serde_json::Map<_, _> = serde_json::from_slice(item).unwrap_or_default();
    item.retain(|name, _| keys.names().any(|key| key == name));
    serde_json::Value::Object(item)
}

/// An attribute or a member of a set in the canonical form: its length, then its name or content, then its value.
#[derive(Debug, Clone, Copy)]
struct CanonicalPart {
    begin: usize,
    /// Behind the name.
    name_end: usize,
    end: usize,
}

impl Checker {
    pub fn new(keys: KeySchema) -> Self {
        Self {
            keys,
            canonical: Vec::new(),
            key: [Vec::new(), Vec::new()],
            parts: Vec::new(),
            ordered: true,
            sorted: Vec::new(),
            binary: Vec::new(),
            room: BytesMut::new(),
        }
    }

    /// The text of a line's item and the hash of its key. `None` if the line is not of a full export, or if anything in
    /// it may be wrong.
    pub fn item(&mut self, line: &[u8]) -> Option<(Bytes, u128)> {
        let text = line.trim_ascii().strip_prefix(br#"{"Item":"#)?.strip_suffix(b"}")?;
        self.check(text, false)?;
        if self.room.capacity() < text.len() {
            self.room = BytesMut::with_capacity(ROOM.max(text.len()));
        }
        self.room.extend_from_slice(text);
        let key = self.key.concat();
        Some((self.room.split().freeze(), hash_of(&key)))
    }

    /// The digest of an item. `None` if anything in it may be wrong.
    pub fn digest(&mut self, item: &[u8]) -> Option<ItemsDigest> {
        self.check(item, true)?;
        Some(ItemsDigest { count: 1, sum: hash_of(&self.canonical) })
    }

    /// Looks at an item, and makes its canonical form; not the order of its parts, unless it is `ordered`.
    fn check(&mut self, item: &[u8], ordered: bool) -> Option<()> {
        let item = std::str::from_utf8(item).ok()?;
        self.ordered = ordered;
        self.canonical.clear();
        self.parts.clear();
        self.key.iter_mut().for_each(Vec::clear);
        let mut deserializer = serde_json::Deserializer::from_str(item);
        Map { checker: self, is_item: true }.deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()
    }

    /// Leaves room for how many there are.
    fn begin(&mut self) -> (usize, usize) {
        write_length(0, &mut self.canonical);
        (self.canonical.len(), self.parts.len())
    }

    fn count(&mut self, begin: usize, count: usize) {
        let place = begin.checked_sub(LENGTH).and_then(|at| self.canonical.get_mut(at..begin));
        if let (Some(place), Ok(count)) = (place, u32::try_from(count)) {
            place.copy_from_slice(&count.to_be_bytes());
        }
    }

    /// Sorts the parts from this one on, and forgets them. Tells whether their names differ.
    fn sort(&mut self, (begin, from): (usize, usize)) -> bool {
        let Self { canonical, parts, sorted, ordered, .. } = self;
        let count = parts.len().saturating_sub(from);
        let some = parts.get_mut(from..).unwrap_or_default();
        let name =
            |part: &CanonicalPart| canonical.get(part.begin + LENGTH..part.name_end).unwrap_or_default();
        if !some.is_sorted_by_key(name) {
            some.sort_unstable_by(|one, other| name(one).cmp(name(other)));
            for part in some.iter().filter(|_| *ordered) {
                sorted.extend_from_slice(canonical.get(part.begin..part.end).unwrap_or_default());
            }
        }
        let differ = !some.windows(2).any(|pair| matches!(pair, [one, other] if name(one) == name(other)));
        if !sorted.is_empty() {
            canonical.truncate(begin);
            canonical.append(sorted);
        }
        parts.truncate(from);
        self.count(begin, count);
        differ
    }

    fn scalar(&mut self, kind: ScalarKind, text: &str) -> Result<(), String> {
        match kind {
            ScalarKind::Text => self.canonical.extend_from_slice(text.as_bytes()),
            ScalarKind::Number => {
                Number::parse(text).map_err(|error| error.to_string())?.write_canonical(&mut self.canonical);
            }
            ScalarKind::Binary => {
                self.binary.clear();
                STANDARD.decode_vec(text, &mut self.binary).map_err(|error| error.to_string())?;
                self.canonical.extend_from_slice(&self.binary);
            }
        }
        Ok(())
    }

    /// With its length in front.
    fn measured(&mut self, kind: ScalarKind, text: &str) -> Result<CanonicalPart, String> {
        let begin = self.canonical.len();
        write_length(0, &mut self.canonical);
        self.scalar(kind, text)?;
        let end = self.canonical.len();
        self.count(begin + LENGTH, end - begin - LENGTH);
        Ok(CanonicalPart { begin, name_end: end, end })
    }
}

/// The attributes of an item or of a map.
struct Map<'a> {
    checker: &'a mut Checker,
    /// Whether it is an item, whose key has to be known.
    is_item: bool,
}

seed!(Map<'_>, deserialize_map);

impl<'de> Visitor<'de> for Map<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Map { checker, is_item } = self;
        let begin = checker.begin();
        while let Some((part, of_key)) = map.next_key_seed(AttributeName { checker })? {
            map.next_value_seed(Value { checker })?;
            let end = checker.canonical.len();
            checker.parts.push(CanonicalPart { end, ..part });
            let of_key = of_key.filter(|_| is_item);
            if let Some(place) = of_key.and_then(|at| checker.key.get_mut(at)) {
                place.extend_from_slice(checker.canonical.get(part.name_end..end).unwrap_or_default());
            }
        }
        if checker.sort(begin) { Ok(()) } else { Err(A::Error::custom("an attribute twice")) }
    }
}

/// The name of an attribute, and which of the key's it is, if it is one of them.
struct AttributeName<'a> {
    checker: &'a mut Checker,
}

seed!(AttributeName<'_>, deserialize_str);

impl Visitor<'_> for AttributeName<'_> {
    type Value = (CanonicalPart, Option<usize>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let part = self.checker.measured(ScalarKind::Text, name).map_err(E::custom)?;
        Ok((part, self.checker.keys.names().position(|key| key == name)))
    }
}

struct Value<'a> {
    checker: &'a mut Checker,
}

seed!(Value<'_>, deserialize_map);

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

struct Content<'a> {
    checker: &'a mut Checker,
    kind: &'a str,
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let (checker, kind) = (self.checker, self.kind);
        let Some(mark) = mark(kind) else { return Err(D::Error::custom("another type")) };
        checker.canonical.push(mark);
        match kind {
            "S" => deserializer.deserialize_str(Scalar { checker, kind: ScalarKind::Text, measured: true }),
            "N" => {
                deserializer.deserialize_str(Scalar { checker, kind: ScalarKind::Number, measured: false })
            }
            "B" => deserializer.deserialize_str(Scalar { checker, kind: ScalarKind::Binary, measured: true }),
            "BOOL" => {
                checker.canonical.push(u8::from(bool::deserialize(deserializer)?));
                Ok(())
            }
            "NULL" => match bool::deserialize(deserializer)? {
                true => Ok(()),
                false => Err(D::Error::custom("NULL must be true")),
            },
            "SS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Text }),
            "NS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Number }),
            "BS" => deserializer.deserialize_seq(Set { checker, of: ScalarKind::Binary }),
            "L" => deserializer.deserialize_seq(List { checker }),
            _ => Map { checker, is_item: false }.deserialize(deserializer),
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
    /// Whether its length stands in front: a number ends by itself.
    measured: bool,
}

seed!(Scalar<'_>, deserialize_str);

impl Visitor<'_> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let written = match self.measured {
            true => self.checker.measured(self.kind, text).map(drop),
            false => self.checker.scalar(self.kind, text),
        };
        written.map_err(E::custom)
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
        let Set { checker, of: kind } = self;
        let members = checker.begin();
        loop {
            let begin = checker.canonical.len();
            if set.next_element_seed(Scalar { checker, kind, measured: true })?.is_none() {
                // Sets of tables have no member twice; of others each is counted, as it is among values.
                checker.sort(members);
                return Ok(());
            }
            let end = checker.canonical.len();
            checker.parts.push(CanonicalPart { begin, name_end: end, end });
        }
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
        let (begin, _) = self.checker.begin();
        let mut count = 0;
        while list.next_element_seed(Value { checker: self.checker })?.is_some() {
            count += 1;
        }
        self.checker.count(begin, count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::hash_of_key;
    use crate::json::{LineChange, read_line, write_item, write_line};
    use crate::samples;
    use aws_sdk_dynamodb::types::AttributeValue;
    use nextbasket_dynamodb::item::{Item, number};
    use nextbasket_items::key::{KeyAttribute, KeyKind};
    use proptest::prelude::*;

    fn checker() -> Checker {
        let attribute = |name: &str| KeyAttribute { name: name.to_owned(), kind: KeyKind::S };
        Checker::new(KeySchema { partition: attribute("pk"), sort: Some(attribute("sk")) })
    }

    #[test]
    fn an_item_is_its_text_and_its_key() {
        let line = r#" {"Item":{"pk":{"S":"a\u00e9"},"n":{"M":{"pk":{"S":"x"}}},"sk":{"N":"1"}}} "#;
        let (text, key) = checker().item(line.as_bytes()).unwrap();
        assert_eq!(text, r#"{"pk":{"S":"a\u00e9"},"n":{"M":{"pk":{"S":"x"}}},"sk":{"N":"1"}}"#);
        let values = [("pk".to_owned(), AttributeValue::S("aé".to_owned())), ("sk".to_owned(), number(1))];
        assert_eq!(Ok(key), hash_of_key(&checker().keys, &Item::from(values)));
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
            r#"{"Item": {"a":{"S":"x"}}, "more":{}}"#,
            r#"{"Item":{"a":{"S":"x"}}"#,
            r#"{"Item":{"a":{"S":"x"}}}}"#,
            r#"{"Item":{"a":{"S":"x"}},"NewImage":{"a":{"S":"y"}}}"#,
        ] {
            assert_eq!(checker.item(line.as_bytes()), None, "{line}");
        }
        let invalid = b"{\"Item\":{\"a\":{\"S\":\"\xff\"}}}";
        assert_eq!(checker.item(invalid), None);
        // And nothing of them is left behind.
        let nested = r#"{"Item":{"a":{"M":{"a":{"S":"x"}}},"b":{"M":{"a":{"S":"x"}}}}}"#;
        assert!(checker.item(nested.as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn every_item_stays_what_it_is(mut item in samples::item(), seed in any::<u64>()) {
            let mut checker = checker();
            // A key is never a list or a map, whatever the names are that chance has drawn.
            item.insert("pk".to_owned(), AttributeValue::S(seed.to_string()));
            item.insert("sk".to_owned(), number(seed));
            let mut line = Vec::new();
            write_line(&item, &mut line).unwrap();
            let (text, key) = checker.item(&line).unwrap();
            let read = read_line(1, &[br#"{"Item":"#, &text[..], b"}"].concat());
            prop_assert_eq!(read, read_line(1, &line));
            prop_assert_eq!(Ok(key), hash_of_key(&checker.keys, &item));
            let digest = ItemsDigest::of(&item, &mut Vec::new()).unwrap();
            prop_assert_eq!(checker.digest(&text), Some(digest));
            // Numbers spelled in other ways, sets and attributes in another order.
            line.clear();
            write_line(&samples::all_spellings(&item, seed), &mut line).unwrap();
            let (text, _) = checker.item(&line).unwrap();
            prop_assert_eq!(checker.digest(&text), Some(digest));
        }

        #[test]
        fn attributes_come_in_any_order(item in samples::item(), seed in any::<u64>()) {
            let mut checker = checker();
            let mut attributes: Vec<(&String, &AttributeValue)> = item.iter().collect();
            attributes.sort_unstable_by_key(|(name, _)| blake3::hash(format!("{seed}{name}").as_bytes()).to_hex());
            let mut text = b"{".to_vec();
            for (n, (name, value)) in attributes.into_iter().enumerate() {
                let mut one = Vec::new();
                write_item(&Item::from([(name.clone(), value.clone())]), &mut one).unwrap();
                text.extend_from_slice(if n == 0 { b"" } else { b"," });
                text.extend_from_slice(&one[1..one.len() - 1]);
            }
            text.push(b'}');
            prop_assert_eq!(checker.digest(&text), Some(ItemsDigest::of(&item, &mut Vec::new()).unwrap()));
        }

        #[test]
        fn what_is_taken_is_what_a_reader_of_values_takes(line in r#"\{"Item":\{("[ab]":\{"[SNBLM]{1,2}":("[1a=]{0,4}"|\["1"\]|\{\})\},?){0,3}\}\}"#) {
            if checker().item(line.as_bytes()).is_some() {
                prop_assert!(matches!(read_line(1, line.as_bytes()), Ok(LineChange::Put(_))), "{}", line);
            }
        }
    }
}
