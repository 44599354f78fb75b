//! A condition on an item at hand, as DynamoDB decides it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{Item, number};

use nextbasket_dynamodb::Number;

use super::condition::{Comparator, Condition, Node, Operand};

impl Condition {
    /// Whether it holds for the item at this time.
    #[must_use]
    pub fn holds(&self, item: &Item, now: Timestamp) -> bool {
        self.0.holds(item, now)
    }
}

impl Node {
    fn holds(&self, item: &Item, now: Timestamp) -> bool {
        let value = |operand: &Operand| operand.value(item, now);
        match self {
            Self::Compare(left, comparator, right) => match (value(left), value(right)) {
                (Some(left), Some(right)) => compare(&left, *comparator, &right),
                // What is not there differs from everything.
                _ => *comparator == Comparator::NotEqual,
            },
            Self::Between(operand, low, high) => match (value(operand), value(low), value(high)) {
                (Some(operand), Some(low), Some(high)) => {
                    compare(&operand, Comparator::GreaterOrEqual, &low)
                        && compare(&operand, Comparator::LessOrEqual, &high)
                }
                _ => false,
            },
            Self::In(operand, choices) => value(operand).is_some_and(|operand| {
                choices.iter().any(|choice| value(choice).is_some_and(|choice| equal(&operand, &choice)))
            }),
            Self::Exists(path) => path.of(item).is_some(),
            Self::NotExists(path) => path.of(item).is_none(),
            Self::HasType(path, name) => path.of(item).is_some_and(|found| type_of(found) == name),
            Self::BeginsWith(path, operand) => match (path.of(item), value(operand)) {
                (Some(AttributeValue::S(text)), Some(AttributeValue::S(start))) => text.starts_with(&start),
                (Some(AttributeValue::B(bytes)), Some(AttributeValue::B(start))) => {
                    bytes.as_ref().starts_with(start.as_ref())
                }
                _ => false,
            },
            Self::Contains(path, operand) => match (path.of(item), value(operand)) {
                (Some(found), Some(wanted)) => contains(found, &wanted),
                _ => false,
            },
            Self::Not(inner) => !inner.holds(item, now),
            Self::And(nodes) => nodes.iter().all(|node| node.holds(item, now)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(item, now)),
        }
    }
}

impl Operand {
    fn value(&self, item: &Item, now: Timestamp) -> Option<AttributeValue> {
        match self {
            Self::Path(path) => path.of(item).cloned(),
            Self::Size(path) => path.of(item).and_then(size),
            Self::Constant(constant) => Some(constant.value(now)),
        }
    }
}

/// The type's name in DynamoDB.
pub(super) fn type_of(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        _ => "?",
    }
}

/// Whether a set has a member twice.
pub(super) fn has_duplicates(set: &AttributeValue) -> bool {
    fn twice<T: Ord>(members: impl IntoIterator<Item = T>) -> bool {
        let mut seen = BTreeSet::new();
        members.into_iter().any(|member| !seen.insert(member))
    }
    match set {
        AttributeValue::Ss(texts) => twice(texts),
        AttributeValue::Ns(numbers) => twice(decimals(numbers)),
        AttributeValue::Bs(binaries) => twice(binaries.iter().map(AsRef::as_ref)),
        _ => false,
    }
}

fn decimal(number: &str) -> Option<Number> {
    Number::parse(number).ok()
}

fn decimals(numbers: &[String]) -> Vec<Option<Number>> {
    numbers.iter().map(|number| decimal(number)).collect()
}

/// Of strings in UTF-16 units, of binary in bytes, of others in elements.
fn size(value: &AttributeValue) -> Option<AttributeValue> {
    let size = match value {
        AttributeValue::S(text) => text.encode_utf16().count(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(set) => set.len(),
        AttributeValue::Ns(set) => set.len(),
        AttributeValue::Bs(set) => set.len(),
        AttributeValue::L(list) => list.len(),
        AttributeValue::M(map) => map.len(),
        _ => return None,
    };
    Some(number(size))
}

fn contains(found: &AttributeValue, wanted: &AttributeValue) -> bool {
    match (found, wanted) {
        (AttributeValue::S(text), AttributeValue::S(part)) => text.contains(part.as_str()),
        (AttributeValue::B(bytes), AttributeValue::B(part)) => {
            let part = part.as_ref();
            part.is_empty() || bytes.as_ref().windows(part.len()).any(|window| window == part)
        }
        (AttributeValue::Ss(set), AttributeValue::S(member)) => set.contains(member),
        (AttributeValue::Ns(set), AttributeValue::N(member)) => decimals(set).contains(&decimal(member)),
        (AttributeValue::Bs(set), AttributeValue::B(member)) => set.contains(member),
        (AttributeValue::L(list), wanted) => list.iter().any(|element| equal(element, wanted)),
        _ => false,
    }
}

/// Which of two strings, numbers or binaries comes first.
pub(super) fn order(left: &AttributeValue, right: &AttributeValue) -> Option<Ordering> {
    match (left, right) {
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        (AttributeValue::N(left), AttributeValue::N(right)) => {
            decimal(left).zip(decimal(right)).map(|(left, right)| left.cmp(&right))
        }
        (AttributeValue::B(left), AttributeValue::B(right)) => Some(left.as_ref().cmp(right.as_ref())),
        _ => None,
    }
}

fn compare(left: &AttributeValue, comparator: Comparator, right: &AttributeValue) -> bool {
    match (comparator, order(left, right)) {
        (Comparator::Equal, _) => equal(left, right),
        (Comparator::NotEqual, _) => !equal(left, right),
        (_, None) => false,
        (Comparator::Less, Some(order)) => order == Ordering::Less,
        (Comparator::LessOrEqual, Some(order)) => order != Ordering::Greater,
        (Comparator::Greater, Some(order)) => order == Ordering::Greater,
        (Comparator::GreaterOrEqual, Some(order)) => order != Ordering::Less,
    }
}

/// Whether two values are equal: numbers by their value, sets in any order.
pub(crate) fn equal(left: &AttributeValue, right: &AttributeValue) -> bool {
    fn same_members<T: PartialEq>(left: &[T], right: &[T]) -> bool {
        left.len() == right.len() && left.iter().all(|member| right.contains(member))
    }
    match (left, right) {
        (AttributeValue::N(left), AttributeValue::N(right)) => decimal(left) == decimal(right),
        (AttributeValue::Ss(left), AttributeValue::Ss(right)) => same_members(left, right),
        (AttributeValue::Ns(left), AttributeValue::Ns(right)) => {
            same_members(&decimals(left), &decimals(right))
        }
        (AttributeValue::Bs(left), AttributeValue::Bs(right)) => same_members(left, right),
        (AttributeValue::L(left), AttributeValue::L(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (AttributeValue::M(left), AttributeValue::M(right)) => {
            let same = |(name, left): (&String, &AttributeValue)| {
                right.get(name).is_some_and(|right| equal(left, right))
            };
            left.len() == right.len() && left.iter().all(same)
        }
        (left, right) => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::text;

    fn holds(condition: &str) -> bool {
        let item = Item::from([
            ("n".to_owned(), number("5.0")),
            ("s".to_owned(), text("héllo")),
            ("tags".to_owned(), AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()])),
            ("list".to_owned(), AttributeValue::L(vec![number(1), text("x")])),
            ("none".to_owned(), AttributeValue::Null(true)),
        ]);
        Condition::parse(condition).unwrap().holds(&item, Timestamp::EPOCH)
    }

    #[test]
    fn conditions_hold_as_in_dynamodb() {
        for (condition, expected) in [
            ("n = 5", true),
            ("n > 4.99 AND n BETWEEN 5 AND 5", true),
            ("n = '5'", false),
            ("n <> '5'", true),
            ("n < 's'", false),
            ("missing <> 1", true),
            ("missing = missing", false),
            ("NOT missing = 1", true),
            ("size(s) = 5 AND size(tags) = 2 AND size(n) <> 1", true),
            ("contains(tags, 'a') AND contains(list, 1.0) AND contains(s, 'll')", true),
            ("tags = <<'b', 'a'>>", true),
            ("list = [1, 'x'] AND list[1] = 'x' AND attribute_not_exists(list[2])", true),
            ("none = null AND attribute_type(none, 'NULL')", true),
            ("begins_with(s, 'hé') AND NOT begins_with(n, '5')", true),
            ("n IN (1, 2) OR s IN ('x', 'héllo')", true),
            ("n < now()", false),
        ] {
            assert_eq!(holds(condition), expected, "{condition}");
        }
    }
}
