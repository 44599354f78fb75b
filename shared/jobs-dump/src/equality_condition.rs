//! The condition that an item still is what somebody has of it.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::key::KeySchema;

use crate::digest::sorted;

/// DynamoDB takes expressions of 4,096 bytes, with 300 operators and functions.
const LONGEST: usize = 4_000;
const MOST: usize = 140;

/// A condition of a write, with its names and values.
#[derive(Debug, Clone, PartialEq)]
pub struct EqualityCondition {
    pub condition: String,
    pub names: HashMap<String, String>,
    pub values: HashMap<String, AttributeValue>,
}

impl EqualityCondition {
    /// The values for a request; `None` without any, since DynamoDB refuses an empty map.
    #[must_use]
    pub fn request_values(&self) -> Option<HashMap<String, AttributeValue>> {
        Some(self.values.clone()).filter(|values| !values.is_empty())
    }

    /// That each attribute has the copy's value, and that those of the items around are not there if the copy has them
    /// not; as many as DynamoDB takes.
    #[must_use]
    pub fn of(keys: &KeySchema, copy: &Item, around: &BTreeSet<String>) -> Self {
        let mut equal = Self {
            condition: "attribute_exists(#k)".to_owned(),
            names: HashMap::from([("#k".to_owned(), keys.partition.name.clone())]),
            values: HashMap::new(),
        };
        let is_key = |name: &str| keys.names().any(|key| key == name);
        let values = sorted(copy).into_iter().map(|(name, value)| (name, Some(value)));
        let others = around.iter().filter(|name| !copy.contains_key(*name)).map(|name| (name, None));
        for (n, (name, value)) in
            values.chain(others).filter(|(name, _)| !is_key(name)).take(MOST).enumerate()
        {
            let clause = match value {
                Some(_) => format!(" AND #{n} = :{n}"),
                None => format!(" AND attribute_not_exists(#{n})"),
            };
            if equal.condition.len() + clause.len() > LONGEST {
                break;
            }
            equal.condition.push_str(&clause);
            equal.names.insert(format!("#{n}"), name.clone());
            if let Some(value) = value {
                equal.values.insert(format!(":{n}"), value.clone());
            }
        }
        equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};
    use nextbasket_items::key::{KeyAttribute, KeyKind};

    fn keys() -> KeySchema {
        KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::S }, sort: None }
    }

    #[test]
    fn it_asks_for_every_attribute_and_for_none_of_the_others() {
        let copy = Item::from([("id".to_owned(), text("a")), ("n".to_owned(), number(1))]);
        let around = BTreeSet::from(["id".to_owned(), "n".to_owned(), "seen".to_owned()]);
        let equal = EqualityCondition::of(&keys(), &copy, &around);
        assert_eq!(equal.condition, "attribute_exists(#k) AND #0 = :0 AND attribute_not_exists(#1)");
        assert_eq!(equal.names["#1"], "seen");
        assert_eq!(equal.values, HashMap::from([(":0".to_owned(), number(1))]));
    }

    #[test]
    fn it_asks_for_no_more_than_an_expression_holds() {
        let mut copy: Item = (0..400).map(|n| (format!("a{n:03}"), number(n))).collect();
        copy.insert("id".to_owned(), text("a"));
        let many = EqualityCondition::of(&keys(), &copy, &BTreeSet::new());
        assert_eq!(many.values.len(), MOST);
        assert!(many.condition.len() <= LONGEST);
        let around = (0..400).map(|n| format!("b{n:03}")).collect();
        let others = EqualityCondition::of(&keys(), &Item::from([("id".to_owned(), text("a"))]), &around);
        assert!(others.condition.len() <= LONGEST && others.names.len() > 100);
    }
}
