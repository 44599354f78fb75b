//! A model as the table stores it.

use std::ops::Range;

use nextbasket_domain::{ProductId, digest};
use nextbasket_recommender::{CartTrials, Catalogue, Params, Priors};
use nextbasket_tables::model::{ModelInfo, ModelRow};

use crate::error::StageError;
use crate::gate::ModelMetrics;
use crate::product_details::ProductDetails;
use crate::rank::{MAX_PRIORS_BYTES, unpack};
use crate::training_data::PurchaseStatistics;

/// The rows of a packed block as the table stores them.
///
/// # Errors
/// [`StageError::Bytes`] if the bytes are not the block's packed rows.
pub fn rows(
    products: Range<u32>,
    block: &[u8],
    catalogue: &Catalogue,
    details: &ProductDetails,
) -> Result<Vec<ModelRow>, StageError> {
    let rows = unpack(products, block)?.into_iter().filter_map(|(product, row)| {
        let id = catalogue.id(product);
        let name = details.name(id).map(str::to_owned);
        Some(ModelRow { product_id: ProductId::parse(id).ok()?, name, row: row.to_vec() })
    });
    Ok(rows.collect())
}

/// The pieces of a model's priors, with the weight that hidden products of baskets have taught.
///
/// # Errors
/// [`StageError`] if the pieces are not a model's priors.
pub fn with_cart_weight<B: AsRef<[u8]>>(
    pieces: &[B],
    carts: &CartTrials,
) -> Result<Vec<Vec<u8>>, StageError> {
    let priors = Priors::decode(pieces)?;
    let weight = carts.weight(priors.params());
    Ok(priors.with_together_weight(weight).encode(MAX_PRIORS_BYTES)?)
}

/// The facts that are stored with a model.
///
/// # Errors
/// None with parameters and metrics as they come out of a training.
pub fn info(
    statistics: &PurchaseStatistics,
    products: u64,
    params: &Params,
    metrics: Option<&ModelMetrics>,
    seconds: f64,
) -> Result<ModelInfo, StageError> {
    Ok(ModelInfo {
        users: statistics.users,
        purchases: statistics.purchases,
        products,
        params: digest(serde_json::to_vec(params)?, 8),
        metrics: metrics.map(serde_json::to_string).transpose()?,
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use nextbasket_recommender::{DatasetBuilder, train};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_weight_that_hidden_products_have_taught_is_published_and_nothing_else_changes() {
        let mut builder = DatasetBuilder::new();
        builder.push("ada", "1", 1, ["matcha", "whisk"]).unwrap();
        builder.push("bob", "2", 86_400_000, ["beans"]).unwrap();
        let data = builder.build().unwrap();
        let category = |_: &str| vec!["tea".to_owned()];
        let model = train(&data, &Params::default(), NonZero::<usize>::MIN, &category).unwrap();
        let pieces = model.priors.encode(MAX_PRIORS_BYTES).unwrap();
        let trials = |questions: u64| -> CartTrials {
            serde_json::from_value(json!({ "questions": questions, "gains": [0, 0, 0, 0, 0, 7, 0, 0, 0] }))
                .unwrap()
        };
        let published = Priors::decode(&with_cart_weight(&pieces, &trials(100)).unwrap()).unwrap();
        assert_eq!(published.params().together_weight.to_bits(), 8f64.to_bits());
        assert_eq!(published.with_together_weight(Params::default().together_weight), model.priors);
        assert_eq!(with_cart_weight(&pieces, &trials(99)).unwrap(), pieces, "too few to learn from");
        assert!(with_cart_weight(&[b"no priors"], &trials(100)).is_err());
    }
}
