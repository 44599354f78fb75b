//! Which column of a file is which.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a file is a list of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RecordKind {
    /// Lines of purchases, or whole purchases.
    #[default]
    Purchases,
    /// Products of the catalogue.
    Products,
}

/// What a column can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileColumn {
    UserId,
    ProductId,
    Timestamp,
    /// The time of day, where the file has it beside the date.
    TimeOfDay,
    /// How many; negative for a cancellation.
    Quantity,
    /// The price of one, in major units.
    Price,
    /// The price of the whole line, in major units.
    LineTotal,
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
    pub(crate) const ALL: [Self; 14] = [
        Self::UserId,
        Self::ProductId,
        Self::Timestamp,
        Self::TimeOfDay,
        Self::Quantity,
        Self::Price,
        Self::LineTotal,
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
            Self::TimeOfDay => "time_of_day",
            Self::LineTotal => "line_total",
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
            (Self::TimeOfDay, _) => &["timeofday"],
            (Self::LineTotal, _) => &["linetotal"],
            (Self::Currency, _) => &["currency"],
            (Self::ProductName, RecordKind::Products) => &["productname", "name"],
            (Self::ProductName, RecordKind::Purchases) => &["productname"],
            (Self::BasketId, _) => {
                &["basketid", "bestellnummer", "auftragsnummer", "rechnungsnummer", "bonnummer", "purchaseid"]
            }
            (Self::RecommendationId, _) => &["recommendationid"],
            (Self::Categories, _) => &["categories", "category"],
            (Self::Available, _) => &["available"],
            (Self::Attributes, _) => &["attributes"],
        }
    }

    /// Parts of other shops' names for it, without case and punctuation, the likeliest first: only ever suggested.
    pub(crate) fn akin(self) -> &'static [&'static str] {
        match self {
            Self::UserId => &[
                "customerid",
                "userid",
                "visitorid",
                "memberid",
                "clientid",
                "shopperid",
                "buyerid",
                "householdid",
                "householdkey",
                "customeruniqueid",
                "email",
                "custcode",
                "customer",
                "user",
                "client",
                "buyer",
                "member",
                "shopper",
                "visitor",
                "household",
                "account",
                "kunde",
            ],
            Self::ProductId => &[
                "productid",
                "sku",
                "stockcode",
                "itemid",
                "articleid",
                "asin",
                "prodcode",
                "product",
                "item",
                "article",
                "artikel",
            ],
            Self::Timestamp => &[
                "timestamp",
                "purchasedat",
                "purchasedate",
                "orderdate",
                "invoicedate",
                "createdat",
                "purchased",
                "ordered",
                "eventtime",
                "datetime",
                "date",
                "datum",
                "time",
            ],
            Self::Quantity => &["quantity", "qty", "anzahl", "menge", "units"],
            Self::Price => &["unitprice", "itemprice", "itemcost", "price", "preis"],
            Self::LineTotal => &["linetotal", "rowtotal", "salesvalue", "grosssales"],
            Self::Currency => &["currency"],
            Self::ProductName => &[
                "productname",
                "itemname",
                "lineitemname",
                "description",
                "producttitle",
                "title",
                "artikelname",
                "bezeichnung",
            ],
            Self::BasketId => &[
                "basketid",
                "invoiceno",
                "orderid",
                "ordernumber",
                "transactionid",
                "receipt",
                "invoice",
                "basket",
                "order",
                "transaction",
            ],
            Self::RecommendationId => &["recommendation"],
            Self::Categories => &["categor", "department"],
            Self::Available => &["available", "availability", "instock"],
            Self::Attributes => &["attribute"],
            Self::TimeOfDay => &[],
        }
    }

    /// Parts of names that show that a column is something else.
    pub(crate) fn alien(self) -> &'static [&'static str] {
        match self {
            Self::UserId => &[
                "name", "note", "phone", "address", "city", "zip", "state", "country", "agent", "type",
                "segment", "age", "comment",
            ],
            Self::Timestamp => &[
                "reorder",
                "ship",
                "deliver",
                "limit",
                "approved",
                "estimated",
                "updat",
                "birth",
                "since",
                "zone",
                "week",
                "card",
                "paid",
                "cancel",
                "refund",
                "expir",
                "number",
                "status",
                "timeofday",
            ],
            Self::ProductId => &[
                "name",
                "title",
                "description",
                "price",
                "cost",
                "quantity",
                "qty",
                "count",
                "date",
                "total",
                "category",
                "type",
                "discount",
                "#",
                "sold",
                "amount",
                "weight",
            ],
            Self::Quantity => &["discount", "refund", "total", "price"],
            Self::Price => {
                &["total", "shipping", "freight", "tax", "discount", "list", "compare", "sensitiv", "range"]
            }
            Self::LineTotal => &["tax", "discount", "order"],
            Self::ProductName => {
                &["customer", "billing", "shipping", "first", "last", "user", "file", "store", "job"]
            }
            Self::BasketId => &[
                "date", "time", "status", "total", "amount", "verified", "reorder", "cart", "note", "item",
                "dow", "hour", "type", "tax", "refund", "currency", "price", "count", "size", "by",
            ],
            _ => &[],
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
