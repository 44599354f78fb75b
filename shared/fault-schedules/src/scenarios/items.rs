//! Tables and items of a schedule, created and read without faults.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, WriteRequest,
};
use nextbasket_dynamodb::item::{Item, number, text};

use crate::world::{World, broken, sent};
use crate::{Checked, ensure};

/// The time of the first item, in seconds.
const FIRST: u64 = 1_772_323_200;

/// Creates a table with the key `pk`, and also `sk` if it has two.
pub async fn make(world: &World, name: &str, two_keys: bool) -> Checked {
    let mut create = world
        .observer()
        .dynamodb
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .key_schema(key("pk", KeyType::Hash));
    if two_keys {
        create = create
            .attribute_definitions(attribute("sk", ScalarAttributeType::N))
            .key_schema(key("sk", KeyType::Range));
    }
    sent(create.send()).await.map(drop)
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

pub async fn remove(world: &World, name: &str) -> Checked {
    sent(world.observer().dynamodb.delete_table().table_name(name).send()).await.map(drop)
}

/// The item of a number: every other one is `old`, the others are `new`.
pub fn item(world: &World, n: u64, two_keys: bool) -> Item {
    let mut item = Item::from([
        ("pk".to_owned(), text(if two_keys { format!("key {}", n % 7) } else { format!("key {n}") })),
        ("id".to_owned(), number(n)),
        ("n".to_owned(), number(0)),
        ("status".to_owned(), text(if n.is_multiple_of(2) { "old" } else { "new" })),
        ("at".to_owned(), number(FIRST + n % 4 * 86_400 + n)),
        ("user".to_owned(), text(format!("user {}", n % 5))),
    ]);
    if two_keys {
        item.insert("sk".to_owned(), number(n));
    }
    let more = match world.below(9) {
        0 => text("ü\"\\,\n"),
        1 => number("12345678901234567890123456789012345678"),
        2 => AttributeValue::B(Blob::new([0, 255, u8::try_from(n % 256).unwrap_or(0)])),
        3 => AttributeValue::Bool(true),
        4 => AttributeValue::Null(true),
        5 => AttributeValue::Ss(vec!["a".to_owned(), format!("b{n}")]),
        6 => AttributeValue::L(vec![number(n), text("")]),
        7 => AttributeValue::M(Item::from([("x".to_owned(), number("-1.5"))])),
        _ => return item,
    };
    item.insert("more".to_owned(), more);
    item
}

pub async fn put(world: &World, table: &str, items: impl IntoIterator<Item = Item>) -> Checked {
    let request = |item: Item| {
        let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    };
    let requests: Vec<WriteRequest> = items.into_iter().map(request).collect();
    for chunk in requests.chunks(25) {
        let write = world.observer().dynamodb.batch_write_item().request_items(table, chunk.to_vec());
        sent(write.send()).await?;
    }
    Ok(())
}

/// Creates a table with this many items; returns them by number.
pub async fn filled(world: &World, table: &str, two_keys: bool, count: u64) -> Checked<BTreeMap<u64, Item>> {
    make(world, table, two_keys).await?;
    let items: BTreeMap<u64, Item> = (0..count).map(|n| (n, item(world, n, two_keys))).collect();
    put(world, table, items.values().cloned()).await?;
    Ok(items)
}

pub async fn all(world: &World, table: &str) -> Checked<Vec<Item>> {
    let scan = world.observer().dynamodb.scan().table_name(table).consistent_read(true);
    let mut pages = scan.into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(item.map_err(broken)?);
    }
    Ok(items)
}

/// All items of a table by their number.
pub async fn by_number(world: &World, table: &str) -> Checked<BTreeMap<u64, Item>> {
    let items = all(world, table).await?;
    Ok(items.into_iter().map(|item| (int(&item, "id").unwrap_or(u64::MAX), item)).collect())
}

/// The value of an attribute that is a whole number.
#[must_use]
pub fn int(item: &Item, attribute: &str) -> Option<u64> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

/// An item as text, with sorted sets and maps.
#[must_use]
pub fn shown(item: &Item) -> String {
    let shown: BTreeMap<&String, String> =
        item.iter().map(|(name, value)| (name, shown_value(value))).collect();
    format!("{shown:?}")
}

fn shown_value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => {
            format!("{:?}", set.iter().collect::<BTreeSet<_>>())
        }
        AttributeValue::Bs(set) => format!("{:?}", set.iter().map(Blob::as_ref).collect::<BTreeSet<_>>()),
        AttributeValue::L(list) => format!("{:?}", list.iter().map(shown_value).collect::<Vec<_>>()),
        AttributeValue::M(map) => shown(map),
        other => format!("{other:?}"),
    }
}

pub fn sorted<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<String> {
    let mut shown: Vec<String> = items.into_iter().map(shown).collect();
    shown.sort_unstable();
    shown
}

/// Checks that two sorted lists contain the same texts.
pub fn equal(what: &str, left: &[String], right: &[String]) -> Checked {
    for (one, other, side) in [(left, right, "here"), (right, left, "there")] {
        if let Some(text) = one.iter().find(|text| !other.contains(text)) {
            ensure!(false, "{what}: only {side}: {text}");
        }
    }
    ensure!(left.len() == right.len(), "{what}: {} here, {} there, some twice", left.len(), right.len());
    Ok(())
}

/// The location of an object of the jobs' bucket.
#[must_use]
pub fn object_name(world: &World, key: &str) -> String {
    format!("s3://{}/{key}", world.names().jobs_bucket)
}

pub async fn put_object(world: &World, key: &str, content: String) -> Checked<String> {
    let body = aws_sdk_s3::primitives::ByteStream::from(content.into_bytes());
    let put = world.observer().s3.put_object().bucket(&world.names().jobs_bucket).key(key).body(body);
    sent(put.send()).await?;
    Ok(object_name(world, key))
}

/// The content of an object of the jobs' bucket.
pub async fn object(world: &World, key: &str) -> Checked<Vec<u8>> {
    let got = world.observer().s3.get_object().bucket(&world.names().jobs_bucket).key(key);
    let got = sent(got.send()).await?;
    Ok(sent(got.body.collect()).await?.to_vec())
}

/// The keys of objects that begin with this prefix.
pub async fn objects(world: &World, prefix: &str) -> Checked<Vec<String>> {
    let list = world.observer().s3.list_objects_v2().bucket(&world.names().jobs_bucket).prefix(prefix);
    let mut pages = list.into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let contents = page.map_err(broken)?.contents.unwrap_or_default();
        keys.extend(contents.into_iter().filter_map(|object| object.key));
    }
    Ok(keys)
}
