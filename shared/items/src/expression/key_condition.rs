//! Conditions that pin the partition key: which part of them a query can ask for by key, which as a filter, and which
//! only whoever has the items.

use std::cmp::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;

use super::condition::{Comparator, Condition, Node, Operand};
use super::constant::Constant;
use super::evaluate::order;
use super::path::Path;
use crate::key::{KeyAttribute, KeyKind, KeySchema};

/// A condition that holds only for items of one partition key, in the parts that together say the same.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedCondition {
    /// For `KeyConditionExpression`.
    pub key: Condition,
    /// For `FilterExpression`, which must not name keys.
    pub filter: Option<Condition>,
    /// What is left, to be [evaluated](Condition::holds) on what the query finds.
    pub rest: Option<Condition>,
}

/// What the sort key of a query is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum SortKey {
    /// It is this.
    Equal(AttributeValue),
    /// It is less.
    Less(AttributeValue),
    /// It is this or less.
    LessOrEqual(AttributeValue),
    /// It is greater.
    Greater(AttributeValue),
    /// It is this or greater.
    GreaterOrEqual(AttributeValue),
    /// It is from the one to the other, both included.
    Between(AttributeValue, AttributeValue),
    /// It begins so; not for numbers.
    BeginsWith(AttributeValue),
}

impl Condition {
    /// That an item has this partition key, and a sort key that compares so.
    #[must_use]
    pub fn on_keys(keys: &KeySchema, partition: AttributeValue, sort: Option<SortKey>) -> Self {
        let mut nodes = vec![compared(&keys.partition, Comparator::Equal, &Constant::Value(partition))];
        if let (Some(key), Some(sort)) = (&keys.sort, sort) {
            let compare = |comparator, value| compared(key, comparator, &Constant::Value(value));
            let path = Path::attribute(&key.name);
            let operand = |value| Operand::Constant(Constant::Value(value));
            nodes.push(match sort {
                SortKey::Equal(value) => compare(Comparator::Equal, value),
                SortKey::Less(value) => compare(Comparator::Less, value),
                SortKey::LessOrEqual(value) => compare(Comparator::LessOrEqual, value),
                SortKey::Greater(value) => compare(Comparator::Greater, value),
                SortKey::GreaterOrEqual(value) => compare(Comparator::GreaterOrEqual, value),
                SortKey::Between(from, to) => Node::Between(Operand::Path(path), operand(from), operand(to)),
                SortKey::BeginsWith(start) => Node::BeginsWith(path, operand(start)),
            });
        }
        Self(Node::And(nodes))
    }

    /// Its parts, if it requires the partition key to be equal to one value. A range of the sort key goes into the key's
    /// condition as far as that takes it.
    #[must_use]
    pub fn keyed(&self, keys: &KeySchema, now: Timestamp) -> Option<KeyedCondition> {
        let nodes = match &self.0 {
            Node::And(nodes) => nodes.as_slice(),
            node => std::slice::from_ref(node),
        };
        let (pinned, value) = nodes.iter().enumerate().find_map(|(at, node)| {
            let (comparator, constant) = bound(node, &keys.partition)?;
            let pins = comparator == Comparator::Equal && fits(constant, &keys.partition, now);
            pins.then_some((at, constant))
        })?;
        let mut key = vec![compared(&keys.partition, Comparator::Equal, value)];
        let others = nodes.iter().enumerate().filter(|(at, _)| *at != pinned).map(|(_, node)| node);
        let mut others: Vec<Node> = others.cloned().collect();
        if let Some(sort) = &keys.sort
            && let Some((range, said)) = range(&others, sort, now)
        {
            key.push(range);
            if let Some(said) = said {
                others.remove(said);
            }
        }
        let names_key = |node: &Node| {
            let mut paths = Vec::new();
            node.collect(&mut paths);
            paths.iter().any(|path| keys.names().any(|name| name == path.root()))
        };
        let (rest, filter): (Vec<Node>, Vec<Node>) = others.into_iter().partition(names_key);
        Some(KeyedCondition { key: Condition(Node::And(key)), filter: all(filter), rest: all(rest) })
    }
}

fn all(nodes: Vec<Node>) -> Option<Condition> {
    match nodes.as_slice() {
        [] => None,
        [node] => Some(Condition(node.clone())),
        _ => Some(Condition(Node::And(nodes))),
    }
}

/// The comparison of this key with a constant, the key on the left.
fn bound<'a>(node: &'a Node, key: &KeyAttribute) -> Option<(Comparator, &'a Constant)> {
    let is_key = |path: &Path| *path == Path::attribute(&key.name);
    match node {
        Node::Compare(Operand::Path(path), comparator, Operand::Constant(constant)) if is_key(path) => {
            Some((*comparator, constant))
        }
        Node::Compare(Operand::Constant(constant), comparator, Operand::Path(path)) if is_key(path) => {
            Some((comparator.turned(), constant))
        }
        _ => None,
    }
}

/// A query wants the key on the left.
fn compared(key: &KeyAttribute, comparator: Comparator, constant: &Constant) -> Node {
    let path = Operand::Path(Path::attribute(&key.name));
    Node::Compare(path, comparator, Operand::Constant(constant.clone()))
}

/// Whether a key can have this value: of another type, or empty, none has, and DynamoDB refuses to look for it.
fn fits(constant: &Constant, key: &KeyAttribute, now: Timestamp) -> bool {
    match (constant.value(now), key.kind) {
        (AttributeValue::S(text), KeyKind::S) => !text.is_empty(),
        (AttributeValue::N(_), KeyKind::N) => true,
        (AttributeValue::B(bytes), KeyKind::B) => !bytes.as_ref().is_empty(),
        _ => false,
    }
}

/// What a query may ask of the sort key: the only condition that it takes, and the place of the node that is said by it
/// alone. A range whose ends are not both included is asked for with its ends, which whoever has the items leaves out.
fn range(nodes: &[Node], sort: &KeyAttribute, now: Timestamp) -> Option<(Node, Option<usize>)> {
    let key = Path::attribute(&sort.name);
    let (mut low, mut high) = (None, None);
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::BeginsWith(path, Operand::Constant(start)) if *path == key && fits(start, sort, now) => {
                return Some((node.clone(), Some(at)));
            }
            Node::Between(Operand::Path(path), Operand::Constant(from), Operand::Constant(to))
                if *path == key
                    && [from, to].into_iter().all(|end| fits(end, sort, now))
                    && in_order(from, to, now) =>
            {
                return Some((node.clone(), Some(at)));
            }
            node => {
                let Some((comparator, constant)) = bound(node, sort) else { continue };
                if !fits(constant, sort, now) {
                    continue;
                }
                let found = (at, comparator, constant);
                match comparator {
                    Comparator::Equal => return Some((compared(sort, comparator, constant), Some(at))),
                    Comparator::Greater | Comparator::GreaterOrEqual => low = low.or(Some(found)),
                    Comparator::Less | Comparator::LessOrEqual => high = high.or(Some(found)),
                    Comparator::NotEqual => {}
                }
            }
        }
    }
    match (low, high) {
        (Some((_, _, from)), Some((_, _, to))) if in_order(from, to, now) => {
            let (from, to) = (Operand::Constant(from.clone()), Operand::Constant(to.clone()));
            Some((Node::Between(Operand::Path(key), from, to), None))
        }
        (Some((at, comparator, constant)), _) | (None, Some((at, comparator, constant))) => {
            Some((compared(sort, comparator, constant), Some(at)))
        }
        (None, None) => None,
    }
}

/// DynamoDB refuses a range that ends before it begins.
fn in_order(from: &Constant, to: &Constant, now: Timestamp) -> bool {
    order(&from.value(now), &to.value(now)).is_some_and(|order| order != Ordering::Greater)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Placeholders;

    fn keys() -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
        KeySchema { partition: attribute("pk", KeyKind::S), sort: Some(attribute("sk", KeyKind::N)) }
    }

    fn parts(text: &str) -> Option<[String; 3]> {
        let written = |condition: Option<Condition>| {
            let mut placeholders = Placeholders::at(Timestamp::EPOCH);
            let mut text = condition.map(|condition| condition.write(&mut placeholders)).unwrap_or_default();
            for (placeholder, name) in placeholders.names().unwrap_or_default() {
                text = text.replace(&placeholder, &name);
            }
            for (placeholder, value) in placeholders.values().unwrap_or_default() {
                let value = value.as_s().or_else(|value| value.as_n()).cloned().unwrap_or_default();
                text = text.replace(&placeholder, &value);
            }
            text
        };
        let keyed = Condition::parse(text).unwrap().keyed(&keys(), Timestamp::EPOCH)?;
        Some([written(Some(keyed.key)), written(keyed.filter), written(keyed.rest)])
    }

    #[test]
    fn a_pinned_partition_key_is_asked_for_by_key_and_the_rest_as_a_filter() {
        for (condition, key, filter, rest) in [
            ("pk = 'a'", "pk = a", "", ""),
            ("'a' = pk AND n > 1", "pk = a", "n > 1", ""),
            ("n > 1 AND pk = 'a' AND sk = 5", "pk = a AND sk = 5", "n > 1", ""),
            ("pk = 'a' AND 5 < sk", "pk = a AND sk > 5", "", ""),
            ("pk = 'a' AND sk BETWEEN 1 AND 5", "pk = a AND sk BETWEEN 1 AND 5", "", ""),
            ("pk = 'a' AND sk >= 1 AND sk < 5", "pk = a AND sk BETWEEN 1 AND 5", "", "sk >= 1 AND sk < 5"),
            ("pk = 'a' AND sk > 5 AND sk < 1", "pk = a AND sk > 5", "", "sk < 1"),
            ("pk = 'a' AND (sk = 1 OR n = 2) AND m = 3", "pk = a", "m = 3", "sk = 1 OR n = 2"),
            ("pk = 'a' AND pk <> 'b'", "pk = a", "", "pk <> b"),
            ("pk = 'a' AND sk <> 1", "pk = a", "", "sk <> 1"),
        ] {
            let expected = [key, filter, rest].map(str::to_owned);
            assert_eq!(parts(condition), Some(expected), "{condition}");
        }
    }

    #[test]
    fn what_does_not_pin_the_partition_key_is_not_asked_for_by_key() {
        for condition in [
            "n = 1",
            "pk > 'a'",
            "pk = 'a' OR n = 1",
            "NOT pk = 'a'",
            "pk = 5",
            "pk = ''",
            "pk = n",
            "pk.x = 'a'",
            "pk IN ('a', 'b')",
        ] {
            assert_eq!(parts(condition), None, "{condition}");
        }
    }
}
