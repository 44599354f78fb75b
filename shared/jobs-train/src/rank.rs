//! The neighbours of a block of products, and the priors of all products.

use std::ops::Range;

use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::{
    Catalogue, DecodeError, NeighbourModels, PieceTooSmall, Priors, ProductIx, ProductRows, rank,
};

use crate::context::TrainingContext;
use crate::count::{CohortPairs, CohortTotals};
use crate::error::StageError;
use crate::product_details::ProductDetails;

/// The maximum size of one item of priors: DynamoDB accepts 400 KB with key and names.
const MAX_PRIORS_BYTES: usize = 380_000;

/// Rows of a block of products.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedRows {
    pub model: Vec<ProductRows>,
    /// The trial's, which have no neighbours but `next`, if users are evaluated.
    pub trial: Option<Vec<ProductRows>>,
}

/// Ranks a block of products, from the parts of all segments in any order.
///
/// # Errors
/// [`StageError`] if the parts and the totals are not of one training.
pub fn block<B: AsRef<[u8]>>(
    products: Range<u32>,
    parts: &[B],
    totals: &CohortTotals,
    context: &TrainingContext,
) -> Result<RankedRows, StageError> {
    let parts = parts
        .iter()
        .map(|part| decode::<CohortPairs<'_>>("pairs", part.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let others = || parts.iter().map(|part| part.others);
    let ranked =
        |counts: Vec<&[u8]>, totals, models| rank(products.clone(), &counts, totals, &context.params, models);
    let model = others().chain(parts.iter().filter_map(|part| Some(part.evaluated?.0))).collect();
    let model = ranked(model, &totals.model, NeighbourModels::All)?;
    let trial = match &totals.trial {
        Some(trial_totals) => {
            let trial = others().chain(parts.iter().filter_map(|part| Some(part.evaluated?.1))).collect();
            Some(ranked(trial, trial_totals, NeighbourModels::Next)?)
        }
        None => None,
    };
    Ok(RankedRows { model, trial })
}

/// Packs the rows of a block, so that each can be taken out as it stands.
pub fn pack(rows: &[ProductRows]) -> Vec<u8> {
    encode(&rows.iter().map(ProductRows::encode).collect::<Vec<_>>())
}

/// The bytes of each row of a block.
///
/// # Errors
/// [`DecodeError`] if the bytes are not the packed rows of N products.
pub fn unpack(products: Range<u32>, bytes: &[u8]) -> Result<Vec<(ProductIx, &[u8])>, DecodeError> {
    let rows: Vec<&[u8]> = decode("rows", bytes)?;
    if rows.len() != products.len() {
        return Err(DecodeError::Invalid("number of packed rows"));
    }
    Ok(products.map(ProductIx::new).zip(rows).collect())
}

/// The priors of every product as they are stored: in pieces that each fit into an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedPriors {
    pub model: Vec<Vec<u8>>,
    /// The trial's, if users are evaluated. They have no categories.
    pub trial: Option<Vec<Vec<u8>>>,
}

/// From the totals over all segments.
///
/// # Errors
/// [`PieceTooSmall`] if a product's id and categories do not fit in an item.
pub fn pack_priors(
    catalogue: &Catalogue,
    totals: &CohortTotals,
    context: &TrainingContext,
    details: &ProductDetails,
) -> Result<PackedPriors, PieceTooSmall> {
    let priors = |totals, categories: &dyn Fn(&str) -> Vec<String>| {
        Priors::new(catalogue, totals, &context.params, context.now_ms, categories).encode(MAX_PRIORS_BYTES)
    };
    Ok(PackedPriors {
        model: priors(&totals.model, &|id| details.categories(id))?,
        trial: totals.trial.as_ref().map(|trial| priors(trial, &|_| Vec::new())).transpose()?,
    })
}
