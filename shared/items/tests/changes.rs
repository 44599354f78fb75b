//! A change made to an item at hand leaves what `UpdateItem` leaves, and is rejected where that rejects it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ScalarAttributeType,
};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::item::{Item, bytes, number, text};
use nextbasket_items::expression::{Change, Placeholders};
use nextbasket_testkit::{Seeded, TestStack};

fn pick<'a>(chance: &mut Seeded, words: &[&'a str]) -> &'a str {
    words[usize::try_from(chance.below(words.len() as u64)).unwrap()]
}

const NUMBERS: [&str; 8] =
    ["0", "1", "-2.50", "1e20", "99999999999999999999999999999999999999", "1e-130", "9e125", "0.1"];

/// A value of any type; few of each, so that operations often fit.
fn value(chance: &mut Seeded, depth: u64) -> AttributeValue {
    let strings = |chance: &mut Seeded, all: [&str; 3]| -> Vec<String> {
        let from = usize::try_from(chance.below(3)).unwrap();
        all[from..].iter().map(|text| (*text).to_owned()).collect()
    };
    match chance.below(if depth == 0 { 8 } else { 13 }) {
        0 | 1 => text(pick(chance, &["x", "y", ""])),
        2..=4 => number(pick(chance, &NUMBERS)),
        5 => AttributeValue::Ss(strings(chance, ["x", "y", "z"])),
        6 => AttributeValue::Ns(strings(chance, ["1", "2.5", "3"])),
        7 => match chance.below(3) {
            0 => AttributeValue::Bool(true),
            1 => AttributeValue::Null(true),
            _ => bytes(b"x".to_vec()),
        },
        8..=10 => AttributeValue::L((0..chance.below(4)).map(|_| value(chance, depth - 1)).collect()),
        _ => {
            let mut map = Item::new();
            for name in ["a", "b"] {
                if chance.below(3) > 0 {
                    map.insert(name.to_owned(), value(chance, depth - 1));
                }
            }
            AttributeValue::M(map)
        }
    }
}

fn item(n: u64, chance: &mut Seeded) -> Item {
    let mut item = Item::from([("pk".to_owned(), text(format!("key {n}")))]);
    for name in ["a", "b", "c", "d", "e"] {
        if chance.below(4) > 0 {
            item.insert(name.to_owned(), value(chance, 2));
        }
    }
    item
}

fn path(chance: &mut Seeded) -> String {
    let mut path = pick(chance, &["a", "b", "c", "d", "e", "f"]).to_owned();
    while chance.below(4) == 0 {
        path.push_str(pick(chance, &[".a", ".b", "[0]", "[1]", "[2]", "[5]"]));
    }
    path
}

fn constant(chance: &mut Seeded) -> String {
    match chance.below(3) {
        0 => pick(chance, &NUMBERS).to_owned(),
        1 => pick(chance, &["[1, 'x']", "[]", "<<'x', 'y'>>", "<<1, 2.50>>", "<<b64'eA=='>>"]).to_owned(),
        _ => pick(chance, &["'x'", "true", "null", "{a: 1, b: [2]}"]).to_owned(),
    }
}

fn operand(chance: &mut Seeded, depth: u64) -> String {
    match chance.below(if depth == 0 { 4 } else { 10 }) {
        0 | 1 => path(chance),
        2 | 3 => constant(chance),
        4 | 5 => format!("if_not_exists({}, {})", path(chance), operand(chance, depth - 1)),
        6 => format!("list_append({}, {})", operand(chance, depth - 1), operand(chance, depth - 1)),
        _ => format!("({} {} {})", operand(chance, 0), pick(chance, &["+", "-"]), operand(chance, depth - 1)),
    }
}

/// Members of sets are spelled as DynamoDB spells numbers: the embedded endpoint compares them by their texts.
fn change(chance: &mut Seeded) -> String {
    let mut sections = Vec::new();
    if chance.below(4) > 0 {
        let set: Vec<String> =
            (0..=chance.below(2)).map(|_| format!("{} = {}", path(chance), operand(chance, 2))).collect();
        sections.push(format!("SET {}", set.join(", ")));
    }
    if chance.below(2) == 0 {
        let paths: Vec<String> = (0..=chance.below(3)).map(|_| path(chance)).collect();
        sections.push(format!("REMOVE {}", paths.join(", ")));
    }
    if chance.below(3) == 0 {
        let added = pick(chance, &["1", "-2.50", "9e125", "<<'x', 'w'>>", "<<1, 7>>"]);
        sections.push(format!("ADD {} {added}", path(chance)));
    }
    if chance.below(3) == 0 {
        let deleted = pick(chance, &["<<'x'>>", "<<'x', 'y', 'z'>>", "<<1, 2.5, 3>>"]);
        sections.push(format!("DELETE {} {deleted}", path(chance)));
    }
    sections.join(" ")
}

/// In one spelling and order.
fn shown(value: &AttributeValue) -> String {
    let number = |digits: &String| Number::parse(digits).unwrap().to_string();
    let sorted = |mut members: Vec<String>| {
        members.sort();
        members.join(",")
    };
    match value {
        AttributeValue::N(digits) => number(digits),
        AttributeValue::Ns(members) => format!("NS {}", sorted(members.iter().map(number).collect())),
        AttributeValue::Ss(members) => format!("SS {}", sorted(members.clone())),
        AttributeValue::L(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(",")),
        AttributeValue::M(map) => {
            format!(
                "{{{}}}",
                sorted(map.iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect())
            )
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_at_hand_leaves_what_an_update_leaves() {
    let stack = TestStack::start().await;
    let client = stack.dynamodb();
    let key = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let schema = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
    let table = client.create_table().table_name("any").billing_mode(BillingMode::PayPerRequest);
    let table = table.attribute_definitions(key.build().unwrap()).key_schema(schema.build().unwrap());
    table.send().await.unwrap();
    let seed = 2026;
    let mut chance = Seeded(seed);
    let (mut changed, mut rejected) = (0, 0);
    for n in 0..3_000 {
        let item = item(n, &mut chance);
        let written = change(&mut chance);
        // The language refuses what would fail for every item.
        let Ok(change) = Change::parse(&written) else { continue };
        client.put_item().table_name("any").set_item(Some(item.clone())).send().await.unwrap();
        let mut placeholders = Placeholders::at(Timestamp::EPOCH);
        let update = change.write(&mut placeholders);
        let updated = client
            .update_item()
            .table_name("any")
            .key("pk", item["pk"].clone())
            .update_expression(update)
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        let at_hand = change.apply(&item, Timestamp::EPOCH);
        let context = format!("seed {seed}, round {n}: {written} of {item:?}");
        match (updated, at_hand) {
            (Ok(updated), Ok(at_hand)) => {
                let updated = AttributeValue::M(updated.attributes.unwrap());
                assert_eq!(shown(&AttributeValue::M(at_hand)), shown(&updated), "{context}");
                changed += 1;
            }
            (Err(error), Err(_)) if error.code() == Some("ValidationException") => rejected += 1,
            (Ok(_), Err(error)) => panic!("{context}: only UpdateItem takes it: {error}"),
            (Err(error), at_hand) => panic!("{context}: UpdateItem says {error:?}, but not {at_hand:?}"),
        }
    }
    assert!(changed > 300 && rejected > 300, "{changed} changed, {rejected} rejected");
}
