//! Keys of any table: what they are made of, as JSON, as 128 bits.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ScalarAttributeType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nextbasket_dynamodb::item::{Item, number, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The type of a key's attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// A string.
    S,
    /// A number.
    N,
    /// Binary.
    B,
}

/// An attribute of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: KeyKind,
}

/// What the keys of a table are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySchema {
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<KeyAttribute>,
}

impl KeySchema {
    /// From what `DescribeTable` says. `None` if it says nothing of a partition key.
    #[must_use]
    pub fn read(schema: &[KeySchemaElement], attributes: &[AttributeDefinition]) -> Option<Self> {
        let attribute = |role: &KeyType| {
            let name = schema.iter().find(|element| element.key_type() == role)?.attribute_name();
            let defined = attributes.iter().find(|attribute| attribute.attribute_name() == name)?;
            let kind = match defined.attribute_type() {
                ScalarAttributeType::N => KeyKind::N,
                ScalarAttributeType::B => KeyKind::B,
                _ => KeyKind::S,
            };
            Some(KeyAttribute { name: name.to_owned(), kind })
        };
        Some(Self { partition: attribute(&KeyType::Hash)?, sort: attribute(&KeyType::Range) })
    }

    /// The attributes' names, the partition key's first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.partition).chain(&self.sort).map(|attribute| attribute.name.as_str())
    }

    /// The key of an item.
    #[must_use]
    pub fn of(&self, item: &Item) -> Item {
        self.names().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
    }

    /// Why the item has no valid key of a table with these; `None` if it has one.
    #[must_use]
    pub fn problem_of(&self, item: &Item) -> Option<String> {
        std::iter::once(&self.partition).chain(&self.sort).find_map(|attribute| {
            let name = &attribute.name;
            match item.get(name) {
                None => Some(format!("attribute \"{name}\" is missing")),
                Some(value) => Some(format!("attribute \"{name}\" {}", attribute.problem_of(value)?)),
            }
        })
    }
}

impl KeyAttribute {
    /// Why no item has a key with this value; `None` if items may have it.
    #[must_use]
    pub fn problem_of(&self, value: &AttributeValue) -> Option<String> {
        let is_empty = match (self.kind, value) {
            (KeyKind::N, AttributeValue::N(_)) => return None,
            (KeyKind::S, AttributeValue::S(text)) => text.is_empty(),
            (KeyKind::B, AttributeValue::B(bytes)) => bytes.as_ref().is_empty(),
            (kind, _) => return Some(format!("must have type {kind:?}")),
        };
        is_empty.then(|| "must not be empty".to_owned())
    }
}

/// A key as JSON, in DynamoDB's own form: `{"userId": {"S": "ann"}}`.
#[must_use]
pub fn to_json(key: &Item) -> Value {
    let entry = |(name, value): (&String, &AttributeValue)| {
        let value = match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            other => json!({ "?": format!("{other:?}") }),
        };
        (name.clone(), value)
    };
    let sorted: BTreeMap<String, Value> = key.iter().map(entry).collect();
    json!(sorted)
}

/// A key from JSON; `None` if the JSON is not a key.
#[must_use]
pub fn from_json(json: &Value) -> Option<Item> {
    let attribute = |(name, value): (&String, &Value)| {
        let (kind, content) = value.as_object()?.iter().next()?;
        let content = content.as_str()?;
        let value = match kind.as_str() {
            "S" => text(content),
            "N" => number(content),
            "B" => AttributeValue::B(Blob::new(STANDARD.decode(content).ok()?)),
            _ => return None,
        };
        Some((name.clone(), value))
    };
    json.as_object()?.iter().map(attribute).collect()
}

/// 128 bits that tell a key from all others.
#[must_use]
pub fn hash(schema: &KeySchema, key: &Item) -> u128 {
    let mut hasher = Sha256::new();
    for name in schema.names() {
        if let Some(value) = key.get(name) {
            feed(&mut hasher, value);
        }
    }
    first_16(hasher)
}

/// 128 bits that are equal for equal values.
#[must_use]
pub fn hash_value(value: &AttributeValue) -> u128 {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    first_16(hasher)
}

fn first_16(hasher: Sha256) -> u128 {
    hasher.finalize().iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

/// Each value with its type and its length in front, so that no two sequences look alike.
fn feed(hasher: &mut Sha256, value: &AttributeValue) {
    let mut part = |kind: &str, content: &[u8]| {
        hasher.update(kind);
        hasher.update(content.len().to_be_bytes());
        hasher.update(content);
    };
    match value {
        AttributeValue::S(text) => part("S", text.as_bytes()),
        AttributeValue::N(digits) => part("N", digits.as_bytes()),
        AttributeValue::B(bytes) => part("B", bytes.as_ref()),
        AttributeValue::Bool(truth) => part("T", &[u8::from(*truth)]),
        AttributeValue::Null(_) => part("0", &[]),
        AttributeValue::Ss(members) => members_in_order(hasher, "SS", members.iter().map(String::as_bytes)),
        AttributeValue::Ns(members) => members_in_order(hasher, "NS", members.iter().map(String::as_bytes)),
        AttributeValue::Bs(members) => members_in_order(hasher, "BS", members.iter().map(Blob::as_ref)),
        AttributeValue::L(list) => {
            part("L", &list.len().to_be_bytes());
            list.iter().for_each(|element| feed(hasher, element));
        }
        AttributeValue::M(map) => {
            part("M", &map.len().to_be_bytes());
            let sorted: BTreeMap<&String, &AttributeValue> = map.iter().collect();
            for (name, entry) in sorted {
                hasher.update(name.len().to_be_bytes());
                hasher.update(name);
                feed(hasher, entry);
            }
        }
        _ => part("?", &[]),
    }
}

/// Sets come in any order.
fn members_in_order<'a>(hasher: &mut Sha256, kind: &str, members: impl Iterator<Item = &'a [u8]>) {
    let mut members: Vec<&[u8]> = members.collect();
    members.sort_unstable();
    hasher.update(kind);
    hasher.update(members.len().to_be_bytes());
    for member in members {
        hasher.update(member.len().to_be_bytes());
        hasher.update(member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schema() -> KeySchema {
        KeySchema {
            partition: KeyAttribute { name: "pk".to_owned(), kind: KeyKind::S },
            sort: Some(KeyAttribute { name: "sk".to_owned(), kind: KeyKind::N }),
        }
    }

    fn key(partition: &str, sort: &str) -> Item {
        Item::from([("pk".to_owned(), text(partition)), ("sk".to_owned(), number(sort))])
    }

    #[test]
    fn keys_stand_in_json_as_dynamodb_writes_them() {
        let mut item = key("ann", "7");
        item.insert("raw".to_owned(), AttributeValue::B(Blob::new(b"hi")));
        let json = to_json(&item);
        assert_eq!(json.to_string(), r#"{"pk":{"S":"ann"},"raw":{"B":"aGk="},"sk":{"N":"7"}}"#);
        assert_eq!(from_json(&json), Some(item));
        assert_eq!(from_json(&json!({ "pk": "ann" })), None);
    }

    #[test]
    fn a_key_that_dynamodb_would_not_take_is_named() {
        let problem = |item: &Item| schema().problem_of(item).unwrap_or_default();
        assert_eq!(problem(&key("ann", "7")), "");
        assert_eq!(problem(&key("", "7")), "attribute \"pk\" must not be empty");
        assert_eq!(problem(&Item::from([("pk".to_owned(), text("a"))])), "attribute \"sk\" is missing");
        let other = Item::from([("pk".to_owned(), text("a")), ("sk".to_owned(), text("7"))]);
        assert_eq!(problem(&other), "attribute \"sk\" must have type N");
    }

    #[test]
    fn equal_values_have_equal_hashes_in_whatever_order_their_parts_come() {
        let set = |members: [&str; 2]| AttributeValue::Ss(members.map(str::to_owned).to_vec());
        assert_eq!(hash_value(&set(["a", "b"])), hash_value(&set(["b", "a"])));
        assert_ne!(hash_value(&set(["a", "b"])), hash_value(&set(["ab", ""])));
        assert_ne!(hash_value(&text("1")), hash_value(&number(1)));
    }

    proptest! {
        #[test]
        fn keys_that_differ_have_hashes_that_differ(a in "[ab]{0,3}", b in "[ab]{0,3}", c in 0..20_u8, d in 0..20_u8) {
            let (one, other) = (key(&a, &c.to_string()), key(&b, &d.to_string()));
            prop_assert_eq!(one == other, hash(&schema(), &one) == hash(&schema(), &other));
        }
    }
}
