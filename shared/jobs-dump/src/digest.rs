//! A digest of a table's items that does not depend on their order.
//!
//! Each item is written in one canonical form (attributes by name, sets sorted, numbers by value, lengths in front),
//! of which BLAKE3 takes the first 128 bits; the digest is the sum of these modulo 2¹²⁸, and the number of items. So
//! digests of parts add up to that of the whole, however it was cut. The idea is that of the multiset hashes of Clarke,
//! Devadas, van Dijk, Gassend and Suh, "Incremental Multiset Hash Functions and Their Application to Memory Integrity
//! Checking" (ASIACRYPT 2003), section 5 (MSet-Add-Hash), without its key.
//!
//! It proves that nothing was lost, doubled or changed by accident: two tables that differ have the same digest with a
//! probability of 2⁻¹²⁸. It does not hold against somebody who makes up items so that the sums agree: with that many
//! free summands such sets can be found.

use std::iter::Sum;
use std::ops::AddAssign;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::KeySchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::FormatError;

/// How many items there are, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemsDigest {
    pub count: u64,
    /// The sum of their hashes, as 32 hexadecimal digits.
    #[serde(rename = "digest", serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub sum: u128,
}

impl ItemsDigest {
    /// Of one item; `scratch` is used and left as it comes.
    ///
    /// # Errors
    /// [`FormatError`] if it holds an invalid number, or the value has an unknown type.
    pub fn of(item: &Item, scratch: &mut Vec<u8>) -> Result<Self, FormatError> {
        scratch.clear();
        write_map(item, scratch)?;
        Ok(Self { count: 1, sum: hash_of(scratch) })
    }
}

impl AddAssign for ItemsDigest {
    fn add_assign(&mut self, other: Self) {
        // The count comes from a manifest, which may contain any number.
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl Sum for ItemsDigest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), |mut all, digest| {
            all += digest;
            all
        })
    }
}

impl std::fmt::Display for ItemsDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} items, digest {:032x}", self.count, self.sum)
    }
}

fn to_hex<S: Serializer>(sum: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{sum:032x}"))
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() != 32 {
        return Err(D::Error::custom("a digest has 32 hexadecimal digits"));
    }
    u128::from_str_radix(&text, 16).map_err(D::Error::custom)
}

/// The first 128 bits of the BLAKE3 of a canonical form.
pub(crate) fn hash_of(canonical: &[u8]) -> u128 {
    let hash = blake3::hash(canonical);
    u128::from_be_bytes(hash.as_bytes().first_chunk::<16>().copied().unwrap_or_default())
}

/// The hash of an item's key: of the canonical forms of its values, the partition key's first.
pub(crate) fn hash_of_key(keys: &KeySchema, item: &Item) -> Result<u128, FormatError> {
    let mut canonical = Vec::new();
    for value in keys.names().filter_map(|name| item.get(name)) {
        write_value(value, &mut canonical)?;
    }
    Ok(hash_of(&canonical))
}

/// What begins the canonical form of a value of this type.
pub(crate) fn mark(kind: &str) -> Option<u8> {
    Some(match kind {
        "S" => b'S',
        "N" => b'N',
        "B" => b'B',
        "BOOL" => b'T',
        "NULL" => b'0',
        "SS" => b's',
        "BS" => b'b',
        "NS" => b'n',
        "L" => b'L',
        "M" => b'M',
        _ => return None,
    })
}

/// Its canonical form: equal for equal values, and no value's form is the beginning of another's.
pub(crate) fn write_value(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), FormatError> {
    match value {
        AttributeValue::S(text) => part(b'S', text.as_bytes(), out),
        AttributeValue::N(digits) => {
            out.push(b'N');
            Number::parse(digits)?.write_canonical(out);
        }
        AttributeValue::B(bytes) => part(b'B', bytes.as_ref(), out),
        AttributeValue::Bool(truth) => out.extend_from_slice(&[b'T', u8::from(*truth)]),
        AttributeValue::Null(_) => out.push(b'0'),
        AttributeValue::Ss(members) => {
            let mut members: Vec<&[u8]> = members.iter().map(String::as_bytes).collect();
            write_set(b's', &mut members, out);
        }
        AttributeValue::Bs(members) => {
            let mut members: Vec<&[u8]> = members.iter().map(AsRef::as_ref).collect();
            write_set(b'b', &mut members, out);
        }
        AttributeValue::Ns(members) => {
            let written = members.iter().map(|digits| {
                let mut one = Vec::with_capacity(16);
                Number::parse(digits)?.write_canonical(&mut one);
                Ok(one)
            });
            let written: Vec<Vec<u8>> = written.collect::<Result<_, FormatError>>()?;
            let mut members: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
            write_set(b'n', &mut members, out);
        }
        AttributeValue::L(list) => {
            out.push(b'L');
            write_length(list.len(), out);
            for element in list {
                write_value(element, out)?;
            }
        }
        AttributeValue::M(map) => {
            out.push(b'M');
            write_map(map, out)?;
        }
        _ => return Err(FormatError::new("the value has an unknown type")),
    }
    Ok(())
}

fn write_map(map: &Item, out: &mut Vec<u8>) -> Result<(), FormatError> {
    write_length(map.len(), out);
    for (name, value) in sorted(map) {
        write_length(name.len(), out);
        out.extend_from_slice(name.as_bytes());
        write_value(value, out)?;
    }
    Ok(())
}

pub(crate) fn sorted(map: &Item) -> Vec<(&String, &AttributeValue)> {
    let mut attributes: Vec<(&String, &AttributeValue)> = map.iter().collect();
    attributes.sort_unstable_by_key(|(name, _)| *name);
    attributes
}

fn write_set(kind: u8, members: &mut [&[u8]], out: &mut Vec<u8>) {
    members.sort_unstable();
    out.push(kind);
    write_length(members.len(), out);
    for member in members {
        write_length(member.len(), out);
        out.extend_from_slice(member);
    }
}

fn part(kind: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    write_length(content.len(), out);
    out.extend_from_slice(content);
}

pub(crate) fn write_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{all_spellings, item, items};
    use proptest::prelude::*;

    #[test]
    fn it_stands_in_json_as_32_hexadecimal_digits() {
        let digest = ItemsDigest { count: 3, sum: 0xab };
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, r#"{"count":3,"digest":"000000000000000000000000000000ab"}"#);
        assert_eq!(serde_json::from_str::<ItemsDigest>(&json).unwrap(), digest);
        serde_json::from_str::<ItemsDigest>(r#"{"count":3,"digest":"ab"}"#).unwrap_err();
    }

    #[test]
    fn it_stays_the_same_from_version_to_version() {
        let item = Item::from([
            ("id".to_owned(), AttributeValue::S("a".to_owned())),
            ("n".to_owned(), AttributeValue::N("1.50".to_owned())),
        ]);
        let digest = ItemsDigest::of(&item, &mut Vec::new()).unwrap();
        assert_eq!(format!("{:032x}", digest.sum), "aefbc18979e2ceb512dd9c446e8a3991");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn it_depends_neither_on_the_order_nor_on_the_spelling(items in items(), seed in any::<u64>()) {
            let of_all = |items: &[Item]| -> ItemsDigest {
                items.iter().map(|item| ItemsDigest::of(item, &mut Vec::new()).unwrap()).sum()
            };
            let straight = of_all(&items);
            let mut turned: Vec<Item> = items.iter().map(|item| all_spellings(item, seed)).collect();
            turned.reverse();
            prop_assert_eq!(of_all(&turned), straight);
            let (left, right) = items.split_at(items.len() / 2);
            let mut sum = of_all(left);
            sum += of_all(right);
            prop_assert_eq!(sum, straight);
        }

        #[test]
        fn another_item_has_another_digest(one in item(), other in item()) {
            let canonical = |item: &Item| {
                let mut out = Vec::new();
                write_map(item, &mut out).unwrap();
                out
            };
            let digest = |item: &Item| ItemsDigest::of(item, &mut Vec::new()).unwrap();
            prop_assert_eq!(canonical(&one) == canonical(&other), digest(&one) == digest(&other));
            let mut more = one.clone();
            more.insert("one more".to_owned(), AttributeValue::Null(true));
            prop_assert_ne!(digest(&one), digest(&more));
        }
    }
}
