//! A record of a catalogue to a product.

use std::collections::BTreeMap;

use nextbasket_domain::{Category, Money, Product, ProductError, ProductId};
use serde_json::Value;

use crate::columns::FileColumn;
use crate::options::ImportOptions;
use crate::price::Price;
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::{Row, RowCell};
use crate::value;

/// The product of a record, and whether its price was rounded.
pub(crate) fn product(row: &Row<'_>, options: &ImportOptions) -> Result<(Product, bool), RecordFault> {
    let id = row.required(FileColumn::ProductId, RefusalReason::MissingProduct, "the product is missing")?;
    let product_id = ProductId::parse(&id)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadProduct, FileColumn::ProductId, error))?;
    if options.skip_products.iter().any(|pattern| pattern.matches(&id)) {
        return Err(RecordFault::skipped_product());
    }
    let name = row.required(FileColumn::ProductName, RefusalReason::MissingName, "the name is missing")?;
    Product::check_name(&name)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadName, FileColumn::ProductName, error))?;
    let price = value::price(row, options.currency)?;
    let rounded = matches!(price, Some(Price::Rounded(_)));
    let price = match price {
        None => None,
        Some(Price::Exact(money) | Price::Rounded(money)) => Some(money),
        Some(Price::Zero(currency)) => Money::new(0, currency).ok(),
        Some(Price::Negative | Price::Unreadable) => {
            let message = "the price must be a number of at least 0";
            return Err(RecordFault::of_cell(RefusalReason::BadPrice, FileColumn::Price, message));
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

fn categories(row: &Row<'_>) -> Result<Vec<Category>, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Categories;
    let names: Vec<&str> = match row.get(COLUMN) {
        RowCell::Missing => Vec::new(),
        RowCell::Text(text) => {
            text.split(['|', ';']).map(str::trim).filter(|name| !name.is_empty()).collect()
        }
        RowCell::Json(Value::String(name)) => vec![name],
        RowCell::Json(value) => {
            value.as_array().and_then(|names| names.iter().map(Value::as_str).collect()).ok_or_else(|| {
                RecordFault::of_cell(RefusalReason::WrongType, COLUMN, "categories must be a list of texts")
            })?
        }
    };
    let bad = |error: ProductError| RecordFault::of_value(RefusalReason::BadCategories, COLUMN, error);
    let categories = names.into_iter().map(Category::parse).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    Product::check_categories(&categories).map_err(bad)?;
    Ok(categories)
}

fn available(row: &Row<'_>) -> Result<bool, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Available;
    if let RowCell::Json(Value::Bool(available)) = row.get(COLUMN) {
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
    const COLUMN: FileColumn = FileColumn::Attributes;
    if matches!(row.get(COLUMN), RowCell::Missing) {
        return Ok(BTreeMap::new());
    }
    let wrong = || {
        RecordFault::of_cell(RefusalReason::WrongType, COLUMN, "attributes must be a JSON object of texts")
    };
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let attributes: BTreeMap<_, _> =
        row.object(COLUMN).ok_or_else(wrong)?.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)?;
    Product::check_attributes(&attributes)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadAttributes, COLUMN, error))?;
    Ok(attributes)
}
