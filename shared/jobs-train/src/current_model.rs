//! The live model, as far as a new one is compared with it.

use std::collections::BTreeSet;

use nextbasket_domain::ProductId;
use nextbasket_recommender::ranker::Ranker;
use nextbasket_recommender::{Priors, ProductIx};
use nextbasket_tables::model::{ModelTable, Pointer};
use nextbasket_tables::{Consistency, TableError};

use crate::evaluate::{EvaluatedModel, ListRows};
use crate::gate::LiveMetrics;

#[derive(Debug)]
pub struct CurrentModel {
    pub pointer: Pointer,
    /// None if another version of the program wrote them, or the model was replaced meanwhile.
    pub priors: Option<Priors>,
    /// None if it has none, or none that this version of the program can read.
    pub ranker: Option<Ranker>,
}

impl CurrentModel {
    /// Reads the priors and the ranker.
    pub async fn read(table: &ModelTable, pointer: Pointer) -> Result<Self, TableError> {
        let stored = skip_damaged(table.priors(&pointer).await)?.flatten();
        let ranker = stored.as_ref().and_then(|stored| Ranker::decode(stored.ranker.as_deref()?).ok());
        Ok(Self { pointer, priors: stored.and_then(|stored| Priors::decode(&stored.priors).ok()), ranker })
    }

    /// As it is evaluated, with the rows that are needed; none without priors.
    pub fn evaluated<'m>(&'m self, rows: &'m ListRows) -> Option<EvaluatedModel<'m>> {
        Some(EvaluatedModel { priors: self.priors.as_ref()?, rows, ranker: self.ranker.as_ref() })
    }

    /// Reads the rows of these products. Products without a row are omitted, and so are damaged rows and those of
    /// another version of the program.
    pub async fn rows(
        &self,
        table: &ModelTable,
        wanted: &BTreeSet<ProductIx>,
    ) -> Result<ListRows, TableError> {
        let mut rows = ListRows::default();
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
pub async fn live_pointer(table: &ModelTable) -> Result<Option<Pointer>, TableError> {
    Ok(skip_damaged(table.latest_pointer().await)?.flatten())
}

/// A damaged live model counts as missing: the new one replaces it.
fn skip_damaged<T>(read: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match read {
        Err(error @ TableError::Corrupt { .. }) => {
            tracing::warn!(%error, "the live model is damaged: the new one is not compared with it");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// The metrics of the live model; none before the first one.
pub async fn live_metrics(table: &ModelTable) -> Result<Option<LiveMetrics>, TableError> {
    let models = skip_damaged(table.models().await)?.unwrap_or_default();
    let record = models.into_iter().find(|record| record.live);
    Ok(record.map(|record| LiveMetrics {
        version: record.version,
        metrics: record
            .info
            .and_then(|info| info.metrics)
            .and_then(|metrics| serde_json::from_str(&metrics).ok()),
    }))
}
