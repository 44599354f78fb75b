//! A model as the table stores it.

use std::ops::Range;

use nextbasket_domain::{ProductId, digest};
use nextbasket_recommender::{Catalogue, Params};
use nextbasket_tables::model::{ModelInfo, ModelRow};

use crate::error::StageError;
use crate::gate::ModelMetrics;
use crate::product_details::ProductDetails;
use crate::rank::unpack;
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
