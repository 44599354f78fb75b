//! Files of products.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use nextbasket_domain::{Category, Money, Product, ProductError, ProductId};
use serde_json::Value;

use crate::columns::{Column, Kind};
use crate::error::ImportError;
use crate::options::Options;
use crate::price::Price;
use crate::purchases::read;
use crate::refusal::{Fault, Reason};
use crate::row::{Cell, Row};
use crate::summary::{Progress, Summary};
use crate::value;

/// What a file of products came to.
#[derive(Debug)]
pub struct Catalogue {
    /// The products, by id, dated [`Options::now`].
    pub products: Vec<Product>,
    /// The counts.
    pub summary: Summary,
}

/// Reads a file of products: `product_id`, `name`, `categories` (in CSV with `|` or `;` between them), `price`,
/// `currency`, `available` (yes if empty), `attributes` (JSON only), or JSON lines as `PUT /products` takes them
/// and `productId`. Of two records of one product the later counts. Otherwise as
/// [`read_purchases`](crate::read_purchases), but that a catalogue's price has to be right: one that is negative
/// or no number is refused, and zero is a price.
///
/// # Errors
/// As [`read_purchases`](crate::read_purchases).
pub fn read_products(
    reader: impl Read + Send,
    options: &Options,
    refused: &mut dyn Write,
    progress: &mut dyn FnMut(Progress),
) -> Result<Catalogue, ImportError> {
    let (gathered, layout, end) = read(reader, Kind::Products, options, refused, progress)?;
    let summary = Summary::of(Kind::Products, layout.form, end);
    Ok(Catalogue { products: gathered.products, summary })
}

/// The product of a record, and whether its price was rounded.
pub(crate) fn product(row: &Row<'_>, options: &Options) -> Result<(Product, bool), Fault> {
    let id = row
        .text(Column::ProductId)?
        .ok_or_else(|| Fault::of_cell(Reason::MissingProduct, Column::ProductId, "there is no product"))?;
    let product_id =
        ProductId::parse(&id).map_err(|error| fault(Reason::BadProduct, Column::ProductId, &error.into()))?;
    if options.skip_products.iter().any(|pattern| pattern.matches(&id)) {
        let message = "products of this code are to be left out";
        return Err(Fault::of_cell(Reason::SkippedProduct, Column::ProductId, message));
    }
    let name = row
        .text(Column::ProductName)?
        .ok_or_else(|| Fault::of_cell(Reason::MissingName, Column::ProductName, "there is no name"))?;
    Product::check_name(&name).map_err(|error| fault(Reason::BadName, Column::ProductName, &error))?;
    let price = value::price(row, options.currency)?;
    let rounded = matches!(price, Some(Price::Rounded(_)));
    let price = match price {
        None => None,
        Some(Price::Exact(money) | Price::Rounded(money)) => Some(money),
        Some(Price::Zero(currency)) => Money::new(0, currency).ok(),
        Some(Price::Negative | Price::Unreadable) => {
            return Err(Fault::of_cell(
                Reason::BadPrice,
                Column::Price,
                "the price must be a number from zero on",
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

fn fault(reason: Reason, column: Column, error: &ProductError) -> Fault {
    Fault::of_cell(reason, column, format!("{column} {error}"))
}

fn categories(row: &Row<'_>) -> Result<Vec<Category>, Fault> {
    const COLUMN: Column = Column::Categories;
    let names: Vec<&str> = match row.get(COLUMN) {
        Cell::Missing => Vec::new(),
        Cell::Text(text) => text.split(['|', ';']).map(str::trim).filter(|name| !name.is_empty()).collect(),
        Cell::Json(Value::String(name)) => vec![name],
        Cell::Json(value) => value
            .as_array()
            .and_then(|names| names.iter().map(Value::as_str).collect())
            .ok_or_else(|| Fault::of_cell(Reason::WrongType, COLUMN, "categories must be a list of texts"))?,
    };
    let bad = |error: ProductError| fault(Reason::BadCategories, COLUMN, &error);
    let categories = names.into_iter().map(Category::parse).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    Product::check_categories(&categories).map_err(bad)?;
    Ok(categories)
}

fn available(row: &Row<'_>) -> Result<bool, Fault> {
    const COLUMN: Column = Column::Available;
    if let Cell::Json(Value::Bool(available)) = row.get(COLUMN) {
        return Ok(*available);
    }
    match row.text(COLUMN)?.map(|text| text.to_ascii_lowercase()).as_deref() {
        None | Some("true" | "yes" | "y" | "1") => Ok(true),
        Some("false" | "no" | "n" | "0") => Ok(false),
        Some(_) => Err(Fault::of_cell(Reason::BadAvailable, COLUMN, "available must be true or false")),
    }
}

fn attributes(row: &Row<'_>) -> Result<BTreeMap<String, String>, Fault> {
    const COLUMN: Column = Column::Attributes;
    if matches!(row.get(COLUMN), Cell::Missing) {
        return Ok(BTreeMap::new());
    }
    let wrong = || Fault::of_cell(Reason::WrongType, COLUMN, "attributes must be a JSON object of texts");
    let pair = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let attributes: BTreeMap<_, _> =
        row.object(COLUMN).ok_or_else(wrong)?.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)?;
    Product::check_attributes(&attributes).map_err(|error| fault(Reason::BadAttributes, COLUMN, &error))?;
    Ok(attributes)
}
