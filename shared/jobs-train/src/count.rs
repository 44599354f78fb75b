//! Counts of a cohort of users, for the model and for the trial that is evaluated in its place.
//!
//! A model cannot be evaluated on a basket that it has seen. So a second one, the trial, is counted without the newest
//! baskets of the evaluated users. Counts are integers that add up in any order, so only those users are counted twice:
//! the model is `others + evaluated`, the trial `others + before`.

use std::ops::Range;

use nextbasket_recommender::intermediate::encode;
use nextbasket_recommender::{
    Catalogue, Counting, Dataset, DatasetError, HeldOut, MergeError, ParamsError, Totals,
};
use serde::{Deserialize, Serialize};

use crate::context::TrainingContext;

/// The users of a segment of the purchases, apart by how they are counted. Products are numbered as in the catalogue of
/// all segments.
#[derive(Debug)]
pub struct Cohort {
    /// Users who are not evaluated.
    others: Dataset,
    /// Users who are, with all their baskets.
    evaluated: Dataset,
    /// The same users without their newest baskets.
    before: Dataset,
    held: Vec<HeldOut>,
}

impl Cohort {
    /// The users of these baskets.
    ///
    /// # Errors
    /// [`DatasetError::UnknownProduct`] if the catalogue is not of all segments.
    pub fn new(
        data: Dataset,
        catalogue: &Catalogue,
        context: &TrainingContext,
    ) -> Result<Self, DatasetError> {
        let data = data.reindexed(catalogue)?;
        let (evaluated, others) = data.split(|user, baskets| baskets > 1 && context.sample.contains(user));
        drop(data);
        let (before, held) = evaluated.hold_out_newest(2, |_| true);
        Ok(Self { others, evaluated, before, held })
    }

    /// What evaluated users had bought before their newest baskets.
    pub fn before(&self) -> &Dataset {
        &self.before
    }

    /// The newest baskets of evaluated users, numbered as in [`Cohort::before`].
    pub fn held(&self) -> &[HeldOut] {
        &self.held
    }

    /// Ready to be counted.
    ///
    /// # Errors
    /// [`ParamsError`] if a parameter is out of its range.
    pub fn counting(&self, context: &TrainingContext) -> Result<CohortCounting<'_>, ParamsError> {
        let counting = |data| Counting::new(data, &context.params, context.now_ms);
        Ok(CohortCounting {
            others: counting(&self.others)?,
            trial: if context.sample.is_on() {
                Some((counting(&self.evaluated)?, counting(&self.before)?))
            } else {
                None
            },
        })
    }
}

#[derive(Debug)]
pub struct CohortCounting<'c> {
    others: Counting<'c>,
    /// `evaluated` and `before`.
    trial: Option<(Counting<'c>, Counting<'c>)>,
}

impl CohortCounting<'_> {
    /// What the cohort adds to the totals per product.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn totals(&self) -> Result<CohortTotals, MergeError> {
        let all = |counting: &Counting<'_>| counting.totals(counting.all_users());
        let others = all(&self.others);
        Ok(match &self.trial {
            Some((evaluated, before)) => CohortTotals {
                trial: Some(others.clone().merge(&all(before))?),
                model: others.merge(&all(evaluated))?,
            },
            None => CohortTotals { model: others, trial: None },
        })
    }

    /// What the cohort adds to the rows of these products, in bytes: a part for [`crate::rank::block`].
    pub fn part(&self, products: Range<u32>) -> Vec<u8> {
        let pairs = |counting: &Counting<'_>| counting.pairs(counting.all_users(), products.clone()).encode();
        let evaluated = self.trial.as_ref().map(|(evaluated, before)| {
            (pairs(evaluated), before.next_pairs(before.all_users(), products.clone()).encode())
        });
        encode(&CohortPairs {
            others: &pairs(&self.others),
            evaluated: evaluated.as_ref().map(|(all, before)| (all.as_slice(), before.as_slice())),
        })
    }
}

/// Totals per product. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CohortTotals {
    /// Over all baskets.
    pub model: Totals,
    /// Over all but the held-out ones, if users are evaluated.
    pub trial: Option<Totals>,
}

impl CohortTotals {
    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if the two are of different trainings, or a sum does not fit its integer.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        let trial = match (self.trial, &other.trial) {
            (Some(trial), Some(more)) => Some(trial.merge(more)?),
            (None, None) => None,
            _ => return Err(MergeError::OtherRun),
        };
        Ok(Self { model: self.model.merge(&other.model)?, trial })
    }
}

/// A cohort's counts of pairs for a block of products, each in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CohortPairs<'p> {
    /// Of users who are not evaluated.
    pub(crate) others: &'p [u8],
    /// Of users who are, if any are: with all their baskets, and without their newest ones.
    #[serde(borrow)]
    pub(crate) evaluated: Option<(&'p [u8], &'p [u8])>,
}
