//! Chunks of records between the stages: objects of JSON lines.

use std::collections::BTreeMap;

use nextbasket_domain::{
    Category, Line, Money, Product, ProductId, Purchase, PurchaseId, RecommendationId, Timestamp, UserId,
};
use nextbasket_job_engine::{Work, WorkError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChunkContent {
    Purchases,
    Products,
    Users,
}

impl ChunkContent {
    pub(crate) fn is_users(self) -> bool {
        self == Self::Users
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordChunk {
    pub key: String,
    pub holds: ChunkContent,
    pub items: u64,
}

/// A purchase as a chunk has it: what was written from a [`Purchase`] of ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadPurchase {
    purchase_id: PurchaseId,
    user_id: UserId,
    purchased_at: Timestamp,
    lines: Vec<Line>,
    recommendation_id: Option<RecommendationId>,
}

impl From<ReadPurchase> for Purchase {
    fn from(read: ReadPurchase) -> Self {
        let ReadPurchase { purchase_id, user_id, purchased_at, lines, recommendation_id } = read;
        Self { purchase_id, user_id, purchased_at, lines, recommendation_id }
    }
}

/// A product as a chunk has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadProduct {
    product_id: ProductId,
    name: String,
    categories: Vec<Category>,
    price: Option<Money>,
    available: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    updated_at: Timestamp,
}

impl From<ReadProduct> for Product {
    fn from(read: ReadProduct) -> Self {
        let ReadProduct { product_id, name, categories, price, available, attributes, updated_at } = read;
        Self { product_id, name, categories, price, available, attributes, updated_at }
    }
}

pub(crate) async fn write<R: Serialize>(
    work: &Work,
    holds: ChunkContent,
    records: Vec<R>,
    chunk_items: usize,
) -> Result<Vec<RecordChunk>, WorkError> {
    let mut chunks = Vec::new();
    let mut records = records.into_iter().peekable();
    while records.peek().is_some() {
        let (mut content, mut items) = (Vec::new(), 0);
        for record in records.by_ref().take(chunk_items) {
            serde_json::to_writer(&mut content, &record)?;
            content.push(b'\n');
            items += 1;
        }
        let name = serde_json::json!(holds).as_str().unwrap_or_default().to_owned();
        let key = work.put_own(&format!("{name}-{:06}.jsonl", chunks.len()), content).await?;
        chunks.push(RecordChunk { key, holds, items });
    }
    Ok(chunks)
}

pub(crate) async fn read<R: DeserializeOwned, T: From<R>>(
    work: &Work,
    chunk: &RecordChunk,
) -> Result<Vec<T>, WorkError> {
    let content = work.site().objects.get(&chunk.key).await?;
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice::<R>(line).map(T::from))
        .collect::<Result<_, _>>()
        .map_err(|error| WorkError::Failed(format!("{}: {error}", chunk.key)))
}

pub(crate) async fn remove(work: &Work, chunk: &RecordChunk) {
    if let Err(error) = work.site().objects.delete(&chunk.key).await {
        tracing::warn!(key = %chunk.key, %error, "cannot remove a chunk: it stays until the job ends");
    }
}
