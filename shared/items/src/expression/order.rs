//! By which attributes items are sorted, and lists of paths.

use std::cmp::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::item::Item;

use super::SyntaxError;
use super::parser::Parser;
use super::path::Path;

/// By which attributes items are sorted: `price desc, name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order(Vec<(Path, Direction)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// Where an item stands in an order. Numbers come before strings, then binary, booleans, null, and all other values,
/// which are equal to each other; descending the other way round. An item without the attribute comes last in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rank(Vec<Ranked>);

/// A value, if there is one, and how it is sorted.
type Ranked = (Option<RankedValue>, Direction);

/// The order of the variants is that of types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum RankedValue {
    Number(Number),
    Text(String),
    Binary(Vec<u8>),
    Bool(bool),
    Null,
    Other,
}

impl RankedValue {
    fn of(value: &AttributeValue) -> Self {
        match value {
            AttributeValue::N(digits) => Number::parse(digits).map_or(Self::Other, Self::Number),
            AttributeValue::S(text) => Self::Text(text.clone()),
            AttributeValue::B(bytes) => Self::Binary(bytes.as_ref().to_vec()),
            AttributeValue::Bool(truth) => Self::Bool(*truth),
            AttributeValue::Null(_) => Self::Null,
            _ => Self::Other,
        }
    }
}

impl Order {
    /// Reads paths with `asc`, `desc` or neither behind each.
    ///
    /// # Errors
    /// [`SyntaxError`] if the text is not such a list.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        listed(text, |parser| {
            let path = parser.path()?;
            let descending = parser.eat_word("desc");
            if !descending {
                parser.eat_word("asc");
            }
            Ok((path, if descending { Direction::Descending } else { Direction::Ascending }))
        })
        .map(Self)
    }

    /// The paths that it reads.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path)
    }

    /// Whether it is by this attribute alone: then, whether ascending.
    #[must_use]
    pub fn by_attribute_alone(&self, name: &str) -> Option<bool> {
        match self.0.as_slice() {
            [(path, direction)] if *path == Path::attribute(name) => Some(*direction == Direction::Ascending),
            _ => None,
        }
    }

    /// Where the item stands; the attributes of its key decide between those that are equal.
    #[must_use]
    pub fn rank<'a>(&self, item: &Item, key: impl Iterator<Item = &'a str>) -> Rank {
        let ranks = self.0.iter().map(|(path, direction)| (path.of(item).map(RankedValue::of), *direction));
        let key = key.map(|name| (item.get(name).map(RankedValue::of), Direction::Ascending));
        Rank(ranks.chain(key).collect())
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let one = |(left, right): (&Ranked, &Ranked)| match (&left.0, &right.0) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) if left.1 == Direction::Ascending => one.cmp(other),
            (Some(one), Some(other)) => other.cmp(one),
        };
        self.0.iter().zip(&other.0).map(one).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Path {
    /// Reads paths that are separated by commas.
    ///
    /// # Errors
    /// [`SyntaxError`] if the text is not such a list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, SyntaxError> {
        listed(text, Parser::path)
    }
}

fn listed<T>(
    text: &str,
    mut one: impl FnMut(&mut Parser) -> Result<T, SyntaxError>,
) -> Result<Vec<T>, SyntaxError> {
    let mut parser = Parser::new(text)?;
    let mut all = vec![one(&mut parser)?];
    while parser.eat(",") {
        all.push(one(&mut parser)?);
    }
    parser.expect_end()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};

    fn sorted(order: &str, items: &[(&str, Option<AttributeValue>)]) -> Vec<String> {
        let order = Order::parse(order).unwrap();
        let item = |(id, value): &(&str, Option<AttributeValue>)| {
            let mut item = Item::from([("id".to_owned(), text(*id))]);
            item.extend(value.clone().map(|value| ("a".to_owned(), value)));
            item
        };
        let mut items: Vec<Item> = items.iter().map(item).collect();
        items.sort_by_cached_key(|item| order.rank(item, ["id"].into_iter()));
        items.iter().map(|item| item["id"].as_s().unwrap().clone()).collect()
    }

    #[test]
    fn items_are_sorted_by_value_and_those_without_it_come_last() {
        let items = [
            ("z", None),
            ("ten", Some(number("10"))),
            ("two", Some(number("2.0"))),
            ("b", Some(number("2"))),
            ("text", Some(text("1"))),
            ("yes", Some(AttributeValue::Bool(true))),
        ];
        assert_eq!(sorted("a", &items), ["b", "two", "ten", "text", "yes", "z"]);
        assert_eq!(sorted("a asc", &items), sorted("a", &items));
        assert_eq!(sorted("a DESC", &items), ["yes", "text", "ten", "b", "two", "z"]);
        assert_eq!(sorted("a desc, id desc", &items), ["yes", "text", "ten", "two", "b", "z"]);
    }

    #[test]
    fn what_is_no_order_says_where() {
        for (written, problem) in [
            ("", "at character 1: expected an attribute's name, found the end"),
            ("a,", "at character 3: expected an attribute's name, found the end"),
            ("a down", "at character 3: expected the end, found down"),
        ] {
            assert_eq!(Order::parse(written).unwrap_err().to_string(), problem, "{written}");
        }
        let paths = Path::parse_list("a, m.x, l[0].y, `odd name`").unwrap();
        let shown: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a", "m.x", "l[0].y", "odd name"]);
    }
}
