//! The neighbours of a block of products, and the priors of all products.

use std::ops::Range;

use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::ranker::FOLDS;
use nextbasket_recommender::{
    Catalogue, DecodeError, NeighbourModels, PieceTooSmall, Priors, ProductIx, ProductRows, rank,
};

use crate::context::TrainingContext;
use crate::count::{CohortPairs, CohortTotals};
use crate::error::StageError;
use crate::product_details::ProductDetails;

/// The maximum size of one item of priors: DynamoDB accepts 400 KB with key and names.
pub(crate) const MAX_PRIORS_BYTES: usize = 380_000;

/// Rows of a block of products.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedRows {
    pub model: Vec<ProductRows>,
    /// Each trial's, without the `similar` ones.
    pub trials: Vec<Vec<ProductRows>>,
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
        .map(|part| decode::<CohortPairs<&[u8]>>("pairs", part.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let ranked =
        |counts: Vec<&[u8]>, totals, models| rank(products.clone(), &counts, totals, &context.params, models);
    // Of each part the users of no fold, and those of the folds but one.
    let others = |but: Option<usize>| -> Vec<&[u8]> {
        let folds = |part| all_of_folds(part, but);
        parts.iter().flat_map(|part| std::iter::once(part.others).chain(folds(part))).collect()
    };
    let model = ranked(others(None), &totals.model, NeighbourModels::All)?;
    let positions = totals.trials.len() / usize::from(FOLDS);
    let mut trials = Vec::with_capacity(totals.trials.len());
    for (trial, totals) in totals.trials.iter().enumerate() {
        let (fold, position) = (trial / positions, trial % positions);
        let before = parts.iter().map(|part| {
            let trial = part.folds.get(fold).and_then(|fold| fold.trials.get(position));
            trial.copied().ok_or(DecodeError::Invalid("number of trials"))
        });
        let mut counts = others(Some(fold));
        counts.extend(before.collect::<Result<Vec<_>, _>>()?);
        trials.push(ranked(counts, totals, NeighbourModels::Lists)?);
    }
    Ok(RankedRows { model, trials })
}

fn all_of_folds<'c, 'p>(
    part: &'c CohortPairs<&'p [u8]>,
    but: Option<usize>,
) -> impl Iterator<Item = &'p [u8]> + use<'c, 'p> {
    part.folds.iter().enumerate().filter(move |&(fold, _)| Some(fold) != but).map(|(_, fold)| fold.all)
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
    /// Each trial's. They have no categories.
    pub trials: Vec<Vec<Vec<u8>>>,
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
        trials: totals.trials.iter().map(|trial| priors(trial, &|_| Vec::new())).collect::<Result<_, _>>()?,
    })
}
