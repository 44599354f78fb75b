//! Neighbours of a block of products, and what is known of all products.

use std::ops::Range;

use nextbasket_recommender::{
    Catalogue, DecodeError, Models, PieceTooSmall, Priors, ProductIx, ProductRows, rank,
};

use crate::count::{Part, Sums};
use crate::error::StageError;
use crate::frames;
use crate::labels::Labels;
use crate::terms::Terms;

/// The most bytes of one item of priors: DynamoDB takes 400 KB with key and names.
const PRIORS_BYTES: usize = 380_000;

/// Rows of a block of products.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The model's.
    pub model: Vec<ProductRows>,
    /// The trial's, which have no neighbours but `next`, if users are judged.
    pub trial: Option<Vec<ProductRows>>,
}

/// Ranks a block of products, from the parts of all segments in any order.
///
/// # Errors
/// [`StageError`] if the parts and the sums are not of one training.
pub fn block<B: AsRef<[u8]>>(
    products: Range<u32>,
    parts: &[B],
    sums: &Sums,
    terms: &Terms,
) -> Result<Ranked, StageError> {
    let parts = parts.iter().map(|part| Part::open(part.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let others = || parts.iter().map(|part| part.others);
    let ranked =
        |counts: Vec<&[u8]>, totals, models| rank(products.clone(), &counts, totals, &terms.params, models);
    let model = others().chain(parts.iter().filter_map(|part| part.judged)).collect();
    let model = ranked(model, &sums.model, Models::All)?;
    let trial = match &sums.trial {
        Some(totals) => {
            let trial = others().chain(parts.iter().filter_map(|part| part.before)).collect();
            Some(ranked(trial, totals, Models::Next)?)
        }
        None => None,
    };
    Ok(Ranked { model, trial })
}

/// Packs the rows of a block, so that each can be taken out as it stands.
#[must_use]
pub fn pack(rows: &[ProductRows]) -> Vec<u8> {
    frames::join(rows.iter().map(ProductRows::encode))
}

/// The bytes of each row of a block.
///
/// # Errors
/// [`DecodeError`] if the bytes are not the packed rows of so many products.
pub fn unpack(products: Range<u32>, bytes: &[u8]) -> Result<Vec<(ProductIx, &[u8])>, DecodeError> {
    let rows = frames::split(bytes)?;
    if rows.len() != products.len() {
        return Err(DecodeError::Invalid("number of packed rows"));
    }
    Ok(products.map(ProductIx::new).zip(rows).collect())
}

/// What is known of every product, as it is stored: in pieces that fit into items each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The model's.
    pub model: Vec<Vec<u8>>,
    /// The trial's, if users are judged. They tell no categories.
    pub trial: Option<Vec<Vec<u8>>>,
}

/// From the sums over all segments.
///
/// # Errors
/// [`PieceTooSmall`] if a product's id and categories do not fit in an item.
pub fn known(
    catalogue: &Catalogue,
    sums: &Sums,
    terms: &Terms,
    labels: &Labels,
) -> Result<Known, PieceTooSmall> {
    let priors = |totals, categories: &dyn Fn(&str) -> Vec<String>| {
        Priors::new(catalogue, totals, &terms.params, terms.now_ms, categories).encode(PRIORS_BYTES)
    };
    Ok(Known {
        model: priors(&sums.model, &|id| labels.categories(id))?,
        trial: sums.trial.as_ref().map(|totals| priors(totals, &|_| Vec::new())).transpose()?,
    })
}
