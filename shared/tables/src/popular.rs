//! What is popular now: one list a window, counted anew between two trainings.
//!
//! The lists are stored in the model table under a partition key of their own, `popular`, with the window as sort key
//! (`week`), and beside them `current`, which says when they were made: that is all that has to be read to know
//! whether a list in memory is still the newest. Slots have other names, so a product of this id is no conflict.
//!
//! A list is one item of at most [`MAX_BYTES`]: six read units.

use std::collections::HashMap;

use nextbasket_domain::{Category, ProductId, Timestamp};
use nextbasket_dynamodb::item::{Item, ItemReader, bytes, number, text};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::history_codec::{put, take};
use crate::model::key;

const POPULAR: &str = "popular";
const CURRENT: &str = "current";
const MADE_AT: &str = "madeAt";
const NEWEST: &str = "newest";
const PURCHASES: &str = "purchases";
const LIST: &str = "list";

const FORMAT: u8 = 2;

/// The maximum size of a packed list.
pub const MAX_BYTES: usize = 48_000;

/// When the lists were made, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub at: Timestamp,
    /// The newest purchase that was counted.
    pub newest: Timestamp,
    /// How many purchases were counted.
    pub purchases: u64,
}

/// A product of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Popular {
    pub product_id: ProductId,
    /// The share of the window's purchases that hold it, by weight.
    pub share: f64,
    /// How many purchases of the window's days hold it, each counted as one.
    pub baskets: u32,
    /// At least so many shoppers made these purchases.
    pub shoppers: u32,
    /// Its categories when the list was made.
    pub categories: Vec<Category>,
}

/// A window's counts.
#[derive(Debug, Clone, PartialEq)]
pub struct PopularWindow {
    /// How many purchases were made in the window's days.
    pub purchases: u64,
    /// The products, the most popular first.
    pub products: Vec<Popular>,
}

/// The list of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct PopularList {
    pub made_at: Timestamp,
    /// The newest purchase that was counted: the window's days end with it.
    pub newest: Timestamp,
    /// How many purchases were made in the window's days.
    pub purchases: u64,
    /// The products, the most popular first.
    pub products: Vec<Popular>,
}

/// The lists in the model table.
#[derive(Debug, Clone)]
pub struct PopularTable {
    pub(crate) table: TableClient,
}

impl PopularTable {
    /// When the newest lists were made; `None` if none ever were. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not of the expected form.
    pub async fn made(&self) -> Result<Option<Made>, TableError> {
        let Some(mut reader) = self.get(CURRENT).await? else { return Ok(None) };
        Ok(Some(Made {
            at: reader.parsed(MADE_AT, Timestamp::parse)?,
            newest: reader.parsed(NEWEST, Timestamp::parse)?,
            purchases: reader.number(PURCHASES)?,
        }))
    }

    /// The newest list of the window, such as `week`; `None` if there is none. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a list of this version of the program.
    pub async fn list(&self, window: &str) -> Result<Option<PopularList>, TableError> {
        let Some(mut reader) = self.get(window).await? else { return Ok(None) };
        let made_at = reader.parsed(MADE_AT, Timestamp::parse)?;
        let newest = reader.parsed(NEWEST, Timestamp::parse)?;
        let purchases = reader.number(PURCHASES)?;
        let packed = reader.bytes(LIST)?;
        let products = unpack(&packed)
            .ok_or_else(|| reader.corrupt(LIST, "is not a packed list of this version of the program"))?;
        Ok(Some(PopularList { made_at, newest, purchases, products }))
    }

    /// Writes the lists by window, each cut to what fits, and then that they are there. Lists that are newer stay.
    /// Gives how many products of each were written.
    pub async fn put(&self, made: &Made, lists: &[(&str, PopularWindow)]) -> Result<Vec<usize>, TableError> {
        let mut written = Vec::with_capacity(lists.len());
        for (window, counted) in lists {
            let (packed, count) = pack(&counted.products);
            let list = Item::from([
                (PURCHASES.to_owned(), number(counted.purchases)),
                (LIST.to_owned(), bytes(packed)),
            ]);
            self.put_item(window, made, list).await?;
            written.push(count);
        }
        let head = Item::from([(PURCHASES.to_owned(), number(made.purchases))]);
        self.put_item(CURRENT, made, head).await?;
        Ok(written)
    }

    async fn put_item(&self, slot: &str, made: &Made, mut item: Item) -> Result<(), TableError> {
        item.extend(key(POPULAR, slot));
        item.insert(MADE_AT.to_owned(), text(made.at.to_string()));
        item.insert(NEWEST.to_owned(), text(made.newest.to_string()));
        let put = self
            .table
            .put(item)
            // A time that is not a string means that the item is damaged.
            .condition_expression(
                "attribute_not_exists(madeAt) OR madeAt <= :made OR NOT attribute_type(madeAt, :text)",
            )
            .expression_attribute_values(":made", text(made.at.to_string()))
            .expression_attribute_values(":text", text("S"));
        self.table.write_if(put.send().await).map(drop)
    }

    async fn get(&self, slot: &str) -> Result<Option<ItemReader<'_>>, TableError> {
        let item = self.table.get(key(POPULAR, slot), false).await?;
        Ok(item.map(|item| self.table.reader(format!("{POPULAR}/{slot}"), item)))
    }
}

/// As many of the products, from the first on, as fit, and how many that are.
///
/// Layout: format (2) · number of categories · per category: length, name · per product: length of its id, the id,
/// its share (8 bytes, little endian), its baskets and shoppers, number of its categories, their numbers. All numbers but the share
/// are LEB128.
fn pack(products: &[Popular]) -> (Vec<u8>, usize) {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let (mut names, mut body, mut count) = (Vec::new(), Vec::new(), 0);
    // The format, and the number of categories.
    let mut size = 6;
    for product in products {
        let (mut fresh, mut entry): (Vec<&str>, _) = (Vec::new(), Vec::new());
        put_text(&mut entry, product.product_id.as_str());
        entry.extend_from_slice(&product.share.to_le_bytes());
        put(&mut entry, usize::try_from(product.baskets).unwrap_or(usize::MAX));
        put(&mut entry, usize::try_from(product.shoppers).unwrap_or(usize::MAX));
        put(&mut entry, product.categories.len());
        for category in &product.categories {
            let name = category.as_str();
            let number = numbers.get(name).copied().unwrap_or_else(|| {
                numbers.len() + fresh.iter().position(|known| *known == name).unwrap_or(fresh.len())
            });
            if number == numbers.len() + fresh.len() {
                fresh.push(name);
            }
            put(&mut entry, number);
        }
        let fresh_bytes: usize = fresh.iter().map(|name| name.len() + 2).sum();
        size += entry.len() + fresh_bytes;
        if size > MAX_BYTES {
            break;
        }
        for name in fresh {
            put_text(&mut names, name);
            numbers.insert(name, numbers.len());
        }
        body.extend(entry);
        count += 1;
    }
    let mut packed = vec![FORMAT];
    put(&mut packed, numbers.len());
    packed.extend(names);
    packed.extend(body);
    (packed, count)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = take(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

/// Unpacks what [`pack`] made; `None` for anything else.
fn unpack(bytes: &[u8]) -> Option<Vec<Popular>> {
    let (&format, mut rest) = bytes.split_first()?;
    if format != FORMAT {
        return None;
    }
    let rest = &mut rest;
    let mut names = Vec::new();
    for _ in 0..take(rest)? {
        names.push(Category::parse(take_text(rest)?).ok()?);
    }
    let mut products = Vec::new();
    while !rest.is_empty() {
        let product_id = ProductId::parse(take_text(rest)?).ok()?;
        let (share, after) = rest.split_first_chunk::<8>()?;
        *rest = after;
        let baskets = u32::try_from(take(rest)?).ok()?;
        let shoppers = u32::try_from(take(rest)?).ok()?;
        let mut categories = Vec::new();
        for _ in 0..take(rest)? {
            categories.push(names.get(take(rest)?)?.clone());
        }
        products.push(Popular {
            product_id,
            share: f64::from_le_bytes(*share),
            baskets,
            shoppers,
            categories,
        });
    }
    Some(products)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn popular(id: &str, share: f64, baskets: u32, categories: &[&str]) -> Popular {
        Popular {
            product_id: ProductId::parse(id).unwrap(),
            share,
            baskets,
            shoppers: baskets / 2,
            categories: categories.iter().map(|name| Category::parse(name).unwrap()).collect(),
        }
    }

    #[test]
    fn a_thousand_products_with_usual_ids_fit() {
        let products: Vec<_> = (0..1_000)
            .map(|n| popular(&format!("coffee-{n:06}"), 1.0 / f64::from(n + 1), 10_000, &["coffee"]))
            .collect();
        let (packed, count) = pack(&products);
        assert_eq!(count, 1_000);
        assert!(packed.len() < 30_000, "{}", packed.len());
        assert_eq!(unpack(&packed), Some(products));
    }

    #[test]
    fn what_does_not_fit_is_the_least_popular() {
        let products: Vec<_> = (0..1_000)
            .map(|n| popular(&format!("{n:0200}"), 0.5, 7, &[&format!("category {n}"), "all of them"]))
            .collect();
        let (packed, count) = pack(&products);
        assert!(packed.len() <= MAX_BYTES && count > 180, "{} bytes, {count} products", packed.len());
        assert_eq!(unpack(&packed).as_deref(), products.get(..count));
    }

    proptest! {
        #[test]
        fn any_list_is_read_back(
            products in prop::collection::vec(
                ("[a-zä-ü/ ]{1,9}", 0.0..1.0, any::<u32>(), prop::collection::vec("[a-c]{1,2}", 0..4)), 0..40,
            ),
        ) {
            let products: Vec<_> = products
                .iter()
                .map(|(id, share, baskets, names)| {
                    popular(id, *share, *baskets, &names.iter().map(String::as_str).collect::<Vec<_>>())
                })
                .collect();
            let (packed, count) = pack(&products);
            prop_assert_eq!(count, products.len());
            prop_assert_eq!(unpack(&packed), Some(products));
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
        }
    }
}
