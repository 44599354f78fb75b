//! The live model, as far as a new one is compared with it.

use std::collections::BTreeSet;

use nextbasket_domain::ProductId;
use nextbasket_recommender::{Priors, ProductIx};
use nextbasket_tables::model::{ModelTable, Pointer};
use nextbasket_tables::{Consistency, TableError};

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
        let pieces = sound(table.priors(&pointer).await)?.flatten();
        Ok(Self { pointer, priors: pieces.and_then(|pieces| Priors::decode(&pieces).ok()) })
    }

    /// Reads the rows of these products. Products without a row are omitted, and so are damaged rows and those of
    /// another version of the program.
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
        let read = table.rows(&self.pointer, &ids, Consistency::Strong).await?;
        if !read.damaged.is_empty() {
            tracing::warn!(rows = read.damaged.len(), "damaged rows of the live model were skipped");
        }
        for row in read.items {
            if let Some(product) = priors.index_of(row.product_id.as_str()) {
                let _unreadable = rows.add(product, &row.row);
            }
        }
        Ok(rows)
    }
}

/// The pointer to the live model, if there is one that can be read.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn pointer(table: &ModelTable) -> Result<Option<Pointer>, TableError> {
    Ok(sound(table.latest_pointer().await)?.flatten())
}

/// A damaged live model counts as missing: the new one takes its place.
fn sound<T>(read: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match read {
        Err(error @ TableError::Corrupt { .. }) => {
            tracing::warn!(%error, "the live model is damaged: the new one is not compared with it");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// What the gate has to know of the live model; none before the first one.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn live(table: &ModelTable) -> Result<Option<Live>, TableError> {
    let models = sound(table.models().await)?.unwrap_or_default();
    let record = models.into_iter().find(|record| record.live);
    Ok(record.map(|record| Live {
        version: record.version,
        metrics: record
            .info
            .and_then(|info| info.metrics)
            .and_then(|metrics| serde_json::from_str(&metrics).ok()),
    }))
}
