//! Where an item of the products table is listed, and the condition that this has not changed.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::{Category, Product, ProductId};
use nextbasket_dynamodb::item::{Item, text};

use super::{AVAILABLE, CATEGORIES, CATEGORY, PRODUCT_ID, shelf};

/// Separates a product's id from the category in a pointer's key.
pub(super) const POINTER: char = '\u{1}';

/// The categories under which a product is listed, and on which shelves.
pub(super) struct Listing {
    /// The attributes of the item, of whatever type they are in a damaged one.
    categories: Option<AttributeValue>,
    available: Option<AttributeValue>,
    /// The shelf of the item itself; none in an item of a version that had no shelves.
    shelf: Option<AttributeValue>,
    /// The pointers: their keys and categories.
    pub(super) pointers: BTreeMap<String, Category>,
}

impl Listing {
    pub(super) fn of(product: &Product) -> Self {
        let further = product.categories.iter().skip(1);
        let pointer = |category: &Category| (pointer_key(&product.product_id, category), category.clone());
        Self {
            categories: Some(categories_value(product)),
            available: Some(AttributeValue::Bool(product.available)),
            shelf: Some(text(shelf::name(product.categories.first(), product.available))),
            pointers: further.map(pointer).collect(),
        }
    }

    /// The listing of a stored item, even a damaged one, as far as its categories can be read.
    pub(super) fn stored(item: &Item) -> Self {
        let categories = item.get(CATEGORIES).cloned();
        let listed = categories.as_ref().and_then(|categories| categories.as_l().ok());
        let id = item.get(PRODUCT_ID).and_then(|id| ProductId::parse(id.as_s().ok()?).ok());
        let pointer = |value: &AttributeValue| {
            let category = Category::parse(value.as_s().ok()?).ok()?;
            Some((pointer_key(id.as_ref()?, &category), category))
        };
        let pointers = listed.into_iter().flatten().skip(1).filter_map(pointer).collect();
        Self {
            categories,
            available: item.get(AVAILABLE).cloned(),
            shelf: item.get(shelf::SHELF).cloned(),
            pointers,
        }
    }

    /// Whether a pointer that both have is the same item in both.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        self.available == other.available && self.shelf.is_some() == other.shelf.is_some()
    }
}

fn pointer_key(id: &ProductId, category: &Category) -> String {
    format!("{id}{POINTER}{category}")
}

/// A pointer to a product under a further category.
pub(super) fn pointer(product: &Product, key: &str, category: &Category) -> Item {
    let mut item =
        Item::from([(PRODUCT_ID.to_owned(), text(key)), (CATEGORY.to_owned(), text(category.as_str()))]);
    item.extend(shelf::place(&product.product_id, Some(category), product.available));
    item
}

/// The condition under which the pointers that were read are still correct.
pub(super) struct ListingGuard {
    pub(super) condition: String,
    pub(super) values: Option<Item>,
}

impl ListingGuard {
    pub(super) fn unchanged(before: Option<&Listing>) -> Self {
        let Some(before) = before else {
            return Self { condition: "attribute_not_exists(productId)".to_owned(), values: None };
        };
        let mut condition = "attribute_exists(productId)".to_owned();
        let mut values = HashMap::new();
        let attributes = [
            (CATEGORIES, ":categories", &before.categories),
            (AVAILABLE, ":available", &before.available),
            (shelf::SHELF, ":shelf", &before.shelf),
        ];
        for (name, placeholder, value) in attributes {
            match value {
                None => condition.push_str(&format!(" AND attribute_not_exists({name})")),
                Some(value) => {
                    condition.push_str(&format!(" AND {name} = {placeholder}"));
                    values.insert(placeholder.to_owned(), value.clone());
                }
            }
        }
        Self { condition, values: (!values.is_empty()).then_some(values) }
    }
}

pub(super) fn categories_value(product: &Product) -> AttributeValue {
    AttributeValue::L(product.categories.iter().map(|category| text(category.as_str())).collect())
}
