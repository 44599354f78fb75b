//! Which of a file's columns are which of ours.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::column_names::{akin, folded, nearest, shell_word, shown};
use crate::columns::{FileColumn, RecordKind};
use crate::error::ImportError;

/// Why a text is not a valid mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A part without `=`, or with nothing on one side of it.
    #[error("invalid mapping \"{0}\": expected OURS=THEIRS, such as user_id=CustomerID")]
    Form(String),
    /// The left side is none of ours.
    #[error("unknown column \"{name}\" in the mapping{}: expected one of {}", hint(.nearest.as_deref()), listed(FileColumn::ALL.map(FileColumn::name)))]
    Unknown {
        name: String,
        /// The one of ours that it is closest to.
        nearest: Option<String>,
    },
    /// One of ours is given twice.
    #[error("column {0} is mapped twice")]
    Twice(&'static str),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
}

fn listed(names: impl IntoIterator<Item = &'static str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Which of a file's columns are which of ours: `user_id=CustomerID,product_id=StockCode`.
///
/// A column that is mapped is found under that name alone, written exactly so. The others are found under
/// their own names, whatever the case and the punctuation (`User ID`, `userId`), and under the API's. A profile may give
/// several names: the first one with a value counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping(Vec<(FileColumn, Vec<String>)>);

impl FromStr for Mapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut pairs: Vec<(FileColumn, Vec<String>)> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (ours, theirs) =
                part.split_once('=').ok_or_else(|| MappingError::Form(part.trim().to_owned()))?;
            let (ours, theirs) = (ours.trim(), theirs.trim());
            if ours.is_empty() || theirs.is_empty() {
                return Err(MappingError::Form(part.trim().to_owned()));
            }
            let column = FileColumn::ALL.into_iter().find(|column| folded(column.name()) == folded(ours));
            let Some(column) = column else {
                let names = FileColumn::ALL.map(|column| column.name().to_owned());
                let nearest = nearest(ours, &names).map(str::to_owned);
                return Err(MappingError::Unknown { name: ours.to_owned(), nearest });
            };
            if pairs.iter().any(|(other, _)| *other == column) {
                return Err(MappingError::Twice(column.name()));
            }
            pairs.push((column, vec![theirs.to_owned()]));
        }
        Ok(Self(pairs))
    }
}

impl Mapping {
    /// Refuses columns that a file of this kind does not have.
    pub(crate) fn check(&self, kind: RecordKind) -> Result<(), ImportError> {
        match self.0.iter().find(|(column, _)| !FileColumn::of(kind).any(|own| own == *column)) {
            None => Ok(()),
            Some((column, _)) => Err(ImportError::NotOfKind {
                column: *column,
                takes: listed(FileColumn::of(kind).map(FileColumn::name)),
            }),
        }
    }

    /// Our columns for a file's column called `name`, each with its rank: of several that stand for one of ours, the one
    /// with the lowest rank and a value counts.
    pub(crate) fn columns_of(&self, name: &str, kind: RecordKind) -> Vec<(FileColumn, u8)> {
        let folded = folded(name);
        let rank = |column: FileColumn| match self.theirs(column) {
            Some(theirs) => theirs.iter().position(|own| own == name),
            None => column.understood(kind).contains(&folded.as_str()).then_some(0),
        };
        let ranked = |column| Some((column, u8::try_from(rank(column)?).unwrap_or(u8::MAX)));
        FileColumn::of(kind).filter_map(ranked).collect()
    }

    /// The file's names for a column of ours, if it is mapped.
    pub(crate) fn theirs(&self, column: FileColumn) -> Option<&[String]> {
        self.0.iter().find(|(ours, _)| *ours == column).map(|(_, theirs)| theirs.as_slice())
    }

    /// Adds names for a column that is not mapped; with none it is not found under any name.
    pub(crate) fn add(&mut self, column: FileColumn, theirs: Vec<String>) {
        if self.theirs(column).is_none() {
            self.0.push((column, theirs));
        }
    }

    /// Refuses a file that lacks a mapped column or a required one.
    pub(crate) fn check_presence(
        &self,
        kind: RecordKind,
        present: impl Fn(FileColumn) -> bool,
        names: &[String],
    ) -> Result<(), ImportError> {
        let has = || names.iter().map(|name| shown(name)).collect::<Vec<_>>();
        for (column, theirs) in &self.0 {
            if let Some(theirs) = theirs.first()
                && !present(*column)
            {
                let nearest = nearest(theirs, names).map(shown);
                return Err(ImportError::NoSuchColumn {
                    column: *column,
                    name: theirs.clone(),
                    has: has(),
                    nearest,
                });
            }
        }
        if FileColumn::required(kind).iter().all(|column| present(*column)) {
            return Ok(());
        }
        let missing = FileColumn::required(kind).iter().copied().filter(|column| !present(*column)).collect();
        Err(ImportError::MissingColumns { missing, has: has(), mapping: self.guess(kind, &present, names) })
    }

    /// A mapping that may be what the user wants.
    fn guess(&self, kind: RecordKind, present: &impl Fn(FileColumn) -> bool, names: &[String]) -> String {
        let used = |name: &str| !self.columns_of(name, kind).is_empty();
        let mut left: Vec<String> = names.iter().filter(|name| !used(name)).cloned().collect();
        let pair =
            |(column, theirs): &(FileColumn, Vec<String>)| Some(format!("{column}={}", theirs.first()?));
        let mut pairs: Vec<String> = self.0.iter().filter_map(pair).collect();
        for column in FileColumn::of(kind).filter(|column| !present(*column)) {
            match akin(column, &left).map(str::to_owned) {
                Some(name) => {
                    pairs.push(format!("{column}={}", shown(&name)));
                    left.retain(|other| *other != name);
                }
                None if FileColumn::required(kind).contains(&column) => pairs.push(format!("{column}=NAME")),
                None => {}
            }
        }
        shell_word(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_ours_and_theirs() {
        let mapping: Mapping = "user_id=CustomerID, product_id = Stock Code".parse().unwrap();
        assert_eq!(mapping.columns_of("CustomerID", RecordKind::Purchases), [(FileColumn::UserId, 0)]);
        assert_eq!(mapping.columns_of("Stock Code", RecordKind::Purchases), [(FileColumn::ProductId, 0)]);
        assert_eq!(mapping.columns_of("user_id", RecordKind::Purchases), []);
        assert_eq!(mapping.columns_of("User ID", RecordKind::Purchases), []);
        assert_eq!(mapping.columns_of("Unit Price", RecordKind::Purchases), [(FileColumn::Price, 0)]);
    }

    #[test]
    fn one_column_may_stand_for_two() {
        let mapping: Mapping = "timestamp=day,basket_id=day".parse().unwrap();
        assert_eq!(
            mapping.columns_of("day", RecordKind::Purchases),
            [(FileColumn::Timestamp, 0), (FileColumn::BasketId, 0)]
        );
    }

    #[test]
    fn a_wrong_mapping_says_what_is_wrong() {
        let wrong = |text: &str| text.parse::<Mapping>().unwrap_err().to_string();
        insta::assert_snapshot!(wrong("user_id"), @r#"invalid mapping "user_id": expected OURS=THEIRS, such as user_id=CustomerID"#);
        insta::assert_snapshot!(wrong("user_id="), @r#"invalid mapping "user_id=": expected OURS=THEIRS, such as user_id=CustomerID"#);
        insta::assert_snapshot!(wrong("usr_id=x"), @r#"unknown column "usr_id" in the mapping (did you mean user_id?): expected one of user_id, product_id, timestamp, time_of_day, quantity, price, line_total, currency, product_name, basket_id, recommendation_id, categories, available, attributes"#);
        insta::assert_snapshot!(wrong("price=a,price=b"), @"column price is mapped twice");
    }
}
