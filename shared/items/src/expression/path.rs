//! Where in an item: an attribute, or an element of a map or a list in one.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An attribute of the item or an entry of a map.
    Name(String),
    /// An element of a list, from 0.
    Index(u32),
}

/// Where in an item. Its first step is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// An attribute of the item itself.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Self(vec![Step::Name(name.to_owned())])
    }

    pub(super) fn new(first: String) -> Self {
        Self(vec![Step::Name(first)])
    }

    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// Its steps; the first is a name.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The attribute of the item that it is in.
    #[must_use]
    pub fn root(&self) -> &str {
        match self.0.first() {
            Some(Step::Name(name)) => name,
            _ => "",
        }
    }

    /// Whether one is the other, or lies in it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, its)| mine == its)
    }

    /// Whether it is an element of a list.
    #[must_use]
    pub fn is_element(&self) -> bool {
        matches!(self.0.last(), Some(Step::Index(_)))
    }

    /// The value at this path of the item.
    #[must_use]
    pub fn of<'a>(&self, item: &'a Item) -> Option<&'a AttributeValue> {
        let (first, rest) = self.0.split_first()?;
        let mut value = match first {
            Step::Name(name) => item.get(name)?,
            Step::Index(_) => return None,
        };
        for step in rest {
            value = match (step, value) {
                (Step::Name(name), AttributeValue::M(map)) => map.get(name)?,
                (Step::Index(index), AttributeValue::L(list)) => list.get(usize::try_from(*index).ok()?)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if at == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
