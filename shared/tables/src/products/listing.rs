//! The categories under which an item of the products table is listed, and the condition that they have not changed.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{Category, Product};
use nextbasket_dynamodb::item::{Item, text};

use super::{CATEGORIES, PRODUCT_ID};

/// Separates a product's id from the category in a pointer's key.
pub(super) const POINTER: char = '\u{1}';

/// The categories under which a product is listed.
pub(super) struct Listing {
    /// The attribute of the item, of whatever type that is in a damaged one.
    pub(super) categories: Option<AttributeValue>,
    /// The pointers: their keys and categories.
    pub(super) pointers: BTreeMap<String, Category>,
}

impl Listing {
    pub(super) fn of(product: &Product) -> Self {
        let further = product.categories.iter().skip(1);
        let pointer =
            |category: &Category| (format!("{}{POINTER}{category}", product.product_id), category.clone());
        Self { categories: Some(categories_value(product)), pointers: further.map(pointer).collect() }
    }

    /// The listing of a stored item, even a damaged one, as far as its categories can be read.
    pub(super) fn stored(item: &Item) -> Self {
        let categories = item.get(CATEGORIES).cloned();
        let listed = categories.as_ref().and_then(|categories| categories.as_l().ok());
        let id = item.get(PRODUCT_ID).and_then(|id| id.as_s().ok()).cloned().unwrap_or_default();
        let pointer = |value: &AttributeValue| {
            let category = Category::parse(value.as_s().ok()?).ok()?;
            Some((format!("{id}{POINTER}{category}"), category))
        };
        let pointers = listed.into_iter().flatten().skip(1).filter_map(pointer).collect();
        Self { categories, pointers }
    }
}

/// The condition under which the pointers that were read are still correct.
pub(super) struct ListingGuard {
    pub(super) condition: &'static str,
    pub(super) values: Option<Item>,
}

impl ListingGuard {
    pub(super) fn unchanged(before: Option<&Listing>) -> Self {
        match before.map(|before| &before.categories) {
            None => Self { condition: "attribute_not_exists(productId)", values: None },
            Some(None) => Self {
                condition: "attribute_exists(productId) AND attribute_not_exists(categories)",
                values: None,
            },
            Some(Some(categories)) => Self {
                condition: "categories = :before",
                values: Some(HashMap::from([(":before".to_owned(), categories.clone())])),
            },
        }
    }
}

pub(super) fn categories_value(product: &Product) -> AttributeValue {
    AttributeValue::L(product.categories.iter().map(|category| text(category.as_str())).collect())
}
