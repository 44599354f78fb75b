//! A change made to an item at hand, as `UpdateItem` makes it.
//!
//! Every value is read from the item as it was. Then `SET`, `ADD` and `DELETE` write in the order of their paths, so that
//! what is set behind the end of a list is appended in the order of its indexes, and `REMOVE` goes last, from the highest
//! path down, so that every index means what it meant in the item as it was.

use std::cmp::Ordering;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::Number;
use nextbasket_dynamodb::item::Item;
use nextbasket_dynamodb::number::NumberError;

use super::change::{Change, NewValue};
use super::evaluate::type_of;
use super::path::{Path, PathStep};
use super::sum::Sum;

/// Why an item cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A value that is read is not there.
    #[error("the item has no {0}; if_not_exists({0}, VALUE) would give a value")]
    Missing(String),
    /// What is written lies in no map or list of the item.
    #[error("{0} cannot be changed: what it lies in is not a map or a list of the item")]
    NoParent(String),
    /// An operand has a type that its operation does not take.
    #[error("{what} takes {takes}, found type {found}")]
    Type {
        /// The operation, with its path.
        what: String,
        /// What it takes.
        takes: &'static str,
        /// The type that was found.
        found: &'static str,
    },
    /// A sum is not a number that DynamoDB takes.
    #[error(transparent)]
    Number(#[from] NumberError),
}

impl Change {
    /// The item as the change leaves it. Unlike `UpdateItem`, it may change the item's key.
    ///
    /// # Errors
    /// [`ApplyError`] where `UpdateItem` would reject the change of this item.
    pub fn apply(&self, item: &Item, now: Timestamp) -> Result<Item, ApplyError> {
        let (mut writes, mut removals) = (Vec::new(), Vec::new());
        for (path, value) in &self.set {
            writes.push((path, value.of(item, now)?));
        }
        for (path, constant) in &self.add {
            let added = constant.value(now);
            let value = match path.of(item) {
                Some(there) => add(path, there, added)?,
                None => added,
            };
            writes.push((path, value));
        }
        for (path, constant) in &self.delete {
            match path.of(item) {
                Some(there) => match delete(path, there, &constant.value(now))? {
                    Some(rest) => writes.push((path, rest)),
                    None => removals.push(path),
                },
                None => check_parent(item, path)?,
            }
        }
        for path in &self.remove {
            match path.of(item) {
                Some(_) => removals.push(path),
                None => check_parent(item, path)?,
            }
        }
        writes.sort_by(|(one, _), (other, _)| order(one, other));
        removals.sort_by(|one, other| order(other, one));
        let mut changed = item.clone();
        for (path, value) in writes {
            write(&mut changed, path, value)?;
        }
        for path in removals {
            remove(&mut changed, path);
        }
        Ok(changed)
    }
}

impl NewValue {
    fn of(&self, item: &Item, now: Timestamp) -> Result<AttributeValue, ApplyError> {
        match self {
            Self::Path(path) => path.of(item).cloned().ok_or_else(|| ApplyError::Missing(path.to_string())),
            Self::Constant(constant) => Ok(constant.value(now)),
            Self::IfNotExists(path, other) => match path.of(item) {
                Some(there) => Ok(there.clone()),
                None => other.of(item, now),
            },
            Self::ListAppend(first, second) => match (first.of(item, now)?, second.of(item, now)?) {
                (AttributeValue::L(mut list), AttributeValue::L(more)) => {
                    list.extend(more);
                    Ok(AttributeValue::L(list))
                }
                (AttributeValue::L(_), other) | (other, _) => Err(mismatch("list_append", "lists", &other)),
            },
            Self::Plus(..) | Self::Minus(..) => Ok(AttributeValue::N(self.sum(item, now)?.finish()?)),
        }
    }

    /// As a number that may be larger than DynamoDB's: only what is stored is held to their limits.
    fn sum(&self, item: &Item, now: Timestamp) -> Result<Sum, ApplyError> {
        let (left, right, sign) = match self {
            Self::Plus(left, right) => (left, right, 1),
            Self::Minus(left, right) => (left, right, -1),
            Self::IfNotExists(path, other) if path.of(item).is_none() => return other.sum(item, now),
            other => {
                return match other.of(item, now)? {
                    AttributeValue::N(digits) => Ok(Sum::of(&digits)?),
                    other => Err(mismatch("+ or -", "numbers", &other)),
                };
            }
        };
        let mut sum = left.sum(item, now)?;
        sum.add(&right.sum(item, now)?, sign);
        Ok(sum)
    }
}

fn mismatch(what: &str, takes: &'static str, found: &AttributeValue) -> ApplyError {
    ApplyError::Type { what: what.to_owned(), takes, found: type_of(found) }
}

/// A number and another, or the members of both sets.
fn add(path: &Path, there: &AttributeValue, added: AttributeValue) -> Result<AttributeValue, ApplyError> {
    use AttributeValue::{Bs, N, Ns, Ss};
    Ok(match (there, added) {
        (N(there), N(added)) => {
            let mut sum = Sum::of(there)?;
            sum.add(&Sum::of(&added)?, 1);
            N(sum.finish()?)
        }
        (Ss(there), Ss(added)) => Ss(union(there, added, |one, other| one == other)),
        (Ns(there), Ns(added)) => Ns(union(there, added, same_number)),
        (Bs(there), Bs(added)) => Bs(union(there, added, |one, other| one == other)),
        (there, N(_)) => return Err(mismatch(&format!("ADD {path}"), "a number", there)),
        (there, _) => return Err(mismatch(&format!("ADD {path}"), "a set of the same type", there)),
    })
}

fn same_number(one: &String, other: &String) -> bool {
    one == other || Number::parse(one).is_ok_and(|one| Number::parse(other).is_ok_and(|other| one == other))
}

fn union<T: Clone>(there: &[T], added: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut all = there.to_vec();
    for member in added {
        if !all.iter().any(|known| same(known, &member)) {
            all.push(member);
        }
    }
    all
}

/// A set without the members of another; `None` if none are left.
fn delete(
    path: &Path,
    there: &AttributeValue,
    deleted: &AttributeValue,
) -> Result<Option<AttributeValue>, ApplyError> {
    use AttributeValue::{Bs, Ns, Ss};
    fn rest<T: Clone>(there: &[T], deleted: &[T], same: impl Fn(&T, &T) -> bool) -> Option<Vec<T>> {
        let is_left = |member: &&T| !deleted.iter().any(|other| same(member, other));
        Some(there.iter().filter(is_left).cloned().collect()).filter(|rest: &Vec<T>| !rest.is_empty())
    }
    Ok(match (there, deleted) {
        (Ss(there), Ss(deleted)) => rest(there, deleted, |one, other| one == other).map(Ss),
        (Ns(there), Ns(deleted)) => rest(there, deleted, same_number).map(Ns),
        (Bs(there), Bs(deleted)) => rest(there, deleted, |one, other| one == other).map(Bs),
        (there, _) => return Err(mismatch(&format!("DELETE {path}"), "a set of the same type", there)),
    })
}

/// Step by step, list indexes as numbers.
fn order(one: &Path, other: &Path) -> Ordering {
    let mut steps = one.steps().iter().zip(other.steps()).map(|steps| match steps {
        (PathStep::Name(one), PathStep::Name(other)) => one.cmp(other),
        (PathStep::Index(one), PathStep::Index(other)) => one.cmp(other),
        (PathStep::Name(_), PathStep::Index(_)) => Ordering::Less,
        (PathStep::Index(_), PathStep::Name(_)) => Ordering::Greater,
    });
    let differs = steps.find(|order| *order != Ordering::Equal);
    differs.unwrap_or_else(|| one.steps().len().cmp(&other.steps().len()))
}

fn no_parent(path: &Path) -> ApplyError {
    ApplyError::NoParent(path.to_string())
}

/// Checks that what the path lies in is there, a map for a name and a list for an index.
fn check_parent(item: &Item, path: &Path) -> Result<(), ApplyError> {
    let Some((last, parents)) = path.steps().split_last().filter(|(_, parents)| !parents.is_empty()) else {
        return Ok(());
    };
    match (at(item, parents), last) {
        (Some(AttributeValue::M(_)), PathStep::Name(_))
        | (Some(AttributeValue::L(_)), PathStep::Index(_)) => Ok(()),
        _ => Err(no_parent(path)),
    }
}

fn at<'a>(item: &'a Item, steps: &[PathStep]) -> Option<&'a AttributeValue> {
    let (first, rest) = steps.split_first()?;
    let PathStep::Name(first) = first else { return None };
    rest.iter().try_fold(item.get(first)?, |value, step| match (value, step) {
        (AttributeValue::M(map), PathStep::Name(name)) => map.get(name),
        (AttributeValue::L(list), PathStep::Index(index)) => list.get(usize::try_from(*index).ok()?),
        _ => None,
    })
}

fn at_mut<'a>(item: &'a mut Item, steps: &[PathStep]) -> Option<&'a mut AttributeValue> {
    let (first, rest) = steps.split_first()?;
    let PathStep::Name(first) = first else { return None };
    rest.iter().try_fold(item.get_mut(first)?, |value, step| match (value, step) {
        (AttributeValue::M(map), PathStep::Name(name)) => map.get_mut(name),
        (AttributeValue::L(list), PathStep::Index(index)) => list.get_mut(usize::try_from(*index).ok()?),
        _ => None,
    })
}

fn write(item: &mut Item, path: &Path, value: AttributeValue) -> Result<(), ApplyError> {
    let Some((last, parents)) = path.steps().split_last() else { return Ok(()) };
    if let (PathStep::Name(name), []) = (last, parents) {
        item.insert(name.clone(), value);
        return Ok(());
    }
    match (at_mut(item, parents), last) {
        (Some(AttributeValue::M(map)), PathStep::Name(name)) => {
            map.insert(name.clone(), value);
        }
        (Some(AttributeValue::L(list)), PathStep::Index(index)) => {
            match usize::try_from(*index).ok().and_then(|index| list.get_mut(index)) {
                Some(there) => *there = value,
                None => list.push(value),
            }
        }
        _ => return Err(no_parent(path)),
    }
    Ok(())
}

fn remove(item: &mut Item, path: &Path) {
    let Some((last, parents)) = path.steps().split_last() else { return };
    if let (PathStep::Name(name), []) = (last, parents) {
        item.remove(name);
        return;
    }
    match (at_mut(item, parents), last) {
        (Some(AttributeValue::M(map)), PathStep::Name(name)) => {
            map.remove(name);
        }
        (Some(AttributeValue::L(list)), PathStep::Index(index)) => {
            if let Some(index) = usize::try_from(*index).ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};

    fn item() -> Item {
        let list = AttributeValue::L(vec![number(1), text("x"), AttributeValue::M(Item::new())]);
        let tags = AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]);
        Item::from([
            ("n".to_owned(), number("5.0")),
            ("s".to_owned(), text("old")),
            ("list".to_owned(), list),
            ("tags".to_owned(), tags),
            ("map".to_owned(), AttributeValue::M(Item::from([("k".to_owned(), text("v"))]))),
            ("numbers".to_owned(), AttributeValue::Ns(vec!["1".to_owned(), "2".to_owned()])),
        ])
    }

    fn changed(change: &str) -> Result<Item, String> {
        Change::parse(change).unwrap().apply(&item(), Timestamp::EPOCH).map_err(|error| error.to_string())
    }

    #[test]
    fn all_values_are_read_before_any_is_written() {
        let changed =
            changed("s = n, n = s, map.k = list[0], new = map.k REMOVE list[0], tags, numbers").unwrap();
        let wanted = Item::from([
            ("n".to_owned(), text("old")),
            ("s".to_owned(), number("5.0")),
            ("list".to_owned(), AttributeValue::L(vec![text("x"), AttributeValue::M(Item::new())])),
            ("map".to_owned(), AttributeValue::M(Item::from([("k".to_owned(), number(1))]))),
            ("new".to_owned(), text("v")),
        ]);
        assert_eq!(changed, wanted);
    }

    #[test]
    fn indexes_mean_the_list_as_it_was() {
        let list = |change: &str| match changed(change).unwrap().remove("list") {
            Some(AttributeValue::L(list)) => list,
            other => panic!("{other:?}"),
        };
        let map = AttributeValue::M(Item::new());
        assert_eq!(
            list("list[9] = 'c', list[7] = 'b', list[0] = 'a' REMOVE list[1]"),
            [text("a"), map.clone(), text("b"), text("c")]
        );
        assert_eq!(list("REMOVE list[0], list[1], list[8]"), [map]);
    }

    #[test]
    fn a_set_that_is_emptied_goes() {
        assert!(!changed("DELETE tags <<'a', 'b'>>").unwrap().contains_key("tags"));
        assert!(
            !changed("DELETE numbers <<1.0, 2e0>>").unwrap().contains_key("numbers"),
            "compared by value"
        );
        assert_eq!(
            changed("ADD tags <<'b', 'c'>>, n -7, seen 1").map(|item| item["n"].clone()),
            Ok(number(-2))
        );
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        for (change, problem) in [
            ("a = b", "the item has no b; if_not_exists(b, VALUE) would give a value"),
            ("a = n + s", "+ or - takes numbers, found type S"),
            ("a = list_append(list, n)", "list_append takes lists, found type N"),
            ("a.b = 1", "a.b cannot be changed: what it lies in is not a map or a list of the item"),
            ("map[0] = 1", "map[0] cannot be changed"),
            ("REMOVE s.b", "s.b cannot be changed"),
            ("DELETE a.b <<1>>", "a.b cannot be changed"),
            ("ADD s 1", "ADD s takes a number, found type S"),
            ("ADD tags <<1>>", "ADD tags takes a set of the same type, found type SS"),
            ("DELETE n <<1>>", "DELETE n takes a set of the same type, found type N"),
            ("n = n + 1e38", "has more than 38 digits"),
        ] {
            let found = changed(change).unwrap_err();
            assert!(found.contains(problem), "{change}: {found}");
        }
    }
}
