//! A table's items as lines of JSON, and what they are split by.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;
use sha2::{Digest, Sha256};

use crate::parameters::ItemForm;

/// Numbers of up to so many digits are seconds since 1970, longer ones milliseconds.
const SECONDS_DIGITS: usize = 11;

/// The item as one line, names in order, with its line end.
pub(crate) fn line(item: &Item, form: ItemForm) -> String {
    let mut line = String::new();
    match form {
        ItemForm::Dynamodb => {
            line.push_str("{\"Item\":");
            map(item, form, &mut line);
            line.push('}');
        }
        ItemForm::Plain => map(item, form, &mut line),
    }
    line.push('\n');
    line
}

fn map(item: &Item, form: ItemForm, out: &mut String) {
    let mut names: Vec<&String> = item.keys().collect();
    names.sort_unstable();
    let pairs = names.into_iter().filter_map(|name| Some((name, item.get(name)?)));
    out.push('{');
    for (at, (name, value)) in pairs.enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(name, out);
        out.push(':');
        self::value(value, form, out);
    }
    out.push('}');
}

fn string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn list<T>(values: &[T], out: &mut String, mut each: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(value, out);
    }
    out.push(']');
}

/// Numbers keep their digits: they are written as they came, never computed with.
fn value(value: &AttributeValue, form: ItemForm, out: &mut String) {
    let typed = form == ItemForm::Dynamodb;
    let digits = |digits: &str, out: &mut String| {
        if typed { string(digits, out) } else { out.push_str(digits) }
    };
    let tag = match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        _ => "",
    };
    if typed {
        out.push_str(&format!("{{\"{tag}\":"));
    }
    match value {
        AttributeValue::S(text) => string(text, out),
        AttributeValue::N(number) => digits(number, out),
        AttributeValue::B(blob) => string(&STANDARD.encode(blob.as_ref()), out),
        AttributeValue::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        AttributeValue::Null(_) => out.push_str(if typed { "true" } else { "null" }),
        AttributeValue::Ss(texts) => list(texts, out, |text, out| string(text, out)),
        AttributeValue::Ns(numbers) => list(numbers, out, |number, out| digits(number, out)),
        AttributeValue::Bs(blobs) => {
            list(blobs, out, |blob, out| string(&STANDARD.encode(blob.as_ref()), out));
        }
        AttributeValue::L(values) => list(values, out, |value, out| self::value(value, form, out)),
        AttributeValue::M(inner) => map(inner, form, out),
        _ => out.push_str("null"),
    }
    if typed {
        out.push('}');
    }
}

/// The part, of so many, that records with this value are in.
pub(crate) fn part(value: &[u8], parts: u32) -> i64 {
    let digest = Sha256::digest(value);
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    i64::try_from(u64::from_be_bytes(first) % u64::from(parts.max(1))).unwrap_or(0)
}

/// The part of an item; those without the attribute are together.
pub(crate) fn part_of(item: &Item, attribute: &str, parts: u32) -> i64 {
    let mut text = String::new();
    if let Some(found) = item.get(attribute) {
        value(found, ItemForm::Dynamodb, &mut text);
    }
    part(text.as_bytes(), parts)
}

/// The period that the item's time is in, by its beginning in milliseconds since 1970; `None` for an item without one.
pub(crate) fn period_of(item: &Item, attribute: &str, every_ms: i64) -> Option<i64> {
    let at = match item.get(attribute)? {
        AttributeValue::N(digits) => {
            let whole = digits.split('.').next().unwrap_or_default();
            let number: i64 = whole.parse().ok()?;
            if whole.len() <= SECONDS_DIGITS { number.checked_mul(1_000)? } else { number }
        }
        AttributeValue::S(text) => Timestamp::parse_lenient(text).ok()?.as_millis(),
        _ => return None,
    };
    Some(at - at.rem_euclid(every_ms.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{bytes, number, text};

    fn item() -> Item {
        let set = AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]);
        let inner = AttributeValue::M(Item::from([("x\"y".to_owned(), AttributeValue::Null(true))]));
        Item::from([
            ("id".to_owned(), text("ä\n")),
            ("price".to_owned(), number("12345678901234567890.123456789")),
            ("raw".to_owned(), bytes(vec![0, 255])),
            ("tags".to_owned(), set),
            ("sizes".to_owned(), AttributeValue::Ns(vec!["1".to_owned(), "2.50".to_owned()])),
            ("list".to_owned(), AttributeValue::L(vec![AttributeValue::Bool(false), inner])),
        ])
    }

    #[test]
    fn types_survive_in_dynamodbs_own_form() {
        assert_eq!(
            line(&item(), ItemForm::Dynamodb),
            concat!(
                r#"{"Item":{"id":{"S":"ä\n"},"list":{"L":[{"BOOL":false},{"M":{"x\"y":{"NULL":true}}}]},"#,
                r#""price":{"N":"12345678901234567890.123456789"},"raw":{"B":"AP8="},"#,
                r#""sizes":{"NS":["1","2.50"]},"tags":{"SS":["a","b"]}}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn plain_lines_are_what_a_command_expects() {
        assert_eq!(
            line(&item(), ItemForm::Plain),
            concat!(
                r#"{"id":"ä\n","list":[false,{"x\"y":null}],"price":12345678901234567890.123456789,"#,
                r#""raw":"AP8=","sizes":[1,2.50],"tags":["a","b"]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn times_are_seconds_milliseconds_or_texts() {
        const DAY: i64 = 86_400_000;
        let of = |value: AttributeValue| period_of(&Item::from([("at".to_owned(), value)]), "at", DAY);
        let day = Some(1_767_225_600_000);
        for value in [
            number(1_767_225_600),
            number(1_767_311_999),
            number(1_767_225_600_000_i64),
            number("1767225600.75"),
            text("2026-01-01T23:59:59Z"),
            text("2026-01-01"),
        ] {
            assert_eq!(of(value.clone()), day, "{value:?}");
        }
        for value in [text("soon"), AttributeValue::Bool(true), number("1e99")] {
            assert_eq!(of(value), None);
        }
        assert_eq!(period_of(&Item::new(), "at", DAY), None);
    }

    #[test]
    fn a_feature_has_one_part_and_many_features_have_all() {
        let of = |id: &str| part_of(&Item::from([("id".to_owned(), text(id))]), "id", 8);
        assert_eq!(of("a"), of("a"));
        let parts: std::collections::BTreeSet<i64> = (0..200).map(|n| of(&n.to_string())).collect();
        assert_eq!(parts, (0..8).collect());
    }
}
