//! A product of the catalogue.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::id::{MAX_ID_BYTES, check_text, name_type};
use crate::{IdError, Money, ProductId, Timestamp};

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 1_024;
/// The most categories of one product.
pub const MAX_CATEGORIES: usize = 10;
/// The longest category, in bytes of UTF-8.
pub const MAX_CATEGORY_BYTES: usize = 128;
/// The most attributes of one product.
pub const MAX_ATTRIBUTES: usize = 50;
/// The longest attribute value, in bytes of UTF-8.
pub const MAX_ATTRIBUTE_BYTES: usize = 1_024;

/// The most bytes that all attributes may have together, so that a page of a hundred products fits in an answer.
pub const MAX_ATTRIBUTES_BYTES: usize = 32_768;

/// Why a part of a product is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProductError {
    /// The text breaks a rule that ids have too.
    #[error(transparent)]
    Text(#[from] IdError),
    /// The text is too long.
    #[error("must be at most {limit} bytes of UTF-8")]
    TooLong { limit: usize },
    /// A category is named twice.
    #[error("must not name a category twice")]
    Repeated,
    /// There are too many of them.
    #[error("must be at most {limit}")]
    TooMany { limit: usize },
}

name_type! {
    /// A category by its name.
    Category, MAX_CATEGORY_BYTES, ProductError
}

/// A product as the catalogue holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    pub product_id: ProductId,
    /// What a shopper reads: up to [`MAX_NAME_BYTES`] bytes.
    pub name: String,
    /// Where it stands in the shop: up to [`MAX_CATEGORIES`], none twice.
    pub categories: Vec<Category>,
    /// Its price, if the shop tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Whether it may be recommended.
    pub available: bool,
    /// What else the shop wants back with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// When it was written last.
    pub updated_at: Timestamp,
}

impl Product {
    /// A name: 1 to [`MAX_NAME_BYTES`] bytes without control characters.
    pub fn check_name(name: &str) -> Result<(), ProductError> {
        Ok(check_text(name, MAX_NAME_BYTES)?)
    }

    /// Categories: at most [`MAX_CATEGORIES`], none twice.
    pub fn check_categories(categories: &[Category]) -> Result<(), ProductError> {
        if categories.len() > MAX_CATEGORIES {
            return Err(ProductError::TooMany { limit: MAX_CATEGORIES });
        }
        let mut sorted: Vec<_> = categories.iter().collect();
        sorted.sort_unstable();
        if sorted.array_windows().any(|[a, b]| a == b) {
            return Err(ProductError::Repeated);
        }
        Ok(())
    }

    /// Attributes: at most [`MAX_ATTRIBUTES`], names as ids, values up to [`MAX_ATTRIBUTE_BYTES`] bytes.
    pub fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), ProductError> {
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(ProductError::TooMany { limit: MAX_ATTRIBUTES });
        }
        let bytes: usize = attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_ATTRIBUTES_BYTES {
            return Err(ProductError::TooLong { limit: MAX_ATTRIBUTES_BYTES });
        }
        for (name, value) in attributes {
            check_text(name, MAX_ID_BYTES)?;
            if value.len() > MAX_ATTRIBUTE_BYTES {
                return Err(ProductError::TooLong { limit: MAX_ATTRIBUTE_BYTES });
            }
        }
        Ok(())
    }
}
