//! A record of a catalogue to a product.

use std::collections::{BTreeMap, BTreeSet};

use nextbasket_domain::{Category, Money, Product, ProductError, ProductId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::availability::is_available;
use crate::columns::FileColumn;
use crate::options::ImportOptions;
use crate::price::Price;
use crate::refusal::{RecordFault, RefusalReason};
use crate::row::{Row, RowCell};
use crate::rules::ReadingRules;
use crate::value::{self, Quantity};

/// The product of a record, and whether its price was rounded.
pub(crate) fn product(
    row: &Row<'_>,
    options: &ImportOptions,
    rules: &ReadingRules,
) -> Result<(Product, bool), RecordFault> {
    let id = row.required(FileColumn::ProductId, RefusalReason::MissingProduct, "the product is missing")?;
    let product_id = ProductId::parse(value::id_text(&id, FileColumn::ProductId)?)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadProduct, FileColumn::ProductId, error))?;
    if options.skip_products.iter().any(|pattern| pattern.matches(&id)) {
        return Err(RecordFault::skipped_product());
    }
    let name = row.required(FileColumn::ProductName, RefusalReason::MissingName, "the name is missing")?;
    Product::check_name(&name)
        .map_err(|error| RecordFault::of_value(RefusalReason::BadName, FileColumn::ProductName, error))?;
    let price = value::price(row, rules.currency, Quantity::Pieces(1), rules.decimal)?;
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
        categories: categories(row, &rules.categories)?,
        price,
        available: available(row)?,
        attributes,
        updated_at: options.now,
    };
    Ok((product, rounded))
}

/// The signs between the categories of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategorySeparators {
    /// Each character is one.
    #[serde(rename = "separator")]
    signs: String,
    /// A sign after this one is part of a name.
    #[serde(default)]
    escape: Option<char>,
}

impl Default for CategorySeparators {
    fn default() -> Self {
        Self { signs: "|;".to_owned(), escape: None }
    }
}

impl CategorySeparators {
    /// The categories of a cell. The parts of a path, `Coffee > Beans`, are categories, each of which is named once
    /// however many paths it is in.
    fn split(&self, text: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if self.signs.contains(character) {
                cells.push(String::new());
                continue;
            }
            let escaped = characters.next_if(|next| {
                Some(character) == self.escape && (self.signs.contains(*next) || *next == character)
            });
            if let Some(cell) = cells.last_mut() {
                cell.push(escaped.unwrap_or(character));
            }
        }
        parts(cells.iter().map(String::as_str))
    }
}

/// The categories of texts of which each is one or a path. Paths often have a part in common, which is named once; a
/// category that is named twice without any path stays a mistake.
fn parts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    const SIGN: &str = " > ";
    let (mut names, mut paths): (Vec<String>, bool) = (Vec::new(), false);
    for text in texts {
        paths |= text.contains(SIGN);
        names.extend(text.split(SIGN).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    }
    if paths {
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
    }
    names
}

fn categories(row: &Row<'_>, separators: &CategorySeparators) -> Result<Vec<Category>, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Categories;
    let names: Vec<String> = match row.get(COLUMN) {
        RowCell::Missing => Vec::new(),
        RowCell::Text(text) => separators.split(text),
        RowCell::Json(Value::String(text)) => parts(std::iter::once(text.as_str())),
        RowCell::Json(value) => {
            let name = |name: &Value| name.as_str().map(str::to_owned);
            value.as_array().and_then(|names| names.iter().map(name).collect()).ok_or_else(|| {
                RecordFault::of_cell(RefusalReason::WrongType, COLUMN, "categories must be a list of texts")
            })?
        }
    };
    let bad = |error: ProductError| RecordFault::of_value(RefusalReason::BadCategories, COLUMN, error);
    let categories =
        names.iter().map(|name| Category::parse(name)).collect::<Result<Vec<_>, _>>().map_err(bad)?;
    Product::check_categories(&categories).map_err(bad)?;
    Ok(categories)
}

fn available(row: &Row<'_>) -> Result<bool, RecordFault> {
    const COLUMN: FileColumn = FileColumn::Available;
    if let RowCell::Json(Value::Bool(available)) = row.get(COLUMN) {
        return Ok(*available);
    }
    let Some(text) = row.text(COLUMN)? else { return Ok(true) };
    is_available(&text).ok_or_else(|| {
        let message = "available must be true or false, a number in stock, or a word such as \"in stock\" or \"sold out\"";
        RecordFault::of_cell(RefusalReason::BadAvailable, COLUMN, message)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Guests;

    fn split(text: &str) -> Vec<String> {
        CategorySeparators::default().split(text)
    }

    #[test]
    fn the_parts_of_a_path_are_categories() {
        assert_eq!(split("Coffee > Beans"), ["Coffee", "Beans"]);
        assert_eq!(split("Coffee > Beans | Coffee > Filter; Sale"), ["Coffee", "Beans", "Filter", "Sale"]);
        assert_eq!(split("Food, Beverages & Tobacco > Coffee"), ["Food, Beverages & Tobacco", "Coffee"]);
        assert_eq!(split(" > Coffee >  > Beans >"), ["Coffee", "Beans >"]);
        assert_eq!(split("Age >3"), ["Age >3"]);
        assert_eq!(split("|;"), [""; 0]);
    }

    #[test]
    fn a_list_without_paths_may_not_name_a_category_twice() {
        assert_eq!(split("Coffee|Coffee"), ["Coffee", "Coffee"], "which is refused");
    }

    #[test]
    fn separators_can_be_part_of_a_name_when_they_are_escaped() {
        let commas = CategorySeparators { signs: ",".to_owned(), escape: Some('\\') };
        assert_eq!(commas.split(r"Bath\, Body > Soap, Sale|New"), ["Bath, Body", "Soap", "Sale|New"]);
        assert_eq!(commas.split(r"a\\, b\x"), [r"a\", r"b\x"]);
        assert_eq!(split(r"a\|b"), [r"a\", "b"]);
    }

    #[test]
    fn a_text_of_json_is_a_path_and_a_list_is_taken_as_it_is() {
        let read = |value: Value| {
            let mut row = Row::default();
            row.set_json(FileColumn::Categories, 0, &value, &Guests::default());
            let names = categories(&row, &CategorySeparators::default()).unwrap();
            names.iter().map(|category| category.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(read("Coffee > Beans > Coffee".into()), ["Coffee", "Beans"]);
        assert_eq!(read("Bath|Body".into()), ["Bath|Body"]);
        assert_eq!(read(serde_json::json!(["Coffee > Beans", "Sale"])), ["Coffee > Beans", "Sale"]);
    }
}
