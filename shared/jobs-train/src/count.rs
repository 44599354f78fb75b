//! Counts of a cohort of users, for the model and for the trials that baskets are hidden from.
//!
//! A model can neither learn from a basket nor be evaluated on one that it has seen. So further ones, the trials, are
//! counted without such baskets, one for each fold of the users and each basket of theirs that is hidden. Counts are
//! integers that add up in any order, so only the users of a fold are counted more than once: the model is `others` and
//! `all` of every fold, a trial has `before` in place of `all` of its own fold.

use std::ops::Range;

use nextbasket_recommender::intermediate::encode;
use nextbasket_recommender::ranker::{FOLDS, Folds};
use nextbasket_recommender::{
    Catalogue, Counting, Dataset, DatasetError, HeldOut, MergeError, ParamsError, Totals,
};
use serde::{Deserialize, Serialize};

use crate::context::TrainingContext;

/// The users of a segment of the purchases, apart by how they are counted. Products are numbered as in the catalogue of
/// all segments.
#[derive(Debug)]
pub struct Cohort {
    /// Users in no fold.
    others: Dataset,
    folds: Vec<FoldUsers>,
}

#[derive(Debug)]
struct FoldUsers {
    all: Dataset,
    trials: Vec<TrialUsers>,
}

/// The users of a fold as one trial sees them.
#[derive(Debug)]
pub struct TrialUsers {
    pub fold: u8,
    /// How many newer baskets of each were dropped.
    pub position: u8,
    /// What they had bought before the hidden baskets.
    pub before: Dataset,
    /// The hidden baskets, numbered as in [`TrialUsers::before`].
    pub held: Vec<HeldOut>,
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
        let mut others = data.reindexed(catalogue)?;
        let mut folds = Vec::new();
        for fold in context.folds.is_on().then_some(0..FOLDS).into_iter().flatten() {
            let (all, rest) = others.split(|user, baskets| {
                let fingerprint = others.user_of(user).map_or(0, |user| others.fingerprint(user));
                context.folds.of(fingerprint, baskets) == Some(fold)
            });
            others = rest;
            let trials = (0..context.folds.positions()).map(|position| {
                let (before, held) = context.folds.hide(&all, fold, position);
                TrialUsers { fold, position, before, held }
            });
            folds.push(FoldUsers { trials: trials.collect(), all });
        }
        Ok(Self { others, folds })
    }

    /// The trials, in the order of [`trials`].
    pub fn trials(&self) -> impl Iterator<Item = &TrialUsers> {
        self.folds.iter().flat_map(|fold| &fold.trials)
    }

    /// Ready to be counted.
    ///
    /// # Errors
    /// [`ParamsError`] if a parameter is out of its range.
    pub fn counting(&self, context: &TrainingContext) -> Result<CohortCounting<'_>, ParamsError> {
        let counting = |data| Counting::new(data, &context.params, context.now_ms);
        let mut folds = Vec::with_capacity(self.folds.len());
        for fold in &self.folds {
            let trials = fold.trials.iter().map(|trial| counting(&trial.before));
            folds.push(FoldCounts { all: counting(&fold.all)?, trials: trials.collect::<Result<_, _>>()? });
        }
        Ok(CohortCounting { others: counting(&self.others)?, folds })
    }
}

/// The number of trials.
pub fn trials(folds: Folds) -> usize {
    if folds.is_on() { usize::from(FOLDS) * usize::from(folds.positions()) } else { 0 }
}

/// Something of a fold's users: of all their baskets, and of those before the hidden ones of each trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoldCounts<T> {
    pub(crate) all: T,
    pub(crate) trials: Vec<T>,
}

#[derive(Debug)]
pub struct CohortCounting<'c> {
    others: Counting<'c>,
    folds: Vec<FoldCounts<Counting<'c>>>,
}

impl CohortCounting<'_> {
    /// What the cohort adds to the totals per product.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn totals(&self) -> Result<CohortTotals, MergeError> {
        let all = |counting: &Counting<'_>| counting.totals(counting.all_users());
        let of_folds: Vec<Totals> = self.folds.iter().map(|fold| all(&fold.all)).collect();
        let with = |sum: Totals, more: &Totals| sum.merge(more);
        let others = all(&self.others);
        let mut trials = Vec::new();
        for (at, fold) in self.folds.iter().enumerate() {
            let rest = of_folds.iter().enumerate().filter(|&(other, _)| other != at);
            let rest = rest.map(|(_, totals)| totals).try_fold(others.clone(), with)?;
            for trial in &fold.trials {
                trials.push(rest.clone().merge(&all(trial))?);
            }
        }
        Ok(CohortTotals { model: of_folds.iter().try_fold(others, with)?, trials })
    }

    /// What the cohort adds to the rows of these products, in bytes: a part for [`crate::rank::block`].
    pub fn part(&self, products: Range<u32>) -> Vec<u8> {
        let pairs = |counting: &Counting<'_>| counting.pairs(counting.all_users(), products.clone()).encode();
        let lists =
            |counting: &Counting<'_>| counting.list_pairs(counting.all_users(), products.clone()).encode();
        let folds = self.folds.iter().map(|fold| FoldCounts {
            all: pairs(&fold.all),
            trials: fold.trials.iter().map(lists).collect(),
        });
        encode(&CohortPairs { others: pairs(&self.others), folds: folds.collect() })
    }
}

/// Totals per product. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CohortTotals {
    /// Over all baskets.
    pub model: Totals,
    /// Of each trial, over all but what is hidden from it.
    pub trials: Vec<Totals>,
}

impl CohortTotals {
    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if the two are of different trainings, or a sum does not fit its integer.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        if self.trials.len() != other.trials.len() {
            return Err(MergeError::OtherRun);
        }
        let trials = self.trials.into_iter().zip(&other.trials).map(|(trial, more)| trial.merge(more));
        Ok(Self { trials: trials.collect::<Result<_, _>>()?, model: self.model.merge(&other.model)? })
    }
}

/// A cohort's counts of pairs for a block of products, each in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CohortPairs<T> {
    /// Of users in no fold.
    pub(crate) others: T,
    pub(crate) folds: Vec<FoldCounts<T>>,
}
