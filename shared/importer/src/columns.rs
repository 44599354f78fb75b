//! Which column of a file is which.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a file is a list of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum RecordKind {
    /// Lines of purchases, or whole purchases.
    #[default]
    Purchases,
    Products,
}

/// What a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileColumn {
    UserId,
    ProductId,
    Timestamp,
    /// How many; negative for a cancellation.
    Quantity,
    /// The price of one, in major units.
    Price,
    /// The price's currency, where it is not the same for the whole file.
    Currency,
    ProductName,
    /// What lines of one purchase have in common.
    BasketId,
    /// The answer that led to the purchase.
    RecommendationId,
    Categories,
    /// Whether the product may be recommended.
    Available,
    /// What else the shop wants back with a product (JSON only).
    Attributes,
}

impl FileColumn {
    pub(crate) const ALL: [Self; 12] = [
        Self::UserId,
        Self::ProductId,
        Self::Timestamp,
        Self::Quantity,
        Self::Price,
        Self::Currency,
        Self::ProductName,
        Self::BasketId,
        Self::RecommendationId,
        Self::Categories,
        Self::Available,
        Self::Attributes,
    ];

    /// Its name, as a file that needs no mapping has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::ProductId => "product_id",
            Self::Timestamp => "timestamp",
            Self::Quantity => "quantity",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::ProductName => "product_name",
            Self::BasketId => "basket_id",
            Self::RecommendationId => "recommendation_id",
            Self::Categories => "categories",
            Self::Available => "available",
            Self::Attributes => "attributes",
        }
    }

    /// The names, without case and punctuation, that mean this column without a mapping; the API's own among them.
    pub(crate) fn understood(self, kind: RecordKind) -> &'static [&'static str] {
        match (self, kind) {
            (Self::UserId, _) => &["userid"],
            (Self::ProductId, _) => &["productid"],
            (Self::Timestamp, _) => &["timestamp", "purchasedat"],
            (Self::Quantity, _) => &["quantity"],
            (Self::Price, _) => &["price", "unitprice"],
            (Self::Currency, _) => &["currency"],
            (Self::ProductName, RecordKind::Products) => &["productname", "name"],
            (Self::ProductName, RecordKind::Purchases) => &["productname"],
            (Self::BasketId, _) => &["basketid", "purchaseid"],
            (Self::RecommendationId, _) => &["recommendationid"],
            (Self::Categories, _) => &["categories", "category"],
            (Self::Available, _) => &["available"],
            (Self::Attributes, _) => &["attributes"],
        }
    }

    /// Parts of other shops' names for it: only ever suggested, since `date` may be one of delivery.
    pub(crate) fn akin(self) -> &'static [&'static str] {
        match self {
            Self::UserId => {
                &["customer", "user", "client", "buyer", "member", "shopper", "visitor", "account"]
            }
            Self::ProductId => &["product", "stockcode", "sku", "item", "article", "asin"],
            Self::Timestamp => &["timestamp", "date", "time", "createdat", "purchased", "ordered"],
            Self::Quantity => &["quantity", "qty", "count", "units"],
            Self::Price => &["price", "amount", "cost"],
            Self::Currency => &["currency"],
            Self::ProductName => &["name", "description", "title"],
            Self::BasketId => &["basket", "invoice", "order", "transaction", "receipt", "purchase"],
            Self::RecommendationId => &["recommendation"],
            Self::Categories => &["categor", "department"],
            Self::Available => &["available", "stock"],
            Self::Attributes => &["attribute"],
        }
    }

    /// The columns that files of a kind have.
    pub(crate) fn of(kind: RecordKind) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |column| match column {
            Self::ProductId | Self::Price | Self::Currency | Self::ProductName => true,
            Self::Categories | Self::Available | Self::Attributes => kind == RecordKind::Products,
            _ => kind == RecordKind::Purchases,
        })
    }

    /// Those without which a file is nothing.
    pub(crate) fn required(kind: RecordKind) -> &'static [Self] {
        match kind {
            RecordKind::Purchases => &[Self::UserId, Self::ProductId, Self::Timestamp],
            RecordKind::Products => &[Self::ProductId, Self::ProductName],
        }
    }
}

impl fmt::Display for FileColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
