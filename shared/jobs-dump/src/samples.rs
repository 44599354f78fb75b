//! Items of all types by chance, for tests.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;
use proptest::collection::{btree_set, hash_map, vec};
use proptest::prelude::*;

/// Texts with what formats may stumble over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{0,6}",
        2 => any::<String>().prop_map(|text| text.chars().take(12).collect()),
        1 => prop_oneof![
            Just("\\".to_owned()),
            Just("\\\\n".to_owned()),
            Just("a,\"b\"\r\nc;\t".to_owned()),
            Just("\u{feff}x\u{2028}".to_owned()),
            Just("{\"$binary\":\"\"}".to_owned()),
            Just(" 1 ".to_owned()),
            Just("=1+1".to_owned()),
            Just("true".to_owned()),
        ],
    ]
}

/// Names of attributes.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,4}",
        1 => "[:$,\\.#\\\\\" \n]{1,3}",
        1 => prop_oneof![Just("$binary".to_owned()), Just("$set".to_owned()), Just("$map".to_owned()), Just("a:S".to_owned())],
        1 => any::<String>().prop_map(|text| text.chars().take(5).collect::<String>()).prop_filter("a name", |name| !name.is_empty()),
    ]
}

/// Numbers of up to 38 digits, from 1e-130 to 1e125, in many spellings.
pub(crate) fn number() -> impl Strategy<Value = String> {
    let digits = vec(0_u8..10, 1..38);
    prop_oneof![
        2 => any::<i64>().prop_map(|n| n.to_string()),
        1 => Just("0".to_owned()),
        1 => "[1-9][0-9]{0,17}\\.[0-9]{1,20}",
        2 => (any::<bool>(), 1_u8..10, digits, -130_i32..=125).prop_map(|(negative, first, rest, power)| {
            let rest: String = rest.iter().map(|digit| char::from(b'0' + digit)).collect();
            format!("{}{first}.{rest}E{power}", if negative { "-" } else { "" })
        }),
    ]
}

fn value() -> impl Strategy<Value = AttributeValue> {
    let binary = || vec(any::<u8>(), 0..8).prop_map(Blob::new);
    let numbers = btree_set(-1_000_i32..1_000, 1..4);
    let leaf = prop_oneof![
        3 => text().prop_map(AttributeValue::S),
        3 => number().prop_map(AttributeValue::N),
        1 => binary().prop_map(AttributeValue::B),
        1 => any::<bool>().prop_map(AttributeValue::Bool),
        1 => Just(AttributeValue::Null(true)),
        1 => btree_set(text(), 1..4).prop_map(|set| AttributeValue::Ss(set.into_iter().collect())),
        1 => numbers.prop_map(|set| AttributeValue::Ns(set.into_iter().map(|n| n.to_string()).collect())),
        1 => btree_set(vec(any::<u8>(), 0..5), 1..4)
            .prop_map(|set| AttributeValue::Bs(set.into_iter().map(Blob::new).collect())),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            hash_map(name(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

/// An item with the key `id`.
pub(crate) fn item() -> impl Strategy<Value = Item> {
    (hash_map(name(), value(), 0..6), any::<u32>()).prop_map(|(mut item, id)| {
        item.insert("id".to_owned(), AttributeValue::S(format!("{id}")));
        item
    })
}

pub(crate) fn items() -> impl Strategy<Value = Vec<Item>> {
    vec(item(), 0..8)
}

fn map_values(value: &AttributeValue, change: &impl Fn(&AttributeValue) -> AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::L(list) => {
            AttributeValue::L(list.iter().map(|value| map_values(value, change)).collect())
        }
        AttributeValue::M(map) => AttributeValue::M(map_item(map, change)),
        leaf => change(leaf),
    }
}

fn map_item(item: &Item, change: &impl Fn(&AttributeValue) -> AttributeValue) -> Item {
    item.iter().map(|(name, value)| (name.clone(), map_values(value, change))).collect()
}

/// The same item: its sets in another order, its numbers in another spelling.
pub(crate) fn all_spellings(item: &Item, seed: u64) -> Item {
    let respelt = |digits: &String| {
        let (mantissa, power) = match digits.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().unwrap()),
            None => (digits.as_str(), 0),
        };
        match seed % 3 {
            0 => format!("{mantissa}E{power}"),
            1 if mantissa.contains('.') => format!("{mantissa}00e{power}"),
            1 => format!("{mantissa}.0e{power}"),
            _ => digits.clone(),
        }
    };
    map_item(item, &|value| match value {
        AttributeValue::N(digits) => AttributeValue::N(respelt(digits)),
        AttributeValue::Ss(set) => AttributeValue::Ss(set.iter().rev().cloned().collect()),
        AttributeValue::Ns(set) => AttributeValue::Ns(set.iter().rev().map(respelt).collect()),
        AttributeValue::Bs(set) => AttributeValue::Bs(set.iter().rev().cloned().collect()),
        other => other.clone(),
    })
}

/// With sets sorted and numbers in one spelling, so that equal items compare as equal.
pub(crate) fn as_sets(item: &Item) -> Item {
    let one = |digits: &String| nextbasket_dynamodb::Number::parse(digits).unwrap().to_string();
    map_item(item, &|value| match value {
        AttributeValue::N(digits) => AttributeValue::N(one(digits)),
        AttributeValue::Ss(set) => {
            AttributeValue::Ss(set.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect())
        }
        AttributeValue::Ns(set) => {
            AttributeValue::Ns(set.iter().map(one).collect::<BTreeSet<_>>().into_iter().collect())
        }
        AttributeValue::Bs(set) => {
            let sorted: BTreeSet<Vec<u8>> = set.iter().map(|blob| blob.as_ref().to_vec()).collect();
            AttributeValue::Bs(sorted.into_iter().map(Blob::new).collect())
        }
        other => other.clone(),
    })
}
