//! What a ranker learns from: per group (a user with a hidden basket) its candidates, their features and labels.
#![allow(clippy::indexing_slicing, reason = "rows of a group are allocated when the group is added")]

use std::ops::Range;

/// Why a group cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExamplesError {
    /// Not `columns` numbers per candidate.
    #[error("invalid group: {values} features for {candidates} candidates, but each has {columns}")]
    Shape {
        /// Numbers that were given.
        values: usize,
        /// Labels that were given.
        candidates: usize,
        /// Numbers per candidate.
        columns: usize,
    },
    /// Infinite, or not a number.
    #[error("invalid group: feature {column} of candidate {candidate} is not a finite number")]
    NotFinite {
        /// The candidate within its group.
        candidate: usize,
        /// The feature.
        column: usize,
    },
    /// Fewer products were bought than there are candidates that were.
    #[error("invalid group: {hits} candidates were bought, but only {products} products")]
    Products {
        /// Candidates that were bought.
        hits: usize,
        /// Products in the hidden basket.
        products: u32,
    },
    /// Not one finite score per row.
    #[error("invalid scores: expected {rows} finite numbers, one per candidate")]
    Scores {
        /// Candidates of all groups.
        rows: usize,
    },
    /// More rows than a 32-bit number can count, or examples of another width.
    #[error("too many examples, or examples with another number of features")]
    Incompatible,
}

/// One user, and one basket that was hidden from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    first_row: u32,
    candidates: u32,
    products: u32,
    fold: u8,
}

impl Group {
    /// The candidates, as rows of the whole set.
    pub fn rows(&self) -> Range<usize> {
        self.first_row as usize..(self.first_row + self.candidates) as usize
    }

    /// Number of products in the hidden basket, also of those that are not among the candidates.
    pub fn products(&self) -> u32 {
        self.products
    }

    /// The part of the users that this one is in.
    pub fn fold(&self) -> u8 {
        self.fold
    }
}

/// Groups of candidates. Candidate `r` of the whole set has row `r` of the features and of every list of scores.
///
/// Flat: 4 bytes per feature and 1 per candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    columns: usize,
    values: Vec<f32>,
    labels: Vec<bool>,
    groups: Vec<Group>,
}

impl Examples {
    /// No groups yet; each candidate will have this many features. Feature 0 is the logarithm of the hand formula's
    /// score.
    pub fn new(columns: usize) -> Self {
        Self { columns, values: Vec::new(), labels: Vec::new(), groups: Vec::new() }
    }

    /// Makes room, so that adding does not move what is there: examples are the largest thing in a training.
    pub fn reserve(&mut self, groups: usize, candidates: usize) {
        self.groups.reserve_exact(groups);
        self.labels.reserve_exact(candidates);
        self.values.reserve_exact(candidates.saturating_mul(self.columns));
    }

    /// Adds a group, with the features of one candidate after the other, best candidate first. `products` is the
    /// number of products in the hidden basket, candidates or not.
    ///
    /// # Errors
    /// Lengths that do not fit, a feature that is not finite, fewer products than hits.
    pub fn push(
        &mut self,
        values: &[f32],
        labels: &[bool],
        products: u32,
        fold: u8,
    ) -> Result<(), ExamplesError> {
        let columns = self.columns;
        if values.len() != labels.len().saturating_mul(columns) {
            let candidates = labels.len();
            return Err(ExamplesError::Shape { values: values.len(), candidates, columns });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(ExamplesError::NotFinite { candidate: at / columns, column: at % columns });
        }
        let hits = labels.iter().filter(|&&hit| hit).count();
        if hits > products as usize {
            return Err(ExamplesError::Products { hits, products });
        }
        let first_row = u32::try_from(self.labels.len()).map_err(|_| ExamplesError::Incompatible)?;
        let candidates = u32::try_from(labels.len()).map_err(|_| ExamplesError::Incompatible)?;
        first_row.checked_add(candidates).ok_or(ExamplesError::Incompatible)?;
        self.values.extend_from_slice(values);
        self.labels.extend_from_slice(labels);
        self.groups.push(Group { first_row, candidates, products, fold });
        Ok(())
    }

    /// Adds the groups of another set after these.
    ///
    /// # Errors
    /// Another number of features; more rows than can be counted.
    pub fn append(&mut self, other: &Self) -> Result<(), ExamplesError> {
        let first = u32::try_from(self.labels.len()).map_err(|_| ExamplesError::Incompatible)?;
        let more = u32::try_from(other.labels.len()).map_err(|_| ExamplesError::Incompatible)?;
        if self.columns != other.columns || first.checked_add(more).is_none() {
            return Err(ExamplesError::Incompatible);
        }
        self.values.extend_from_slice(&other.values);
        self.labels.extend_from_slice(&other.labels);
        let moved = |group: &Group| Group { first_row: first + group.first_row, ..*group };
        self.groups.extend(other.groups.iter().map(moved));
        Ok(())
    }

    /// Number of features of a candidate.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of candidates of all groups.
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The groups, in the order in which they were added.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Features of these candidates, one candidate after the other.
    pub fn values(&self, rows: Range<usize>) -> &[f32] {
        &self.values[rows.start * self.columns..rows.end * self.columns]
    }

    /// Whether these candidates were bought.
    pub fn labels(&self, rows: Range<usize>) -> &[bool] {
        &self.labels[rows]
    }

    /// All groups and all features.
    pub fn all(&self) -> View<'_> {
        self.view(|_| true)
    }

    /// The groups that a condition holds for, such as `|group| group.fold() != 2`.
    pub fn view(&self, keep: impl Fn(&Group) -> bool) -> View<'_> {
        let groups = self.groups.iter().filter(|group| keep(group)).copied().collect();
        View { examples: self, groups, used: vec![true; self.columns] }
    }
}

/// Some groups of a set of examples, and the features that may be learned from. Copies no features.
#[derive(Debug, Clone)]
pub struct View<'e> {
    examples: &'e Examples,
    groups: Vec<Group>,
    used: Vec<bool>,
}

impl<'e> View<'e> {
    /// Learns nothing from these features: their weight is 0, and no tree asks for them. (The linear stage always has
    /// feature 0, which it starts from.)
    #[must_use]
    pub fn without(mut self, columns: &[usize]) -> Self {
        for &column in columns {
            if let Some(used) = self.used.get_mut(column) {
                *used = false;
            }
        }
        self
    }

    /// The set that the groups are of.
    pub fn examples(&self) -> &'e Examples {
        self.examples
    }

    /// The groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether a feature may be learned from.
    pub fn uses(&self, column: usize) -> bool {
        self.used.get(column).copied().unwrap_or(false)
    }

    /// The groups with a candidate that was bought: only they say which order is better.
    pub fn groups_with_hits(&self) -> Vec<Group> {
        let hit = |group: &&Group| self.examples.labels(group.rows()).contains(&true);
        self.groups.iter().filter(hit).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_back_with_their_features_labels_and_fold() {
        let mut examples = Examples::new(2);
        examples.push(&[1.0, 2.0, 3.0, 4.0], &[true, false], 3, 0).unwrap();
        let mut more = Examples::new(2);
        more.push(&[5.0, 6.0], &[false], 1, 1).unwrap();
        examples.append(&more).unwrap();
        let folds = examples.view(|group| group.fold() == 1).without(&[0, 7]);
        let [group] = folds.groups() else { panic!("{folds:?}") };
        assert_eq!((group.rows(), group.products(), examples.rows()), (2..3, 1, 3));
        assert_eq!(
            (examples.values(group.rows()), examples.labels(0..2)),
            (&[5.0, 6.0][..], &[true, false][..])
        );
        assert_eq!((folds.uses(0), folds.uses(1), folds.uses(2)), (false, true, false));
        assert!(folds.groups_with_hits().is_empty());
        assert_eq!(examples.all().groups_with_hits().len(), 1);
    }

    #[test]
    fn groups_that_no_learner_could_use_are_rejected() {
        let mut examples = Examples::new(2);
        let shape = ExamplesError::Shape { values: 3, candidates: 2, columns: 2 };
        assert_eq!(examples.push(&[1.0; 3], &[true, false], 1, 0), Err(shape));
        let not_finite = ExamplesError::NotFinite { candidate: 1, column: 0 };
        assert_eq!(examples.push(&[0.0, 0.0, f32::NAN, 0.0], &[true, false], 1, 0), Err(not_finite));
        let products = ExamplesError::Products { hits: 2, products: 1 };
        assert_eq!(examples.push(&[0.0; 4], &[true, true], 1, 0), Err(products));
        assert_eq!(examples.append(&Examples::new(3)), Err(ExamplesError::Incompatible));
        assert_eq!((examples.rows(), examples.groups().len()), (0, 0));
    }
}
