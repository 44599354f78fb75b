//! The live model, as far as a new one is compared with it.

use std::collections::BTreeSet;

use nextbasket_domain::ProductId;
use nextbasket_recommender::{Priors, ProductIx};
use nextbasket_tables::TableError;
use nextbasket_tables::model::{ModelTable, Pointer};

use crate::evaluate::NextRows;
use crate::gate::Live;

/// The live model.
#[derive(Debug)]
pub struct LiveModel {
    /// Where it stands.
    pub pointer: Pointer,
    /// What it knows of every product; none if another version of the program wrote it, or it was replaced meanwhile.
    pub priors: Option<Priors>,
}

impl LiveModel {
    /// Reads what is known of every product.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn read(table: &ModelTable, pointer: Pointer) -> Result<Self, TableError> {
        let pieces = table.priors(&pointer).await?;
        Ok(Self { pointer, priors: pieces.and_then(|pieces| Priors::decode(&pieces).ok()) })
    }

    /// Reads the rows of these products; those without one, or with one of another version of the program, are left
    /// out.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer.
    pub async fn rows(
        &self,
        table: &ModelTable,
        wanted: &BTreeSet<ProductIx>,
    ) -> Result<NextRows, TableError> {
        let mut rows = NextRows::default();
        let Some(priors) = &self.priors else { return Ok(rows) };
        let ids: Vec<ProductId> =
            wanted.iter().filter_map(|&product| ProductId::parse(priors.id(product)).ok()).collect();
        for row in table.rows(&self.pointer, &ids).await? {
            if let Some(product) = priors.index_of(row.product_id.as_str()) {
                let _unreadable = rows.add(product, &row.row);
            }
        }
        Ok(rows)
    }
}

/// What the gate has to know of the live model; none before the first one.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn live(table: &ModelTable) -> Result<Option<Live>, TableError> {
    let record = table.models().await?.into_iter().find(|record| record.live);
    Ok(record.map(|record| Live {
        version: record.version,
        metrics: record
            .info
            .and_then(|info| info.metrics)
            .and_then(|metrics| serde_json::from_str(&metrics).ok()),
    }))
}
