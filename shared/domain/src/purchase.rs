//! A purchase: what one user bought at one time.

use serde::{Deserialize, Serialize};

use crate::{Money, ProductId, PurchaseId, RecommendationId, Timestamp, UserId, object};

/// The most lines of one purchase.
pub const MAX_LINES: usize = 1_000;
/// The largest quantity of one line.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// The most bytes that the product ids of one purchase may have together. DynamoDB's 400 KB hold for an item and its
/// entry in the local index together, and the rest of a thousand lines takes some 90 KB in each.
pub const MAX_PURCHASE_ID_BYTES: usize = 100_000;

/// Why lines make no purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PurchaseError {
    /// A purchase has at least one line.
    #[error("must have at least one line")]
    NoLines,
    #[error("must have at most 1000 lines, not {0}")]
    TooManyLines(usize),
    /// The ids are longer than [`MAX_PURCHASE_ID_BYTES`] together.
    #[error("must have at most 100000 bytes of product ids together, not {0}")]
    TooLarge(usize),
    /// A quantity is from 1 to [`MAX_QUANTITY`].
    #[error("must be from 1 to 1000000")]
    Quantity,
}

fn quantity<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let quantity = i64::deserialize(deserializer)?;
    Line::quantity(quantity).map_err(serde::de::Error::custom)
}

/// One product of a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    pub product_id: ProductId,
    /// How many, from 1 to [`MAX_QUANTITY`].
    #[serde(deserialize_with = "quantity")]
    pub quantity: u32,
    /// The price of one, if the shop tells.
    #[serde(default, deserialize_with = "object::optional", skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

impl Line {
    /// Takes a quantity from 1 to [`MAX_QUANTITY`].
    pub fn quantity(quantity: i64) -> Result<u32, PurchaseError> {
        match u32::try_from(quantity) {
            Ok(quantity) if (1..=MAX_QUANTITY).contains(&quantity) => Ok(quantity),
            _ => Err(PurchaseError::Quantity),
        }
    }
}

/// What one user bought at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchase {
    /// Unique among the user's purchases.
    pub purchase_id: PurchaseId,
    pub user_id: UserId,
    pub purchased_at: Timestamp,
    /// What: 1 to [`MAX_LINES`] lines.
    pub lines: Vec<Line>,
    /// The answer that led to it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation_id: Option<RecommendationId>,
}

impl Purchase {
    /// Checks what only the lines together can break: their number and their size.
    pub fn check_lines(lines: &[Line]) -> Result<(), PurchaseError> {
        if lines.is_empty() {
            return Err(PurchaseError::NoLines);
        }
        if lines.len() > MAX_LINES {
            return Err(PurchaseError::TooManyLines(lines.len()));
        }
        let bytes = lines.iter().map(|line| line.product_id.as_str().len()).sum();
        if bytes > MAX_PURCHASE_ID_BYTES {
            return Err(PurchaseError::TooLarge(bytes));
        }
        Ok(())
    }
}
