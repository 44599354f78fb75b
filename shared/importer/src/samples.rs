//! Purchases as they were understood, for a person to check.

use std::fmt;
use std::sync::Arc;

use nextbasket_domain::{Line, Money, ProductId, Purchase, PurchaseId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::price::decimals;
use crate::text::Grouped;

/// The number of purchases of a file that are shown.
const MAX_PURCHASES: usize = 3;
/// The number of lines that are shown of a purchase.
const MAX_LINES: usize = 5;

/// A line of a purchase as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleLine {
    pub product_id: ProductId,
    /// The product's name in this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub quantity: u32,
    /// The price of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Money>,
}

/// A purchase as it was understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SamplePurchase {
    pub purchased_at: Timestamp,
    pub user_id: UserId,
    pub purchase_id: PurchaseId,
    /// As many lines as a person looks at.
    pub lines: Vec<SampleLine>,
    /// The number of lines after those.
    pub more_lines: usize,
}

impl SamplePurchase {
    /// A purchase, and the names of its lines' products.
    fn new(purchase: &Purchase, names: &[Option<Arc<str>>]) -> Self {
        let sample = |(index, line): (usize, &Line)| SampleLine {
            product_id: line.product_id.clone(),
            name: names.get(index).and_then(Option::as_deref).map(str::to_owned),
            quantity: line.quantity,
            unit_price: line.unit_price,
        };
        Self {
            purchased_at: purchase.purchased_at,
            user_id: purchase.user_id.clone(),
            purchase_id: purchase.purchase_id.clone(),
            lines: purchase.lines.iter().enumerate().take(MAX_LINES).map(sample).collect(),
            more_lines: purchase.lines.len().saturating_sub(MAX_LINES),
        }
    }

    /// The first of purchases that are sorted by time, user and id.
    pub(crate) fn first<'p>(
        purchases: impl Iterator<Item = (&'p Purchase, &'p [Option<Arc<str>>])>,
    ) -> Vec<Self> {
        purchases.take(MAX_PURCHASES).map(|(purchase, names)| Self::new(purchase, names)).collect()
    }

    /// Keeps the first, by time, user and id: so they are the same however a file is divided.
    pub(crate) fn keep_first(samples: &mut Vec<Self>) {
        samples.sort_by(|a, b| {
            (a.purchased_at, &a.user_id, &a.purchase_id).cmp(&(b.purchased_at, &b.user_id, &b.purchase_id))
        });
        samples.truncate(MAX_PURCHASES);
    }
}

impl fmt::Display for SamplePurchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "    {}, user {}, purchase {}", self.purchased_at, self.user_id, self.purchase_id)?;
        for SampleLine { product_id, name, quantity, unit_price } in &self.lines {
            write!(f, "        {} × {product_id}", Grouped(u64::from(*quantity)))?;
            if let Some(name) = name {
                write!(f, " \"{name}\"")?;
            }
            match unit_price {
                Some(price) => {
                    writeln!(f, ", {} each", Amount(price.amount(), price.currency()))?;
                }
                None => writeln!(f, ", no price")?,
            }
        }
        if self.more_lines > 0 {
            writeln!(f, "        and {} more", self.more_lines)?;
        }
        Ok(())
    }
}

/// An amount of minor units, in words: `1,234.50 EUR`.
pub(crate) struct Amount(pub(crate) i64, pub(crate) nextbasket_domain::Currency);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(amount, currency) = self;
        let places = decimals(*currency);
        let (unit, width) = (10_u64.saturating_pow(places), usize::try_from(places).unwrap_or(0));
        let amount = amount.unsigned_abs();
        write!(f, "{}", Grouped(amount / unit))?;
        if places > 0 {
            write!(f, ".{:0width$}", amount % unit)?;
        }
        write!(f, " {}", currency.as_str())
    }
}

#[cfg(test)]
mod tests {
    use nextbasket_domain::Currency;

    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        let shown = |amount, code| Amount(amount, Currency::parse(code).unwrap()).to_string();
        assert_eq!(shown(123_450, "EUR"), "1,234.50 EUR");
        assert_eq!(shown(5, "GBP"), "0.05 GBP");
        assert_eq!(shown(1_980, "JPY"), "1,980 JPY");
        assert_eq!(shown(1_234, "KWD"), "1.234 KWD");
    }
}
