//! A record of a catalogue to a product.

use std::collections::BTreeMap;

use nextbasket_domain::{Category, Money, Product, ProductError, ProductId};
use serde_json::Value;

use crate::columns::Column;
use crate::options::Options;
use crate::price::Price;
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::{Cell, Row};
use crate::value;

/// The product of a record, and whether its price was rounded.
pub(crate) fn product(row: &Row<'_>, options: &Options) -> Result<(Product, bool), RecordFault> {
    let id = row.text(Column::ProductId)?.ok_or_else(|| {
        RecordFault::of_cell(RefusalReason::MissingProduct, Column::ProductId, "the product is missing")
    })?;
    let product_id = ProductId::parse(&id)
        .map_err(|error| fault(RefusalReason::BadProduct, Column::ProductId, &error.into()))?;
    if options.skip_products.iter().any(|pattern| pattern.matches(&id)) {
        let message = "products with this code are skipped";
        return Err(RecordFault::of_cell(RefusalReason::SkippedProduct, Column::ProductId, message));
    }
    let name = row.text(Column::ProductName)?.ok_or_else(|| {
        RecordFault::of_cell(RefusalReason::MissingName, Column::ProductName, "the name is missing")
    })?;
    Product::check_name(&name).map_err(|error| fault(RefusalReason::BadName, Column::ProductName, &error))?;
    let price = value::price(row, options.currency)?;
    let rounded = matches!(price, Some(Price::Rounded(_)));
    let price = match price {
        None => None,
        Some(Price::Exact(money) | Price::Rounded(money)) => Some(money),
        Some(Price::Zero(currency)) => Money::new(0, currency).ok(),
        Some(Price::Negative | Price::Unreadable) => {
            return Err(RecordFault::of_cell(
                RefusalReason::BadPrice,
                Column::Price,
                "the price must be a number of at least 0",
            ));
        }
    };
    let attributes = attributes(row)?;
    let product = Product {
        product_id,
        name: name.into_owned(),
        categories: categories(row)?,
        price,
        available: available(row)?,
        attributes,
        updated_at: options.now,
    };
    Ok((product, rounded))
}

fn fault(reason: RefusalReason, column: Column, error: &ProductError) -> RecordFault {
    RecordFault::of_cell(reason, column, format!("{column} {error}"))
}

fn categories(row: &Row<'_>) -> Result<Vec<Category>, RecordFault> {
    const COLUMN: Column = Column::Categories;
    let names: Vec<&str> = match row.get(COLUMN) {
        Cell::Missing => Vec::new(),
        Cell::Text(text) => text.split(['|', ';']).map(str::trim).filter(|name| !name.is_empty()).collect(),
        Cell::Json(Value::String(name)) => vec![name],
        Cell::Json(value) => {
            value.as_array().and_then(|names| names.iter().map(Value::as_str).collect()).ok_or_else(|| {
                RecordFault::of_cell(RefusalReason::WrongType, COLUMN, "categories must be a list of texts")
            })?
        }
    };
    let bad = |error: ProductError| fault(RefusalReason::BadCategories, COLUMN, &error);
    let categories = names.into_iter().map(Category::parse).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    Product::check_categories(&categories).map_err(bad)?;
    Ok(categories)
}

fn available(row: &Row<'_>) -> Result<bool, RecordFault> {
    const COLUMN: Column = Column::Available;
    if let Cell::Json(Value::Bool(available)) = row.get(COLUMN) {
        return Ok(*available);
    }
    match row.text(COLUMN)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("true" | "yes" | "y" | "1") => Ok(true),
        Some("false" | "no" | "n" | "0") => Ok(false),
        Some(_) => {
            Err(RecordFault::of_cell(RefusalReason::BadAvailable, COLUMN, "available must be true or false"))
        }
    }
}

fn attributes(row: &Row<'_>) -> Result<BTreeMap<String, String>, RecordFault> {
    const COLUMN: Column = Column::Attributes;
    if matches!(row.get(COLUMN), Cell::Missing) {
        return Ok(BTreeMap::new());
    }
    let wrong = || {
        RecordFault::of_cell(RefusalReason::WrongType, COLUMN, "attributes must be a JSON object of texts")
    };
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let attributes: BTreeMap<_, _> =
        row.object(COLUMN).ok_or_else(wrong)?.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)?;
    Product::check_attributes(&attributes)
        .map_err(|error| fault(RefusalReason::BadAttributes, COLUMN, &error))?;
    Ok(attributes)
}
