//! The header of a file, and what fits under it.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use csv::StringRecord;
use nextbasket_dynamodb::item::Item;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::error::FormatError;

pub const MOST_COLUMNS: usize = 1_000;

/// The type of a column, as DynamoDB names it in capitals.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    EnumString,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[strum(serialize_all = "UPPERCASE")]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ColumnType {
    S,
    N,
    B,
    Bool,
    Null,
    Ss,
    Ns,
    Bs,
    L,
    M,
}

impl ColumnType {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Of a value; `None` if it is not known here.
    pub fn of(value: &AttributeValue) -> Option<Self> {
        Some(match value {
            AttributeValue::S(_) => Self::S,
            AttributeValue::N(_) => Self::N,
            AttributeValue::B(_) => Self::B,
            AttributeValue::Bool(_) => Self::Bool,
            AttributeValue::Null(_) => Self::Null,
            AttributeValue::Ss(_) => Self::Ss,
            AttributeValue::Ns(_) => Self::Ns,
            AttributeValue::Bs(_) => Self::Bs,
            AttributeValue::L(_) => Self::L,
            AttributeValue::M(_) => Self::M,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
}

impl Column {
    /// From a header, such as `price:N`; the type stands behind the last colon.
    ///
    /// # Errors
    /// [`FormatError`] if there is none.
    pub fn parse(header: &str) -> Result<Self, FormatError> {
        let typed = header.rsplit_once(':').and_then(|(name, kind)| Some((name, kind.parse().ok()?)));
        match typed {
            Some((name, kind)) if !name.is_empty() => Ok(Self { name: name.to_owned(), kind }),
            _ => Err(FormatError(format!(
                "column {header:?} has no type: write name:S, with one of S, N, B, BOOL, NULL, SS, NS, BS, L and M"
            ))),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.kind.name())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute {attribute:?}: {reason}")]
pub struct Misfit {
    pub attribute: String,
    pub reason: String,
}

/// The columns of a file: the keys' first, then by name and type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Columns {
    keys: Vec<String>,
    columns: Vec<Column>,
    at: HashMap<Column, usize>,
    /// Whether cells have no escape, since the file's header has no types.
    plain: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<String>,
    columns: Vec<String>,
}

impl TryFrom<Stored> for Columns {
    type Error = FormatError;

    fn try_from(stored: Stored) -> Result<Self, FormatError> {
        Ok(Self { keys: stored.keys, ..Self::parse(&stored.columns)? })
    }
}

impl From<Columns> for Stored {
    fn from(columns: Columns) -> Self {
        Self { columns: columns.headers().collect(), keys: columns.keys }
    }
}

impl Columns {
    /// None yet; those of these attributes will come first, in this order.
    pub fn new(keys: &[&str]) -> Self {
        Self { keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Self::default() }
    }

    /// These, in this order.
    ///
    /// # Errors
    /// [`FormatError`] if one has no type, comes twice, or they are too many.
    pub fn parse<T: AsRef<str>>(headers: &[T]) -> Result<Self, FormatError> {
        Self::of_columns(
            headers.iter().map(|header| Column::parse(header.as_ref())).collect::<Result<_, _>>()?,
        )
    }

    /// Those of a file whose header has no types.
    pub(super) fn untyped(columns: Vec<Column>) -> Result<Self, FormatError> {
        Ok(Self { plain: true, ..Self::of_columns(columns)? })
    }

    fn of_columns(columns: Vec<Column>) -> Result<Self, FormatError> {
        if columns.len() > MOST_COLUMNS {
            return Err(FormatError(format!("more than {MOST_COLUMNS} columns")));
        }
        let mut all = Self { columns, ..Self::default() };
        all.index();
        let twice = all.columns.iter().enumerate().find(|(n, column)| all.at.get(column) != Some(n));
        match twice {
            Some((_, column)) => Err(FormatError(format!("column \"{column}\" appears twice"))),
            None => Ok(all),
        }
    }

    /// Those of a file's header.
    pub fn read(header: &StringRecord) -> Result<Self, FormatError> {
        let headers: Vec<&str> = header.iter().collect();
        Self::parse(&headers)
    }

    /// Those that the items have.
    ///
    /// # Errors
    /// [`Misfit`] of the first item with which they are too many.
    pub fn of(keys: &[&str], items: &[Item]) -> Result<Self, Misfit> {
        let mut columns = Self::new(keys);
        for item in items {
            columns.grow(item)?;
        }
        Ok(columns)
    }

    /// Checks that a row has as many cells as there are columns.
    ///
    /// # Errors
    /// [`FormatError`] with both numbers.
    pub fn check_cells(&self, cells: usize) -> Result<(), FormatError> {
        match self.len() {
            columns if columns == cells => Ok(()),
            columns => Err(FormatError(format!("the row has {cells} cells, but the header has {columns}"))),
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    pub fn headers(&self) -> impl Iterator<Item = String> + '_ {
        self.columns.iter().map(ToString::to_string)
    }

    /// Where the item's attributes stand, in the columns' order.
    ///
    /// # Errors
    /// [`Misfit`] that names the first attribute, by name, that has no column.
    pub fn fit<'a>(&self, item: &'a Item) -> Result<Vec<(usize, &'a AttributeValue)>, Misfit> {
        let (mut places, mut misfits) = (Vec::with_capacity(item.len()), Vec::new());
        for (name, value) in item {
            let column = column(name, value)?;
            match self.at.get(&column) {
                Some(&place) => places.push((place, value)),
                None => misfits.push(column),
            }
        }
        match misfits.into_iter().min() {
            None => {
                places.sort_unstable_by_key(|(place, _)| *place);
                Ok(places)
            }
            Some(Column { name, kind }) => {
                let other = self.columns.iter().find(|column| column.name == name);
                let reason = match other {
                    Some(other) => {
                        format!("it has type {}, but the column has {}", kind.name(), other.kind.name())
                    }
                    None => "there is no column for it".to_owned(),
                };
                Err(Misfit { attribute: name, reason })
            }
        }
    }

    /// Adds columns for what the item has; tells whether there were any to add.
    ///
    /// # Errors
    /// [`Misfit`] if they would be too many; then none is added.
    pub fn grow(&mut self, item: &Item) -> Result<bool, Misfit> {
        let mut new = Vec::new();
        for (name, value) in item {
            let column = column(name, value)?;
            if !self.at.contains_key(&column) {
                new.push(column);
            }
        }
        if new.is_empty() {
            return Ok(false);
        }
        if self.columns.len() + new.len() > MOST_COLUMNS {
            let attribute = new.into_iter().min().map(|column| column.name).unwrap_or_default();
            return Err(Misfit { attribute, reason: format!("more than {MOST_COLUMNS} columns") });
        }
        self.columns.append(&mut new);
        let keys = &self.keys;
        let place = |column: &Column| keys.iter().position(|key| *key == column.name).unwrap_or(usize::MAX);
        self.columns.sort_by(|one, other| (place(one), one).cmp(&(place(other), other)));
        self.index();
        Ok(true)
    }

    fn index(&mut self) {
        self.at = self.columns.iter().enumerate().rev().map(|(n, column)| (column.clone(), n)).collect();
    }
}

fn column(name: &str, value: &AttributeValue) -> Result<Column, Misfit> {
    match ColumnType::of(value) {
        Some(kind) => Ok(Column { name: name.to_owned(), kind }),
        None => Err(Misfit { attribute: name.to_owned(), reason: "its type is unknown".to_owned() }),
    }
}
