//! Counts of a cohort of users, for the model and for the trial that is judged in its place.
//!
//! A model that has seen a basket cannot be judged by it. So a second one, the trial, is counted without the newest
//! baskets of the users who are judged. Counts are integers that add up in any order, so nobody is counted twice for
//! it but those users: the model is `others + judged`, the trial `others + before`.

use std::ops::Range;

use nextbasket_recommender::{
    Catalogue, Counting, Dataset, DatasetError, DecodeError, HeldOut, MergeError, ParamsError, Totals,
};

use crate::frames;
use crate::terms::Terms;

/// The users of a segment of the purchases, apart by how they are counted. Products are numbered as in the catalogue of
/// all segments.
#[derive(Debug)]
pub struct Cohort {
    /// Users who are not judged.
    others: Dataset,
    /// Users who are, with all their baskets.
    judged: Dataset,
    /// The same users without their newest baskets.
    before: Dataset,
    held: Vec<HeldOut>,
}

impl Cohort {
    /// The users of these baskets.
    ///
    /// # Errors
    /// [`DatasetError::UnknownProduct`] if the catalogue is not of all segments.
    pub fn new(data: Dataset, catalogue: &Catalogue, terms: &Terms) -> Result<Self, DatasetError> {
        let data = data.renumbered(catalogue)?;
        let (judged, others) = data.split(|user, baskets| baskets > 1 && terms.judging.takes(user));
        drop(data);
        let (before, held) = judged.hold_out_newest(2, |_| true);
        Ok(Self { others, judged, before, held })
    }

    /// What judged users had bought before their newest baskets.
    #[must_use]
    pub fn before(&self) -> &Dataset {
        &self.before
    }

    /// The newest baskets of judged users, numbered as in [`Cohort::before`].
    #[must_use]
    pub fn held(&self) -> &[HeldOut] {
        &self.held
    }

    /// Ready to be counted.
    ///
    /// # Errors
    /// [`ParamsError`] if a parameter is out of its range.
    pub fn counting(&self, terms: &Terms) -> Result<CohortCounting<'_>, ParamsError> {
        let counting = |data| Counting::new(data, &terms.params, terms.now_ms);
        Ok(CohortCounting {
            others: counting(&self.others)?,
            trial: if terms.judging.is_on() {
                Some((counting(&self.judged)?, counting(&self.before)?))
            } else {
                None
            },
        })
    }
}

/// A cohort that is being counted.
#[derive(Debug)]
pub struct CohortCounting<'c> {
    others: Counting<'c>,
    /// `judged` and `before`.
    trial: Option<(Counting<'c>, Counting<'c>)>,
}

impl CohortCounting<'_> {
    /// What the cohort adds to the sums per product.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn sums(&self) -> Result<Sums, MergeError> {
        let all = |counting: &Counting<'_>| counting.totals(counting.all_users());
        let others = all(&self.others);
        Ok(match &self.trial {
            Some((judged, before)) => {
                Sums { trial: Some(others.clone().merge(&all(before))?), model: others.merge(&all(judged))? }
            }
            None => Sums { model: others, trial: None },
        })
    }

    /// What the cohort adds to the rows of these products, in bytes: a part for [`crate::rank::block`].
    #[must_use]
    pub fn part(&self, products: Range<u32>) -> Vec<u8> {
        let pairs = |counting: &Counting<'_>| counting.pairs(counting.all_users(), products.clone()).encode();
        match &self.trial {
            Some((judged, before)) => {
                let before = before.next_pairs(before.all_users(), products.clone()).encode();
                frames::join([pairs(&self.others), pairs(judged), before])
            }
            None => frames::join([pairs(&self.others)]),
        }
    }
}

/// Sums per product. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Over all baskets.
    pub model: Totals,
    /// Over all but the held-out ones, if users are judged.
    pub trial: Option<Totals>,
}

impl Sums {
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

    /// Packs the sums; equal sums give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frames::join(std::iter::once(&self.model).chain(&self.trial).map(Totals::encode))
    }

    /// Reads what [`Sums::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no sums.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match frames::split(bytes)?.as_slice() {
            [model] => Ok(Self { model: Totals::decode(model)?, trial: None }),
            [model, trial] => Ok(Self { model: Totals::decode(model)?, trial: Some(Totals::decode(trial)?) }),
            _ => Err(DecodeError::Invalid("number of sums")),
        }
    }
}

/// The counts in a part, each in bytes.
pub(crate) struct Part<'p> {
    /// Of users who are not judged.
    pub(crate) others: &'p [u8],
    /// Of those who are, if any are.
    pub(crate) judged: Option<&'p [u8]>,
    /// Of the same without their newest baskets.
    pub(crate) before: Option<&'p [u8]>,
}

impl<'p> Part<'p> {
    pub(crate) fn open(bytes: &'p [u8]) -> Result<Self, DecodeError> {
        match frames::split(bytes)?.as_slice() {
            [others] => Ok(Self { others, judged: None, before: None }),
            [others, judged, before] => Ok(Self { others, judged: Some(judged), before: Some(before) }),
            _ => Err(DecodeError::Invalid("number of counts")),
        }
    }
}
