//! What the catalogue adds to the purchases: names, to explain answers, and categories.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use nextbasket_domain::Product;
use nextbasket_recommender::{Catalogue, ProductIx};
use nextbasket_tables::products::ProductsTable;
use nextbasket_tables::{Damaged, TableError};
use serde::{Deserialize, Serialize};

use crate::error::StageError;

/// Names and categories of products.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDetails(BTreeMap<String, ProductDetail>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ProductDetail {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<String>,
}

/// How many segments the products are read in at a time.
const SEGMENTS: usize = 4;

impl ProductDetails {
    /// Reads all products; also returns the damaged ones.
    pub async fn read(table: &ProductsTable) -> Result<(Self, Vec<Damaged>), TableError> {
        let details = Mutex::new(Self::default());
        let add = |product| details.lock().unwrap_or_else(PoisonError::into_inner).add(product);
        let damaged = table.scan(SEGMENTS, add).await?;
        Ok((details.into_inner().unwrap_or_else(PoisonError::into_inner), damaged))
    }

    /// The number of products with a detail.
    pub fn products(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn add(&mut self, product: Product) {
        let detail = ProductDetail {
            name: product.name,
            categories: product.categories.iter().map(ToString::to_string).collect(),
        };
        self.0.insert(product.product_id.to_string(), detail);
    }

    /// Those of a block of products.
    pub fn of(&self, products: Range<u32>, catalogue: &Catalogue) -> Self {
        let ids = products.map(|product| catalogue.id(ProductIx::new(product)));
        Self(ids.filter_map(|id| Some((id.to_owned(), self.0.get(id)?.clone()))).collect())
    }

    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub fn name(&self, product: &str) -> Option<&str> {
        self.0.get(product).map(|detail| detail.name.as_str())
    }

    pub fn categories(&self, product: &str) -> Vec<String> {
        self.0.get(product).map(|detail| detail.categories.clone()).unwrap_or_default()
    }

    pub fn encode(&self) -> Result<Vec<u8>, StageError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads what [`ProductDetails::encode`] wrote.
    ///
    /// # Errors
    /// [`StageError::Json`] if the bytes are not product details.
    pub fn decode(bytes: &[u8]) -> Result<Self, StageError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
