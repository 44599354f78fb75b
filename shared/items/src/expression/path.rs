//! Where in an item: an attribute, or an element of a map or a list in one.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// An attribute of the item or an entry of a map.
    Name(String),
    /// An element of a list, from 0.
    Index(u32),
}

/// Where in an item. Its first step is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<PathStep>);

impl Path {
    /// An attribute of the item itself.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Self(vec![PathStep::Name(name.to_owned())])
    }

    pub(super) fn new(first: String) -> Self {
        Self(vec![PathStep::Name(first)])
    }

    pub(super) fn push(&mut self, step: PathStep) {
        self.0.push(step);
    }

    /// Its steps; the first is a name.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// The attribute of the item that it is in.
    #[must_use]
    pub fn root(&self) -> &str {
        match self.0.first() {
            Some(PathStep::Name(name)) => name,
            _ => "",
        }
    }

    /// Whether one is the other, or lies in it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, its)| mine == its)
    }

    /// Whether it is an element of a list.
    pub(super) fn is_element(&self) -> bool {
        matches!(self.0.last(), Some(PathStep::Index(_)))
    }

    /// The value at this path of the item.
    #[must_use]
    pub fn of<'a>(&self, item: &'a Item) -> Option<&'a AttributeValue> {
        let (first, rest) = self.0.split_first()?;
        let mut value = match first {
            PathStep::Name(name) => item.get(name)?,
            PathStep::Index(_) => return None,
        };
        for step in rest {
            value = match (step, value) {
                (PathStep::Name(name), AttributeValue::M(map)) => map.get(name)?,
                (PathStep::Index(index), AttributeValue::L(list)) => {
                    list.get(usize::try_from(*index).ok()?)?
                }
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
                PathStep::Name(name) if at == 0 => f.write_str(name)?,
                PathStep::Name(name) => write!(f, ".{name}")?,
                PathStep::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
