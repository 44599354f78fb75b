//! Conditions mean the same to DynamoDB, as an expression and as a statement, as to who has the item at hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{Item, bytes, number, text};
use nextbasket_items::expression::{Change, Condition};
use nextbasket_items::key::{KeyAttribute, KeyKind, KeySchema};
use nextbasket_items::scan::{Projection, Scan};
use nextbasket_items::segment::Segment;
use nextbasket_items::write::put::Put;
use nextbasket_items::write::statements::Statements;
use nextbasket_items::write::update::Update;
use nextbasket_items::write::{OnConflict, WriteOutcome, Writer, write_all};
use nextbasket_job_engine::Site;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;
use nextbasket_testkit::{Seeded, TestStack};

const NAMES: [&str; 5] = ["a", "b", "c", "size", "status"];

fn pick<'a>(chance: &mut Seeded, words: &[&'a str]) -> &'a str {
    words[usize::try_from(chance.below(words.len() as u64)).unwrap()]
}

/// A value of any type; few of each, so that many are equal.
fn value(chance: &mut Seeded) -> AttributeValue {
    let strings = |chance: &mut Seeded| {
        let all = ["x", "xy", "y", "2"].map(str::to_owned);
        let from = usize::try_from(chance.below(3)).unwrap();
        all[from..].to_vec()
    };
    match chance.below(12) {
        0 | 1 => text(pick(chance, &["x", "xy", "y", "", "2"])),
        2..=4 => number(pick(chance, &["1", "2", "1.50", "-3", "10", "2.000001", "1e20"])),
        5 => bytes(pick(chance, &["x", "xy", "y"]).as_bytes().to_vec()),
        6 => AttributeValue::Bool(chance.below(2) == 0),
        7 => AttributeValue::Null(true),
        8 => AttributeValue::Ss(strings(chance)),
        9 => AttributeValue::Ns(vec!["1".to_owned(), "2".to_owned()]),
        10 => AttributeValue::L(strings(chance).into_iter().map(text).collect()),
        _ => AttributeValue::M([("b".to_owned(), text("x")), ("n".to_owned(), number(2))].into()),
    }
}

fn item(n: u64, chance: &mut Seeded) -> Item {
    let mut item = Item::from([("pk".to_owned(), text(format!("key {n}"))), ("id".to_owned(), number(n))]);
    for name in NAMES {
        if chance.below(3) > 0 {
            item.insert(name.to_owned(), value(chance));
        }
    }
    item
}

fn path(chance: &mut Seeded) -> String {
    let name = pick(chance, &["a", "b", "c", "`size`", "status"]);
    match chance.below(8) {
        0 => format!("{name}.b"),
        1 => format!("{name}[1]"),
        2 => format!("{name}.n"),
        _ => name.to_owned(),
    }
}

fn literal(chance: &mut Seeded) -> String {
    let all = [
        "'x'",
        "'xy'",
        "''",
        "'2'",
        "1",
        "2",
        "1.5",
        "-3",
        "10.0",
        "true",
        "null",
        "b64'eA=='",
        "<<'x', 'xy', 'y', '2'>>",
        "<<1, 2>>",
        "['y', '2']",
        "{b: 'x', n: 2}",
    ];
    pick(chance, &all).to_owned()
}

fn operand(chance: &mut Seeded) -> String {
    match chance.below(6) {
        0 => format!("size({})", path(chance)),
        1 | 2 => literal(chance),
        _ => path(chance),
    }
}

fn condition(chance: &mut Seeded, depth: u64) -> String {
    if depth > 0 && chance.below(2) == 0 {
        let left = condition(chance, depth - 1);
        return match chance.below(3) {
            0 => format!("NOT ({left})"),
            1 => format!("({left}) AND ({})", condition(chance, depth - 1)),
            _ => format!("({left}) OR ({})", condition(chance, depth - 1)),
        };
    }
    match chance.below(10) {
        0 => format!("attribute_exists({})", path(chance)),
        1 => format!("attribute_not_exists({})", path(chance)),
        2 => {
            let kind = pick(chance, &["S", "N", "B", "BOOL", "NULL", "SS", "NS", "L", "M"]);
            format!("attribute_type({}, '{kind}')", path(chance))
        }
        3 => format!("begins_with({}, {})", path(chance), pick(chance, &["'x'", "''", "b64'eA=='", "a"])),
        4 => format!("contains({}, {})", path(chance), operand(chance)),
        5 => {
            let (low, high) = if chance.below(2) == 0 { ("1", "2") } else { ("'x'", "'xyz'") };
            format!("{} BETWEEN {low} AND {high}", operand(chance))
        }
        6 => format!("{} IN ({}, {})", operand(chance), literal(chance), operand(chance)),
        _ => {
            let sign = pick(chance, &["=", "<>", "<", "<=", ">", ">="]);
            format!("{} {sign} {}", operand(chance), operand(chance))
        }
    }
}

fn schema() -> KeySchema {
    KeySchema { partition: KeyAttribute { name: "pk".to_owned(), kind: KeyKind::S }, sort: None }
}

fn ids<'a>(items: impl IntoIterator<Item = &'a Item>) -> BTreeSet<u64> {
    items.into_iter().map(|item| item["id"].as_n().unwrap().parse().unwrap()).collect()
}

async fn create_table(site: &Site) {
    let key = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let schema = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash);
    let table = site.dynamodb.create_table().table_name("any").billing_mode(BillingMode::PayPerRequest);
    let table = table.attribute_definitions(key.build().unwrap()).key_schema(schema.build().unwrap());
    table.send().await.unwrap();
}

async fn put_all(calls: &Calls, items: Vec<Item>) {
    let put = Writer::Put(Put::new("any", &schema(), OnConflict::Overwrite));
    write_all(calls, &Limiter::new(None), &Arc::new(put), items).await.unwrap();
}

async fn all(site: &Site) -> Vec<Item> {
    let scan = site.dynamodb.scan().table_name("any").consistent_read(true).send().await.unwrap();
    scan.items.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_holds_for_the_items_that_dynamodb_finds_by_it() {
    let stack = TestStack::start().await;
    let site = stack.site();
    create_table(&site).await;
    let (calls, limiter, now) = (Calls::at(&site), Limiter::new(None), Timestamp::EPOCH);
    let seed = 2026;
    let mut chance = Seeded(seed);
    let items: Vec<Item> = (0..80).map(|n| item(n, &mut chance)).collect();
    put_all(&calls, items).await;
    // As they come back: numbers are written in one way.
    let items = all(&site).await;
    let (mut compared, mut some, mut stated) = (0, 0, 0);
    for round in 0..600 {
        let written = condition(&mut chance, 2);
        // The language refuses what could hold for no item.
        let Ok(parsed) = Condition::parse(&written) else { continue };
        let scan = Scan::new("any", Some(&parsed), Projection::Attributes(&["id"]), now);
        let page = match scan.page(&calls, &limiter, Segment { number: 0, of: 1 }, None).await {
            Ok(page) => page,
            Err(CallError::Failed(error)) if error.to_string().contains("Invalid FilterExpression") => {
                continue;
            }
            Err(error) => panic!("seed {seed}, round {round}: {written}: {error:?}"),
        };
        let found = ids(&page.items);
        let held = ids(items.iter().filter(|item| parsed.holds(item, now)));
        assert_eq!(found, held, "seed {seed}, round {round}: {written}");
        compared += 1;
        some += u32::from(!held.is_empty() && held.len() < items.len());

        // The same as a statement, on the items themselves: few conditions can be said as one.
        let change = Change::parse("mark = 1").unwrap();
        let alone = Update::new("any", &schema(), Some(parsed.clone()), &change, now);
        let statements = Statements::new("any", &schema(), Some(&parsed), &change, now, alone.clone());
        if statements.is_none() && !u64::is_multiple_of(round, 4) {
            continue;
        }
        let writers = [Some(Writer::Update(alone)), statements.map(Writer::Statements)];
        for writer in writers.into_iter().flatten() {
            stated += u32::from(matches!(writer, Writer::Statements(_)));
            let keys: Vec<Item> = items.iter().map(|item| schema().of(item)).collect();
            let (became, _) = write_all(&calls, &limiter, &Arc::new(writer), keys).await.unwrap();
            let expected: Vec<WriteOutcome> = items
                .iter()
                .map(
                    |item| {
                        if parsed.holds(item, now) { WriteOutcome::Changed } else { WriteOutcome::Skipped }
                    },
                )
                .collect();
            assert_eq!(became, expected, "seed {seed}, round {round}: {written}");
        }
        let marked = all(&site).await.into_iter().filter(|item| item.contains_key("mark"));
        assert_eq!(ids(&marked.collect::<Vec<_>>()), held, "seed {seed}, round {round}: {written}");
        put_all(&calls, items.clone()).await;
    }
    assert!(
        compared > 300 && some > 150 && stated > 10,
        "{compared} compared, {some} of them split, {stated} as statements"
    );
}
