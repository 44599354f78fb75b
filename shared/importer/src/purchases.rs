//! Files of purchases.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{Read, Write};

use nextbasket_domain::{
    IdError, Line, Product, ProductId, Purchase, PurchaseId, RecommendationId, Timestamp, UserId,
};
use serde_json::Value;

use crate::baskets::{Baskets, LooseLine};
use crate::columns::{Column, Kind};
use crate::error::ImportError;
use crate::found::Found;
use crate::options::Options;
use crate::price::Price;
use crate::reading::{self, count};
use crate::records::Records;
use crate::refusal::{Fault, Reason};
use crate::row::Row;
use crate::summary::{Prices, Progress, Summary};
use crate::value::{self, Ids, Times};

/// What a file of purchases came to.
#[derive(Debug)]
pub struct Import {
    /// The purchases, oldest first; those of one time by user and id.
    pub purchases: Vec<Purchase>,
    /// The products of their lines, by id: with the newest name and price, without categories. Where no line
    /// names a product, its id is its name, which is no reason to overwrite a catalogue's.
    pub products: Vec<Product>,
    /// The counts.
    pub summary: Summary,
}

/// Reads a file of purchases. What is refused goes to `refused`, one JSON object a line; that writer should be
/// buffered. `progress` is called every few thousand records and at the end.
///
/// # Errors
/// [`ImportError`] if the file is of a form that is not read, lacks a column, or the refused records cannot be
/// written. A file that breaks off is no error: see [`Summary::ended_early`].
pub fn read_purchases(
    reader: impl Read,
    options: &Options,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Import, ImportError> {
    let mut reading = Reading::new(options);
    let mut summary =
        reading::read(reader, Kind::Purchases, options, refused, progress, |records| reading.take(records))?;
    summary.merged = reading.merged;
    summary.skipped_lines = reading.skipped_lines;
    summary.prices = reading.prices;
    summary.service_like = reading.found.service_like();
    summary.unnamed_products = count(reading.found.unnamed());
    let products = reading.found.into_products();
    let purchases = reading.baskets.into_purchases();
    summary.purchases = count(purchases.len());
    summary.products = count(products.len());
    summary.users = count(purchases.iter().map(|purchase| &purchase.user_id).collect::<HashSet<_>>().len());
    summary.period =
        purchases.first().zip(purchases.last()).map(|(first, last)| (first.purchased_at, last.purchased_at));
    Ok(Import { purchases, products, summary })
}

/// What has been read so far.
struct Reading<'o> {
    options: &'o Options,
    times: Times,
    users: Ids<UserId>,
    products: Ids<ProductId>,
    baskets: Baskets,
    found: Found,
    merged: u64,
    skipped_lines: u64,
    prices: Prices,
}

/// A line, and what the catalogue learns from it.
struct ReadLine<'a> {
    line: Line,
    name: Option<Cow<'a, str>>,
    price: Option<Price>,
}

impl<'o> Reading<'o> {
    fn new(options: &'o Options) -> Self {
        Self {
            options,
            times: Times::new(options),
            users: Ids::new(),
            products: Ids::new(),
            baskets: Baskets::default(),
            found: Found::new(),
            merged: 0,
            skipped_lines: 0,
            prices: Prices::default(),
        }
    }

    fn take(&mut self, records: &Records<'_>) -> Result<(), Fault> {
        let row = records.row();
        let user_id = self
            .users
            .parse(&row, Column::UserId, Reason::BadUser, UserId::parse)?
            .ok_or_else(|| Fault::of_cell(Reason::MissingUser, Column::UserId, "there is no user"))?;
        match row.lines {
            Some(lines) => self.take_purchase(records, &row, user_id, lines),
            None => self.take_line(&row, user_id),
        }
    }

    fn take_line(&mut self, row: &Row<'_>, user_id: UserId) -> Result<(), Fault> {
        let product_id = self.product(row)?;
        if self.is_skipped(&product_id) {
            return Err(skipped());
        }
        let at = self.times.parse(row)?;
        let ReadLine { line, name, price } = self.line(row, product_id)?;
        let purchase_id = purchase_id(row, at)?;
        let recommendation_id = recommendation_id(row)?;
        let (product_id, unit_price) = (line.product_id.clone(), line.unit_price);
        let loose = LooseLine { user_id, purchase_id, at, line, recommendation_id };
        self.merged += u64::from(self.baskets.add_line(loose)?);
        self.found.note(&product_id, at, name.as_deref(), unit_price);
        self.count_price(price);
        Ok(())
    }

    fn take_purchase(
        &mut self,
        records: &Records<'_>,
        row: &Row<'_>,
        user_id: UserId,
        lines: &[Value],
    ) -> Result<(), Fault> {
        let mut skipped_lines = 0;
        let mut read = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            match self.line_of_purchase(records, line).map_err(|fault| fault.in_line(index))? {
                Some(line) => read.push(line),
                None => skipped_lines += 1,
            }
        }
        let at = self.times.parse(row)?;
        let purchase = Purchase {
            purchase_id: purchase_id(row, at)?,
            user_id,
            purchased_at: at,
            lines: read.iter().map(|read| read.line.clone()).collect(),
            recommendation_id: recommendation_id(row)?,
        };
        if purchase.lines.is_empty() && skipped_lines > 0 {
            return Err(skipped());
        }
        Purchase::check_lines(&purchase.lines).map_err(|error| {
            let reason = if purchase.lines.is_empty() { Reason::NoLines } else { Reason::PurchaseFull };
            Fault::of_record(reason, format!("lines {error}"))
        })?;
        self.baskets.add_purchase(purchase)?;
        self.skipped_lines += skipped_lines;
        for ReadLine { line, name, price } in read {
            self.found.note(&line.product_id, at, name.as_deref(), line.unit_price);
            self.count_price(price);
        }
        Ok(())
    }

    /// A line of a whole purchase; nothing if its product is to be skipped.
    fn line_of_purchase<'a>(
        &mut self,
        records: &'a Records<'_>,
        line: &'a Value,
    ) -> Result<Option<ReadLine<'a>>, Fault> {
        let object = line.as_object().ok_or_else(|| {
            Fault::of_cell(Reason::WrongType, Column::ProductId, "a line must be a JSON object")
        })?;
        let row = records.row_of(object);
        let product_id = self.product(&row)?;
        if self.is_skipped(&product_id) {
            return Ok(None);
        }
        self.line(&row, product_id).map(Some)
    }

    fn product(&mut self, row: &Row<'_>) -> Result<ProductId, Fault> {
        self.products
            .parse(row, Column::ProductId, Reason::BadProduct, ProductId::parse)?
            .ok_or_else(|| Fault::of_cell(Reason::MissingProduct, Column::ProductId, "there is no product"))
    }

    fn is_skipped(&self, product_id: &ProductId) -> bool {
        self.options.skip_products.iter().any(|pattern| pattern.matches(product_id.as_str()))
    }

    fn line<'a>(&self, row: &Row<'a>, product_id: ProductId) -> Result<ReadLine<'a>, Fault> {
        let quantity = value::quantity(row)?;
        let price = value::price(row, self.options.currency)?;
        let unit_price = match price {
            Some(Price::Exact(money) | Price::Rounded(money)) => Some(money),
            Some(Price::Negative) => {
                let message = "a negative price is an adjustment, not a purchase";
                return Err(Fault::of_cell(Reason::NegativePrice, Column::Price, message));
            }
            Some(Price::Zero(_) | Price::Unreadable) | None => None,
        };
        let name = match row.text(Column::ProductName)? {
            Some(Cow::Borrowed(text)) => value::tidy_name(text),
            Some(Cow::Owned(number)) => Some(Cow::Owned(number)),
            None => None,
        };
        Ok(ReadLine { line: Line { product_id, quantity, unit_price }, name, price })
    }

    fn count_price(&mut self, price: Option<Price>) {
        match price {
            Some(Price::Zero(_)) => self.prices.zero += 1,
            Some(Price::Unreadable) => self.prices.unreadable += 1,
            Some(Price::Rounded(_)) => self.prices.rounded += 1,
            Some(Price::Exact(_) | Price::Negative) | None => {}
        }
    }
}

fn skipped() -> Fault {
    Fault::of_cell(Reason::SkippedProduct, Column::ProductId, "products of this code are to be left out")
}

/// The basket's own id, or its time: an id is unique among its user's purchases only.
fn purchase_id(row: &Row<'_>, at: Timestamp) -> Result<PurchaseId, Fault> {
    const COLUMN: Column = Column::BasketId;
    let bad = |error: IdError| Fault::of_cell(Reason::BadBasket, COLUMN, format!("{COLUMN} {error}"));
    match row.text(COLUMN)? {
        Some(text) => PurchaseId::parse(&text).map_err(bad),
        None => PurchaseId::parse(&at.to_string()).map_err(bad),
    }
}

fn recommendation_id(row: &Row<'_>) -> Result<Option<RecommendationId>, Fault> {
    const COLUMN: Column = Column::RecommendationId;
    let bad = |error: IdError| Fault::of_cell(Reason::BadRecommendation, COLUMN, format!("{COLUMN} {error}"));
    row.text(COLUMN)?.map(|text| RecommendationId::parse(&text).map_err(bad)).transpose()
}
