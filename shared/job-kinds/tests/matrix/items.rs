//! The items of the matrix.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::endpoint::Item;

const TEXTS: [&str; 32] = [
    "",
    " ",
    "a,b",
    "\"quoted\"",
    "\"",
    "'",
    "line\nbreak",
    "cr\r\nlf",
    "\r",
    "\u{feff}bom",
    "tab\t",
    "=1+1",
    "null",
    "true",
    "1.0",
    "01",
    "{\"S\":\"x\"}",
    "[1]",
    "b64'eA=='",
    "\\",
    "\\n",
    "\\u0041",
    "-",
    "#x",
    ":v",
    "\u{7f}",
    "e\u{301}",
    "日本語",
    "\u{1f600}",
    "\u{2028}",
    "\u{10ffff}",
    "NaN",
];

const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "0.1",
    "0.10",
    "1E-130",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "12345678901234567890123456789012345678",
    "-0.00000000000000000000000000000000000001",
    "100",
    "1e2",
    "9007199254740993",
];

const NAMES: [&str; 26] = [
    "a.b",
    "a[0]",
    "#x",
    ":y",
    " ",
    "\"",
    "a,b",
    "a\nb",
    "select",
    "size",
    "é",
    "日本",
    "a:S",
    "v:N",
    "0",
    "-",
    "item",
    "Item",
    "$",
    "\u{feff}x",
    "NULL",
    "a b",
    "'",
    "`",
    "\\",
    "M",
];

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: impl ToString + Copy) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn bytes(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn texts(all: &[&str]) -> AttributeValue {
    AttributeValue::Ss(all.iter().map(|text| (*text).to_owned()).collect())
}

fn numbers(all: &[&str]) -> AttributeValue {
    AttributeValue::Ns(all.iter().map(|number| (*number).to_owned()).collect())
}

fn map<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(entries.map(|(name, value)| (name.to_owned(), value)).into())
}

fn item<const N: usize>(pk: &str, n: usize, attributes: [(&str, AttributeValue); N]) -> Item {
    let mut item = Item::from([("pk".to_owned(), text(pk)), ("n".to_owned(), number(n))]);
    item.extend(attributes.map(|(name, value)| (name.to_owned(), value)));
    item
}

fn values() -> Vec<AttributeValue> {
    let mut values: Vec<AttributeValue> = TEXTS.iter().map(|value| text(value)).collect();
    values.extend(NUMBERS.iter().map(number));
    values.extend([bytes(b""), bytes(b"\0"), bytes(b"\x1f\x8b\x08"), bytes(&(0..=255).collect::<Vec<u8>>())]);
    values.extend([AttributeValue::Bool(true), AttributeValue::Bool(false), AttributeValue::Null(true)]);
    values.extend([texts(&["a"]), texts(&["b,c", "\n", "\""]), numbers(&["1", "-2.5", "1E5"])]);
    values.push(AttributeValue::Bs(vec![Blob::new(b"\0"), Blob::new(b"x")]));
    values.extend([AttributeValue::L(Vec::new()), AttributeValue::M([].into())]);
    values.push(AttributeValue::L(vec![text(""), number(1), AttributeValue::Null(true), texts(&["x"])]));
    values.push((0..29).fold(text("deep"), |inner, _| AttributeValue::L(vec![inner])));
    values.push((0..29).fold(number("1"), |inner, _| map([("m", inner)])));
    values
}

/// Every value as an attribute, in a list and in a map; every name; every text as a key; large ones.
pub(crate) fn hostile() -> Vec<Item> {
    let mut items = Vec::new();
    for value in values() {
        let n = items.len();
        items.push(item("value", n, [("v", value.clone())]));
        items.push(item("in a list", n, [("v", AttributeValue::L(vec![value.clone(), number(7)]))]));
        items.push(item("in a map", n, [("v", map([("k", value.clone()), (" ", text("under a blank"))]))]));
        items.push(item("in a map", n + 1, [("v", map([("a.b", value.clone()), ("a,\"b", value)]))]));
    }
    for name in NAMES {
        let n = items.len();
        items.push(item("name", n, [(name, text("under a hostile name"))]));
        items.push(item("name", n + 1, [("v", map([(name, number(n))]))]));
    }
    for key in TEXTS.iter().filter(|key| !key.is_empty()) {
        items.push(item(key, 1, [("v", text("under a hostile key"))]));
    }
    items.push(item("large", 1, [("v", text(&"x,\"\n".repeat(90_000)))]));
    items.push(item("wide", 1, [("v", AttributeValue::L((0..2_000).map(number).collect()))]));
    items.push(item("bare", 1, []));
    items
}

pub(crate) fn plain(n: usize) -> Item {
    item(&format!("key {n}"), n, [("name", text(&format!("name of {n}"))), ("price", number(n * 10))])
}

/// Items that few conditions hold for all of.
pub(crate) fn for_conditions() -> Vec<Item> {
    let mut items = Vec::new();
    for n in 0..48 {
        let mut one = item(["a", "b", "c"][n % 3], n, [("size", number(n % 5))]);
        let mut set = |name: &str, value: AttributeValue| drop(one.insert(name.to_owned(), value));
        match n % 6 {
            0 => {}
            1 => set("v", text(["x", "xy", "xyz", "", "y"][n % 5])),
            2 => set("v", number(["1", "2.5", "-3", "1e2", "100"][n % 5])),
            3 => set("v", bytes([&b"x"[..], b"xy", b"y"][n % 3])),
            4 => set("v", AttributeValue::Bool(n % 4 == 0)),
            _ => set("v", AttributeValue::Null(true)),
        }
        if n % 2 == 0 {
            let city = ["Oslo", "Rome"][n % 4 / 2];
            set("address", map([("city", text(city)), ("zip code", number(n)), ("a.b", text("dotted"))]));
        }
        if n % 3 == 0 {
            set("tags", texts(&["new", ["red", "blue"][n % 2]]));
            set("prices", numbers(&["1", "2.50"]));
        }
        if n % 4 == 0 {
            let lines = [text("x"), number(n), map([("price", number(n % 7))])];
            set("lines", AttributeValue::L(lines[..1 + n % 3].to_vec()));
        }
        items.push(one);
    }
    items
}

pub(crate) fn for_changes() -> Vec<Item> {
    vec![
        item("a", 1, []),
        item(
            "a",
            2,
            [
                ("text", text("x")),
                ("count", number("1.50")),
                ("m", map([("x", text("old")), ("deep", map([("y", number(1))]))])),
                ("l", AttributeValue::L(vec![text("zero"), text("one"), text("two")])),
                ("tags", texts(&["a", "b"])),
                ("primes", numbers(&["2", "3"])),
            ],
        ),
        item(
            "b",
            3,
            [
                ("text", number(5)),
                ("count", number("99999999999999999999999999999999999999")),
                ("m", map([])),
                ("l", AttributeValue::L(Vec::new())),
                ("tags", texts(&["a"])),
                ("a.b", text("dotted")),
            ],
        ),
    ]
}
