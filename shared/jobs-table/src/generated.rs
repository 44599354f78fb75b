//! Items for trying: the same ones for the same seed, whoever makes them and in whatever order.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{Item, bytes, number, text};
use serde_json::{Map, Value};

use crate::parameters::TableParameters;
use nextbasket_items::key::{KeyAttribute, KeyKind, KeySchema};

/// So many items have the same partition key, in a table with a sort key, if it is not said.
const PER_PARTITION: u64 = 100;
/// The attribute that brings items to their size.
const PAYLOAD: &str = "payload";
/// Times are from here on, and this long.
const FROM_MILLIS: i64 = 1_577_836_800_000;
const SIX_YEARS_MILLIS: u64 = 189_345_600_000;

const CITIES: [&str; 8] = ["Aarhus", "Bergen", "Cadiz", "Delft", "Évora", "Faro", "Ghent", "Haarlem"];
const COLOURS: [&str; 8] = ["amber", "blue", "crimson", "drab", "ecru", "fawn", "green", "hazel"];
const STATES: [&str; 4] = ["open", "paid", "shipped", "returned"];
const THINGS: [&str; 8] = ["anvil", "basket", "candle", "drum", "easel", "flask", "globe", "hammer"];

#[derive(Debug)]
pub(crate) struct ItemGenerator {
    keys: KeySchema,
    seed: u64,
    partitions: u64,
    bytes: Option<u64>,
    template: Option<Map<String, Value>>,
}

impl ItemGenerator {
    pub(crate) fn new(parameters: &TableParameters, keys: &KeySchema) -> Self {
        let likely = parameters.count.unwrap_or(1).div_ceil(PER_PARTITION);
        Self {
            keys: keys.clone(),
            seed: parameters.seed,
            partitions: parameters.partitions.unwrap_or(likely).max(1),
            bytes: parameters.item_bytes.map(u64::from),
            template: parameters.template.clone(),
        }
    }

    /// About how many bytes an item has.
    pub(crate) fn item_bytes(&self) -> u64 {
        size(&self.make(0))
    }

    pub(crate) fn make(&self, item: u64) -> Item {
        let mut chance = Chance::of(self.seed, item);
        let mut made = match &self.template {
            Some(template) => template
                .iter()
                .map(|(name, value)| (name.clone(), from_template(value, item, &mut chance)))
                .collect(),
            None => generated(&mut chance),
        };
        match &self.keys.sort {
            None => self.add_key(&mut made, &self.keys.partition, "item", item),
            Some(sort) => {
                self.add_key(&mut made, &self.keys.partition, "partition", item % self.partitions);
                self.add_key(&mut made, sort, "item", item);
            }
        }
        let missing = self.bytes.unwrap_or(0).saturating_sub(size(&made) + PAYLOAD.len() as u64);
        if missing > 0 && !made.contains_key(PAYLOAD) {
            made.insert(PAYLOAD.to_owned(), text(chance.letters(missing)));
        }
        made
    }

    /// A key of its type: that of the template, if it has one.
    fn add_key(&self, made: &mut Item, key: &KeyAttribute, word: &str, value: u64) {
        let given = made.remove(&key.name).filter(|_| self.template.is_some());
        let value = match (key.kind, given) {
            (KeyKind::S, Some(AttributeValue::N(digits))) => text(digits),
            (KeyKind::N, Some(AttributeValue::S(digits))) => number(digits),
            (KeyKind::B, Some(AttributeValue::S(content))) => bytes(content.into_bytes()),
            (_, Some(given)) => given,
            (KeyKind::S, None) => text(format!("{word}-{value:010}")),
            (KeyKind::N, None) => number(value),
            (KeyKind::B, None) => bytes(value.to_be_bytes().to_vec()),
        };
        made.insert(key.name.clone(), value);
    }
}

fn from_template(value: &Value, item: u64, chance: &mut Chance) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(digits) => number(digits),
        Value::String(content) => {
            let mut content = content.replace("{n}", &item.to_string());
            while content.contains("{random}") {
                content = content.replacen("{random}", &format!("{:016x}", chance.draw()), 1);
            }
            text(content)
        }
        Value::Array(elements) => {
            AttributeValue::L(elements.iter().map(|element| from_template(element, item, chance)).collect())
        }
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| (name.clone(), from_template(value, item, chance));
            AttributeValue::M(entries.iter().map(entry).collect())
        }
    }
}

/// Something of every kind that tables hold.
fn generated(chance: &mut Chance) -> Item {
    let thing = format!("{} {}", chance.one_of(&COLOURS), chance.one_of(&THINGS));
    let created = i64::try_from(chance.below(SIX_YEARS_MILLIS)).unwrap_or(0) + FROM_MILLIS;
    let expires = created / 1000 + i64::try_from(chance.below(31_536_000)).unwrap_or(0);
    let first = chance.one_of(&COLOURS);
    let mut tags = vec![first.to_owned()];
    tags.extend(Some(chance.one_of(&COLOURS).to_owned()).filter(|second| second != first));
    let address = HashMap::from([
        ("city".to_owned(), text(chance.one_of(&CITIES))),
        ("zip".to_owned(), text(format!("{:05}", chance.below(100_000)))),
    ]);
    let ratings = (0..chance.below(4)).map(|_| number(chance.below(5) + 1)).collect();
    let cents = chance.below(100_000);
    let attributes = [
        ("active", AttributeValue::Bool(chance.below(2) == 0)),
        ("address", AttributeValue::M(address)),
        ("createdAt", text(Timestamp::EPOCH.plus_millis(created).to_string())),
        ("expiresAt", number(expires)),
        ("name", text(thing)),
        ("price", number(format!("{}.{:02}", cents / 100, cents % 100))),
        ("ratings", AttributeValue::L(ratings)),
        ("signature", AttributeValue::B(Blob::new(chance.draw().to_be_bytes()))),
        ("status", text(chance.one_of(&STATES))),
        ("tags", AttributeValue::Ss(tags)),
    ];
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The bytes of an item, about as DynamoDB counts them.
fn size(item: &Item) -> u64 {
    item.iter().map(|(name, value)| name.len() as u64 + size_of(value)).sum()
}

fn size_of(value: &AttributeValue) -> u64 {
    let digits = |digits: &String| digits.len() as u64 / 2 + 1;
    match value {
        AttributeValue::S(text) => text.len() as u64,
        AttributeValue::N(number) => digits(number),
        AttributeValue::B(bytes) => bytes.as_ref().len() as u64,
        AttributeValue::Ss(members) => members.iter().map(|member| member.len() as u64).sum(),
        AttributeValue::Ns(members) => members.iter().map(digits).sum(),
        AttributeValue::Bs(members) => members.iter().map(|member| member.as_ref().len() as u64).sum(),
        AttributeValue::L(elements) => 3 + elements.iter().map(|element| size_of(element) + 1).sum::<u64>(),
        AttributeValue::M(entries) => 3 + size(entries) + entries.len() as u64,
        _ => 1,
    }
}

/// A generator (SplitMix64) for one item.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn of(seed: u64, item: u64) -> Self {
        let mut of_seed = Self(seed);
        Self(of_seed.draw() ^ item.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, but not with, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let at = usize::try_from(self.below(words.len() as u64)).unwrap_or(0);
        words.get(at).copied().unwrap_or_default()
    }

    fn letters(&mut self, count: u64) -> String {
        let mut letters = String::new();
        let count = usize::try_from(count).unwrap_or(0);
        while letters.len() < count {
            letters.push_str(&format!("{:016x}", self.draw()));
        }
        letters.truncate(count);
        letters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn maker(parameters: &Value, keys: [Option<KeyKind>; 2]) -> ItemGenerator {
        let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
        let schema = KeySchema {
            partition: attribute("pk", keys[0].unwrap()),
            sort: keys[1].map(|kind| attribute("sk", kind)),
        };
        ItemGenerator::new(&TableParameters::parse(parameters).unwrap(), &schema)
    }

    #[test]
    fn the_same_seed_makes_the_same_items_and_another_one_others() {
        let of = |seed: u64| {
            maker(&json!({ "table": "abc", "count": 1000, "seed": seed }), [Some(KeyKind::S), None])
        };
        assert_eq!(of(7).make(5), of(7).make(5));
        assert_ne!(of(7).make(5), of(8).make(5));
        assert_ne!(of(7).make(5)["name"], of(7).make(6)["name"]);
        assert_eq!(of(7).make(5)["pk"], text("item-0000000005"));
    }

    #[test]
    fn keys_are_of_the_tables_types_and_no_two_are_the_same() {
        for kind in [KeyKind::S, KeyKind::N, KeyKind::B] {
            let maker =
                maker(&json!({ "table": "abc", "count": 300, "partitions": 7 }), [Some(kind), Some(kind)]);
            let mut seen = std::collections::BTreeSet::new();
            let mut partitions = std::collections::BTreeSet::new();
            for item in 0..300 {
                let made = maker.make(item);
                seen.insert(format!("{:?} {:?}", made["pk"], made["sk"]));
                partitions.insert(format!("{:?}", made["pk"]));
                assert!(match kind {
                    KeyKind::S => made["pk"].is_s() && made["sk"].is_s(),
                    KeyKind::N => made["pk"].is_n() && made["sk"].is_n(),
                    KeyKind::B => made["pk"].is_b() && made["sk"].is_b(),
                });
            }
            assert_eq!((seen.len(), partitions.len()), (300, 7));
        }
    }

    #[test]
    fn items_have_about_the_size_that_was_asked_for() {
        for bytes in [1_000, 50_000] {
            let maker =
                maker(&json!({ "table": "abc", "count": 10, "itemBytes": bytes }), [Some(KeyKind::N), None]);
            assert_eq!(maker.item_bytes(), bytes);
        }
    }

    #[test]
    fn a_template_has_the_items_number_and_random_digits() {
        let template = json!({
            "pk": "{n}", "user": "user-{n}", "token": "{random}{random}", "at": 5, "deep": { "list": [true, null, "{n}"] },
        });
        let made = maker(
            &json!({ "table": "abc", "count": 10, "template": template }),
            [Some(KeyKind::N), Some(KeyKind::S)],
        )
        .make(3);
        assert_eq!((&made["pk"], &made["user"], &made["at"]), (&number(3), &text("user-3"), &number(5)));
        let token = made["token"].as_s().unwrap();
        assert!(token.len() == 32 && token[..16] != token[16..], "{token}");
        let list = made["deep"].as_m().unwrap()["list"].as_l().unwrap();
        assert_eq!(list[2], text("3"));
        assert_eq!(made.len(), 6, "{made:?}");
    }
}
