//! Parses a record, as far as that is possible without the others.

use std::borrow::Cow;
use std::sync::Arc;

use nextbasket_domain::{
    IdError, Line, Product, ProductId, Purchase, PurchaseId, RecommendationId, Timestamp, UserId,
};
use serde_json::Value;

use crate::baskets::LooseLine;
use crate::columns::{FileColumn, RecordKind};
use crate::group_hash::group_hash;
use crate::options::ImportOptions;
use crate::price::Price;
use crate::product_record::product;
use crate::record_reader::RecordReader;
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::Row;
use crate::rules::ReadingRules;
use crate::value::{self, Ids, Quantity, Times};

/// The content of a record.
pub(crate) enum ParsedRecord<'a> {
    /// A line of a purchase.
    Line(LooseLine, LineDetails<'a>),
    /// A whole purchase, what its lines say about products, and the number of skipped lines.
    Purchase(Purchase, Vec<LineDetails<'a>>, u64),
    /// A product of a catalogue, and whether its price was rounded.
    Product(Product, bool),
}

/// What a line says about its product, besides the line itself.
pub(crate) struct LineDetails<'a> {
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) price: Option<Price>,
    /// The quantity is a weight: the line counts as one piece.
    pub(crate) weighed: bool,
}

impl ParsedRecord<'_> {
    /// A number that all records of a purchase, or of a product, share.
    pub(crate) fn group(&self) -> u64 {
        match self {
            Self::Line(line, _) => group_hash(&[line.user_id.as_str(), line.purchase_id.as_str()]),
            Self::Purchase(purchase, ..) => {
                group_hash(&[purchase.user_id.as_str(), purchase.purchase_id.as_str()])
            }
            Self::Product(product, _) => group_hash(&[product.product_id.as_str()]),
        }
    }
}

/// Parses records one by one. The result for a record does not depend on the others.
pub(crate) struct RecordParser {
    kind: RecordKind,
    options: ImportOptions,
    rules: Arc<ReadingRules>,
    times: Times,
    users: Ids<UserId>,
    products: Ids<ProductId>,
}

impl RecordParser {
    pub(crate) fn new(kind: RecordKind, options: &ImportOptions, rules: Arc<ReadingRules>) -> Self {
        Self {
            kind,
            options: options.clone(),
            times: Times::new(rules.time.clone(), options.now),
            rules,
            users: Ids::new(),
            products: Ids::new(),
        }
    }

    pub(crate) fn parse<'a>(
        &mut self,
        records: &'a RecordReader<'_>,
    ) -> Result<ParsedRecord<'a>, RecordFault> {
        records.check_rules()?;
        let row = records.row();
        if self.kind == RecordKind::Products {
            return product(&row, &self.options, &self.rules)
                .map(|(product, rounded)| ParsedRecord::Product(product, rounded));
        }
        let user_id = self.user(&row)?;
        match row.lines {
            Some(lines) => self.purchase(records, &row, user_id, lines),
            None => self.loose_line(&row, user_id),
        }
    }

    /// The user; of an order of nobody in particular a visitor of its own.
    fn user(&mut self, row: &Row<'_>) -> Result<UserId, RecordFault> {
        const COLUMN: FileColumn = FileColumn::UserId;
        if row.guest {
            let message = "an order of a guest needs a basket id, or its lines would not be told apart";
            let basket = row.required(FileColumn::BasketId, RefusalReason::MissingUser, message)?;
            let basket = basket.strip_prefix('#').unwrap_or(&basket);
            let visitor = format!("guest-{}", value::id_text(basket, FileColumn::BasketId)?);
            return UserId::parse_new(&visitor)
                .map_err(|error| RecordFault::of_value(RefusalReason::BadUser, COLUMN, error));
        }
        let user = row.required(COLUMN, RefusalReason::MissingUser, "the user is missing")?;
        self.users.parse(&user, COLUMN, RefusalReason::BadUser, UserId::parse_new)
    }

    fn loose_line<'a>(&mut self, row: &Row<'a>, user_id: UserId) -> Result<ParsedRecord<'a>, RecordFault> {
        let product_id = self.product(row)?;
        if self.is_skipped(&product_id) {
            return Err(RecordFault::skipped_product());
        }
        let at = self.times.parse(row)?;
        let (line, shown) = self.line(row, product_id)?;
        let purchase_id = purchase_id(row, at)?;
        let recommendation_id = recommendation_id(row)?;
        Ok(ParsedRecord::Line(LooseLine { user_id, purchase_id, at, line, recommendation_id }, shown))
    }

    fn purchase<'a>(
        &mut self,
        records: &'a RecordReader<'_>,
        row: &Row<'a>,
        user_id: UserId,
        lines: &'a [Value],
    ) -> Result<ParsedRecord<'a>, RecordFault> {
        let mut left_out = 0;
        let (mut read, mut all_shown) = (Vec::with_capacity(lines.len()), Vec::with_capacity(lines.len()));
        for (index, line) in lines.iter().enumerate() {
            match self.line_of_purchase(records, line).map_err(|fault| fault.in_line(index))? {
                Some((line, shown)) => {
                    read.push(line);
                    all_shown.push(shown);
                }
                None => left_out += 1,
            }
        }
        let at = self.times.parse(row)?;
        let purchase = Purchase {
            purchase_id: purchase_id(row, at)?,
            user_id,
            purchased_at: at,
            lines: read,
            recommendation_id: recommendation_id(row)?,
        };
        if purchase.lines.is_empty() && left_out > 0 {
            return Err(RecordFault::skipped_product());
        }
        Purchase::check_lines(&purchase.lines).map_err(|error| {
            let reason =
                if purchase.lines.is_empty() { RefusalReason::NoLines } else { RefusalReason::PurchaseFull };
            RecordFault::of_record(reason, format!("lines {error}"))
        })?;
        Ok(ParsedRecord::Purchase(purchase, all_shown, left_out))
    }

    /// A line of a whole purchase; `None` if its product is to be skipped.
    fn line_of_purchase<'a>(
        &mut self,
        records: &'a RecordReader<'_>,
        line: &'a Value,
    ) -> Result<Option<(Line, LineDetails<'a>)>, RecordFault> {
        let object = line.as_object().ok_or_else(|| {
            RecordFault::of_cell(
                RefusalReason::WrongType,
                FileColumn::ProductId,
                "a line must be a JSON object",
            )
        })?;
        let row = records.row_of(object);
        let product_id = self.product(&row)?;
        if self.is_skipped(&product_id) {
            return Ok(None);
        }
        self.line(&row, product_id).map(Some)
    }

    fn product(&mut self, row: &Row<'_>) -> Result<ProductId, RecordFault> {
        const COLUMN: FileColumn = FileColumn::ProductId;
        let product = row.required(COLUMN, RefusalReason::MissingProduct, "the product is missing")?;
        self.products.parse(&product, COLUMN, RefusalReason::BadProduct, ProductId::parse)
    }

    fn is_skipped(&self, product_id: &ProductId) -> bool {
        self.options.skip_products.iter().any(|pattern| pattern.matches(product_id.as_str()))
    }

    fn line<'a>(&self, row: &Row<'a>, product_id: ProductId) -> Result<(Line, LineDetails<'a>), RecordFault> {
        let quantity = value::quantity(row, self.rules.decimal)?;
        let price = value::price(row, self.rules.currency, quantity, self.rules.decimal)?;
        let unit_price = match price {
            Some(Price::Exact(money) | Price::Rounded(money)) => Some(money),
            Some(Price::Negative) => {
                let message = "a negative price is an adjustment, not a purchase";
                let column = value::price_column(row);
                return Err(RecordFault::of_cell(RefusalReason::NegativePrice, column, message));
            }
            Some(Price::Zero(_) | Price::Unreadable) | None => None,
        };
        let name = match row.text(FileColumn::ProductName)? {
            Some(Cow::Borrowed(text)) => value::tidy_name(text),
            Some(Cow::Owned(number)) => Some(Cow::Owned(number)),
            None => None,
        };
        let weighed = matches!(quantity, Quantity::Weighed(_));
        let line = Line { product_id, quantity: quantity.pieces(), unit_price };
        Ok((line, LineDetails { name, price, weighed }))
    }
}

/// The basket's own id, or its time: ids have to be unique among the purchases of one user only.
fn purchase_id(row: &Row<'_>, at: Timestamp) -> Result<PurchaseId, RecordFault> {
    let id = row.text(FileColumn::BasketId)?.unwrap_or_else(|| at.to_string().into());
    // `#1001` is a shop's way to write the number 1001.
    let id = id.strip_prefix('#').unwrap_or(&id);
    PurchaseId::parse_new(value::id_text(id, FileColumn::BasketId)?)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadBasket, FileColumn::BasketId, error))
}

fn recommendation_id(row: &Row<'_>) -> Result<Option<RecommendationId>, RecordFault> {
    const COLUMN: FileColumn = FileColumn::RecommendationId;
    let bad = |error: IdError| RecordFault::of_value(RefusalReason::BadRecommendation, COLUMN, error);
    row.text(COLUMN)?.map(|text| RecommendationId::parse(&text).map_err(bad)).transpose()
}
