//! The `where` and `set` expressions of jobs over a table's items.

use std::collections::HashMap;
use std::fmt::Write;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_items::expression::{Change, Condition, Placeholders, SyntaxError};

use crate::memory::within;

const BASE: usize = 64 << 10;
const MULTIPLE: usize = 400;

/// A condition, a change, or neither.
pub fn check(data: &[u8]) {
    let Ok(written) = std::str::from_utf8(data) else { return };
    let limit = BASE + MULTIPLE * written.len();
    match within(limit, || Condition::parse(written)) {
        Ok(condition) => is_condition(&condition),
        Err(error) => placed(written, &error),
    }
    match within(limit, || Change::parse(written)) {
        Ok(change) => is_change(&change),
        Err(error) => placed(written, &error),
    }
}

/// An error has a position in the text, and a message.
fn placed(written: &str, error: &SyntaxError) {
    assert!((1..=written.chars().count() + 1).contains(&error.at), "{written:?}: {error}");
    assert!(!error.problem.is_empty());
}

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T08:00:00Z").unwrap()
}

/// A request to DynamoDB: the expression, the names and the values.
type Request = (String, HashMap<String, String>, HashMap<String, AttributeValue>);

fn request(write: impl FnOnce(&mut Placeholders) -> String) -> Request {
    let mut placeholders = Placeholders::at(now());
    let expression = write(&mut placeholders);
    (expression, placeholders.names().unwrap_or_default(), placeholders.values().unwrap_or_default())
}

/// With names and values put back, it is parsed as the same condition.
fn is_condition(condition: &Condition) {
    let sent = request(|placeholders| condition.write(placeholders));
    let plain = in_place(&sent);
    let again = Condition::parse(&plain).unwrap_or_else(|error| panic!("{plain}: {error}"));
    assert_eq!(request(|placeholders| again.write(placeholders)), sent, "{plain}");
    for item in items() {
        let holds = condition.holds(&item, now());
        assert_eq!(again.holds(&item, now()), holds, "{plain} of {item:?}");
        let not = Condition::parse(&format!("NOT ({plain})"));
        assert!(not.is_err() || not.unwrap().holds(&item, now()) != holds, "NOT ({plain}) of {item:?}");
    }
    assert_eq!(again.paths(), condition.paths());
    if let Some(statement) = condition.statement(std::iter::empty(), now()) {
        marks(&statement.text, statement.parameters.len());
    }
}

fn is_change(change: &Change) {
    let sent = request(|placeholders| change.write(placeholders));
    let plain = in_place(&sent);
    let again = Change::parse(&plain).unwrap_or_else(|error| panic!("{plain}: {error}"));
    assert_eq!(request(|placeholders| again.write(placeholders)), sent, "{plain}");
    assert_eq!(again.is_idempotent(), change.is_idempotent(), "{plain}");
    assert_eq!(again.attributes(), change.attributes(), "{plain}");
    assert!(!change.writes().is_empty(), "{plain} changes nothing");
    if let Some(statement) = change.statement(now()) {
        marks(&statement.text, statement.parameters.len());
    }
}

/// A statement has a question mark for each parameter, not counting those in quoted names.
fn marks(statement: &str, parameters: usize) {
    let outside = statement.split('"').step_by(2).map(|part| part.matches('?').count()).sum::<usize>();
    assert_eq!(outside, parameters, "{statement}");
}

/// The expression as a person would write it.
fn in_place((expression, names, values): &Request) -> String {
    let mut plain = String::new();
    let mut rest = expression.as_str();
    while let Some(at) = rest.find(['#', ':']) {
        plain.push_str(&rest[..at]);
        let length = rest[at + 1..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len() - at - 1);
        let (placeholder, behind) = rest[at..].split_at(length + 1);
        match (names.get(placeholder), values.get(placeholder)) {
            (Some(name), None) => quoted(name, '`', &mut plain),
            (None, Some(value)) => literal(value, &mut plain),
            _ => panic!("{placeholder} in {expression}"),
        }
        rest = behind;
    }
    plain + rest
}

fn quoted(content: &str, quote: char, out: &mut String) {
    out.push(quote);
    for c in content.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(quote);
}

fn literal(value: &AttributeValue, out: &mut String) {
    fn list<T>(open: &str, members: &[T], close: &str, out: &mut String, each: impl Fn(&T, &mut String)) {
        out.push_str(open);
        for (n, member) in members.iter().enumerate() {
            out.push_str(if n > 0 { ", " } else { "" });
            each(member, out);
        }
        out.push_str(close);
    }
    let binary = |bytes: &Blob, out: &mut String| {
        write!(out, "b64'{}'", STANDARD.encode(bytes.as_ref())).unwrap();
    };
    match value {
        AttributeValue::S(text) => quoted(text, '\'', out),
        AttributeValue::N(digits) => out.push_str(digits),
        AttributeValue::Bool(truth) => write!(out, "{truth}").unwrap(),
        AttributeValue::Null(_) => out.push_str("null"),
        AttributeValue::B(bytes) => binary(bytes, out),
        AttributeValue::L(members) => list("[", members, "]", out, literal),
        AttributeValue::M(map) => {
            let members: Vec<_> = map.iter().collect();
            list("{", &members, "}", out, |(name, value), out| {
                quoted(name, '\'', out);
                out.push_str(": ");
                literal(value, out);
            });
        }
        AttributeValue::Ss(set) => list("<<", set, ">>", out, |text, out| quoted(text, '\'', out)),
        AttributeValue::Ns(set) => list("<<", set, ">>", out, |digits, out| out.push_str(digits)),
        AttributeValue::Bs(set) => list("<<", set, ">>", out, binary),
        other => panic!("{other:?} is no constant"),
    }
}

fn items() -> [Item; 3] {
    let map = AttributeValue::M(Item::from([("b".to_owned(), text("x")), ("n".to_owned(), number(2))]));
    let strings = AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()]);
    [
        Item::new(),
        Item::from([
            ("a".to_owned(), number("5.0")),
            ("b".to_owned(), text("x")),
            ("c".to_owned(), AttributeValue::L(vec![number(1), text("x"), map.clone()])),
            ("n".to_owned(), AttributeValue::Null(true)),
        ]),
        Item::from([
            ("a".to_owned(), strings),
            ("b".to_owned(), map),
            ("c".to_owned(), AttributeValue::B(Blob::new(b"x"))),
            ("n".to_owned(), AttributeValue::Ns(vec!["1".to_owned(), "2".to_owned()])),
        ]),
    ]
}
