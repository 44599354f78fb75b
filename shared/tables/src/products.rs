//! The products table: the catalogue, by id and by category.
//!
//! A product's item is found in the index `byCategory` under its first category. For each further category the
//! table holds a pointer: an item under `productId U+0001 category` with nothing but its key and that category.
//! Ids hold no control characters, so no product can be mistaken for a pointer. A product and its pointers change
//! in one transaction.
//!
//! Both also stand in the index `byShelf`, where the available ones are apart from the others: see [`shelf`].

mod listing;
pub mod shelf;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use nextbasket_domain::{Category, Product, ProductId, Timestamp};

use nextbasket_dynamodb::bulk::Consistency;
use nextbasket_dynamodb::item::{Item, ItemReader, money_from_value, money_to_value, text};
use nextbasket_dynamodb::{TableClient, TableError};

use crate::damaged::{self, Damaged, Readable};
use listing::{Listing, ListingGuard, POINTER, categories_value, pointer};

const BY_CATEGORY: &str = "byCategory";
const PRODUCT_ID: &str = "productId";
const NAME: &str = "name";
const CATEGORIES: &str = "categories";
const CATEGORY: &str = "category";
const PRICE: &str = "price";
const AVAILABLE: &str = "available";
const ATTRIBUTES: &str = "attributes";
const UPDATED_AT: &str = "updatedAt";

const KEYS: &[&str] = &[PRODUCT_ID];

/// How many items a scan looks at in a call: pointers are among them.
const SCAN_PAGE: i32 = 100;

/// How often a change is tried again because others changed the product meanwhile.
const ATTEMPTS: usize = 8;

/// Where a page of products ended: the key of its last item, which may be a pointer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CataloguePosition(String);

impl CataloguePosition {
    /// The position of a product in the list of a category, or of all products.
    #[must_use]
    pub fn of(product: &Product, category: Option<&Category>) -> Self {
        let id = &product.product_id;
        Self(match category {
            Some(category) if product.categories.first() != Some(category) => {
                format!("{id}{POINTER}{category}")
            }
            _ => id.to_string(),
        })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, category) = text.split_once(POINTER).unwrap_or((text, "-"));
        (ProductId::parse(id).is_ok() && Category::parse(category).is_ok()).then(|| Self(text.to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CataloguePage {
    pub products: Vec<Product>,
    /// The damaged items among them.
    pub damaged: Vec<Damaged>,
    /// Where the page ended, if there are more.
    pub end: Option<CataloguePosition>,
}

#[derive(Debug, Clone)]
pub struct ProductsTable {
    pub(crate) table: TableClient,
}

impl ProductsTable {
    /// The product, strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a product.
    pub async fn get(&self, id: &ProductId) -> Result<Option<Product>, TableError> {
        self.item(id).await?.map(|item| from_item(&self.table, item)).transpose()
    }

    async fn item(&self, id: &ProductId) -> Result<Option<Item>, TableError> {
        self.table.get(key(id.as_str()), true).await
    }

    /// The products of these ids that are there, in no order. Eventually consistent.
    pub async fn cards(&self, ids: &[ProductId]) -> Result<Readable<Product>, TableError> {
        let keys = ids.iter().map(|id| key(id.as_str())).collect();
        let items = self.table.read_batch(keys, Consistency::Eventual).await?;
        Ok(Readable::of(&self.table, KEYS, Some(items), |item| from_item(&self.table, item)))
    }

    /// Writes the product over the item with its id, even a damaged one; returns whether the product is new.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it or others keep changing it.
    pub async fn put(&self, product: &Product) -> Result<bool, TableError> {
        let after = Listing::of(product);
        for _ in 0..ATTEMPTS {
            let before = self.item(&product.product_id).await?.map(|item| Listing::stored(&item));
            let same = match &before {
                Some(before) if after.pointers.is_empty() => before.pointers.is_empty(),
                Some(before) => before.pointers == after.pointers && before.agrees_with(&after),
                None => after.pointers.is_empty(),
            };
            let done = if same {
                self.put_item(product, before.as_ref()).await?
            } else {
                self.transact(&product.product_id, before.as_ref(), Some(product)).await?
            };
            if done {
                return Ok(before.is_none());
            }
        }
        Err(self.contended(&product.product_id))
    }

    /// Writes the product if there is none under its id; tells whether it did.
    pub async fn put_new(&self, product: &Product) -> Result<bool, TableError> {
        if Listing::of(product).pointers.is_empty() {
            self.put_item(product, None).await
        } else {
            self.transact(&product.product_id, None, Some(product)).await
        }
    }

    /// Removes the product, even a damaged one; does nothing if it does not exist.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it or others keep changing it.
    pub async fn remove(&self, id: &ProductId) -> Result<(), TableError> {
        for _ in 0..ATTEMPTS {
            let Some(before) = self.item(id).await? else { return Ok(()) };
            if self.transact(id, Some(&Listing::stored(&before)), None).await? {
                return Ok(());
            }
        }
        Err(self.contended(id))
    }

    /// A page of products, of one category (by id) or of all (in no order), and where it ended if there are more.
    /// Eventually consistent.
    pub async fn page(
        &self,
        category: Option<&Category>,
        limit: usize,
        after: Option<&CataloguePosition>,
    ) -> Result<CataloguePage, TableError> {
        match category {
            Some(category) => self.page_of_category(category, limit, after).await,
            None => self.page_of_all(limit, after).await,
        }
    }

    /// Reads the whole catalogue with `segments` parallel scans, passes each product to `take`, in no order, and
    /// returns the damaged items. Eventually consistent.
    ///
    /// Items of a version that had no shelves are put on theirs.
    pub async fn scan(&self, segments: usize, take: impl Fn(Product)) -> Result<Vec<Damaged>, TableError> {
        let unlisted = Mutex::new(Vec::new());
        let read = |item: Item| {
            if is_pointer(&item) {
                return Ok(None);
            }
            let listed = item.contains_key(shelf::SHELF);
            let product = from_item(&self.table, item)?;
            if !listed {
                unlisted.lock().unwrap_or_else(PoisonError::into_inner).push(product.product_id.clone());
            }
            Ok(Some(product))
        };
        let take = |product: Option<Product>| product.into_iter().for_each(&take);
        let damaged = damaged::scan(&self.table, segments, KEYS, read, take).await?;
        for id in unlisted.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.put_on_shelf(&id).await?;
        }
        Ok(damaged)
    }

    /// Puts a product of a version before on its shelves, unless somebody else does.
    async fn put_on_shelf(&self, id: &ProductId) -> Result<(), TableError> {
        for _ in 0..ATTEMPTS {
            let Some(item) = self.item(id).await? else { return Ok(()) };
            if item.contains_key(shelf::SHELF) {
                return Ok(());
            }
            let before = Listing::stored(&item);
            let product = from_item(&self.table, item)?;
            if self.transact(id, Some(&before), Some(&product)).await? {
                return Ok(());
            }
        }
        Err(self.contended(id))
    }

    async fn page_of_category(
        &self,
        category: &Category,
        limit: usize,
        after: Option<&CataloguePosition>,
    ) -> Result<CataloguePage, TableError> {
        let (mut products, mut damaged) = (Vec::new(), Vec::new());
        let mut start = after.map(|after| {
            let mut start = key(after.as_str());
            start.insert(CATEGORY.to_owned(), text(category.as_str()));
            start
        });
        loop {
            let query = self
                .table
                .query()
                .index_name(BY_CATEGORY)
                .key_condition_expression("category = :category")
                .expression_attribute_values(":category", text(category.as_str()))
                .limit(i32::try_from(limit - products.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start);
            let output = self.table.read(query.send().await)?;
            let listed = Readable::of(&self.table, KEYS, output.items, |item| {
                self.table.reader("pointer", item).parsed(PRODUCT_ID, |key| {
                    ProductId::parse(key.split_once(POINTER).map_or(key, |(id, _)| id))
                })
            });
            damaged.extend(listed.damaged);
            let mut ids = listed.items;
            // While a product's categories change the index may show it and its pointer at once.
            ids.dedup();
            let cards = self.cards(&ids).await?;
            damaged.extend(cards.damaged);
            let mut cards: HashMap<ProductId, Product> =
                cards.items.into_iter().map(|card| (card.product_id.clone(), card)).collect();
            // The index may lag behind: a card that is gone or has left the category is passed over.
            products.extend(
                ids.iter()
                    .filter_map(|id| cards.remove(id))
                    .filter(|card| card.categories.contains(category)),
            );
            start = output.last_evaluated_key;
            if start.is_none() || products.len() >= limit {
                return Ok(CataloguePage { products, damaged, end: start.as_ref().and_then(position) });
            }
        }
    }

    async fn page_of_all(
        &self,
        limit: usize,
        after: Option<&CataloguePosition>,
    ) -> Result<CataloguePage, TableError> {
        let (mut products, mut damaged) = (Vec::new(), Vec::new());
        let mut start = after.map(|after| key(after.as_str()));
        let mut end = None;
        loop {
            let scan = self
                .table
                .scan()
                // Pointers have a category and no other product attribute.
                .filter_expression(
                    "attribute_exists(#name) OR attribute_exists(categories) OR attribute_not_exists(category)",
                )
                .expression_attribute_names("#name", NAME)
                .limit(SCAN_PAGE)
                .set_exclusive_start_key(start);
            let output = self.table.read(scan.send().await)?;
            for item in output.items.unwrap_or_default() {
                if products.len() == limit {
                    return Ok(CataloguePage { products, damaged, end });
                }
                end = position(&item);
                if is_pointer(&item) {
                    continue;
                }
                match damaged::one(&self.table, KEYS, item, |item| from_item(&self.table, item)) {
                    Ok(product) => products.push(product),
                    Err(one) => damaged.push(one),
                }
            }
            start = output.last_evaluated_key;
            if start.is_none() || products.len() == limit {
                return Ok(CataloguePage { products, damaged, end: start.as_ref().and_then(position) });
            }
        }
    }

    /// Puts the item alone, if the categories there are still those of `before`.
    async fn put_item(&self, product: &Product, before: Option<&Listing>) -> Result<bool, TableError> {
        let guard = ListingGuard::unchanged(before);
        let put = self.table.put(to_item(product)).condition_expression(guard.condition);
        match put.set_expression_attribute_values(guard.values).send().await {
            Err(error) if error.code() == Some("TransactionConflictException") => Ok(false),
            answer => Ok(self.table.write_if(answer)?.is_some()),
        }
    }

    /// Changes the item and the pointers that differ, if the categories there are still those of `before`.
    async fn transact(
        &self,
        id: &ProductId,
        before: Option<&Listing>,
        after: Option<&Product>,
    ) -> Result<bool, TableError> {
        let name = self.table.name();
        let guard = ListingGuard::unchanged(before);
        let main = match after {
            Some(product) => {
                let put = Put::builder()
                    .table_name(name)
                    .set_item(Some(to_item(product)))
                    .condition_expression(guard.condition)
                    .set_expression_attribute_values(guard.values);
                TransactWriteItem::builder().put(self.table.built(put.build())?)
            }
            None => {
                let delete = Delete::builder()
                    .table_name(name)
                    .key(PRODUCT_ID, text(id.as_str()))
                    .condition_expression(guard.condition)
                    .set_expression_attribute_values(guard.values);
                TransactWriteItem::builder().delete(self.table.built(delete.build())?)
            }
        };
        let mut writes = vec![main.build()];
        let new = after.map(Listing::of);
        let pointers =
            |listing: Option<&Listing>| listing.map(|listing| listing.pointers.clone()).unwrap_or_default();
        let (old_pointers, new_pointers) = (pointers(before), pointers(new.as_ref()));
        let agree = before.zip(new.as_ref()).is_some_and(|(before, new)| before.agrees_with(new));
        for key in old_pointers.keys().filter(|key| !new_pointers.contains_key(*key)) {
            let delete = Delete::builder().table_name(name).key(PRODUCT_ID, text(key));
            writes.push(TransactWriteItem::builder().delete(self.table.built(delete.build())?).build());
        }
        if let Some(product) = after {
            for (key, category) in new_pointers {
                if agree && old_pointers.contains_key(&key) {
                    continue;
                }
                let put = Put::builder().table_name(name).set_item(Some(pointer(product, &key, &category)));
                writes.push(TransactWriteItem::builder().put(self.table.built(put.build())?).build());
            }
        }
        self.table.transact_if(writes).await
    }

    fn contended(&self, id: &ProductId) -> TableError {
        self.table.contended(id.as_str(), ATTEMPTS)
    }
}

fn key(id: &str) -> Item {
    Item::from([(PRODUCT_ID.to_owned(), text(id))])
}

fn is_pointer(item: &Item) -> bool {
    position(item).is_some_and(|position| position.as_str().contains(POINTER))
}

fn position(key: &Item) -> Option<CataloguePosition> {
    match key.get(PRODUCT_ID) {
        Some(AttributeValue::S(key)) => Some(CataloguePosition(key.clone())),
        _ => None,
    }
}

fn to_item(product: &Product) -> Item {
    let mut item = HashMap::from([
        (PRODUCT_ID.to_owned(), text(product.product_id.as_str())),
        (NAME.to_owned(), text(&product.name)),
        (CATEGORIES.to_owned(), categories_value(product)),
        (AVAILABLE.to_owned(), AttributeValue::Bool(product.available)),
        (UPDATED_AT.to_owned(), text(product.updated_at.to_string())),
    ]);
    item.extend(shelf::place(&product.product_id, product.categories.first(), product.available));
    if let Some(first) = product.categories.first() {
        item.insert(CATEGORY.to_owned(), text(first.as_str()));
    }
    if let Some(price) = &product.price {
        item.insert(PRICE.to_owned(), money_to_value(price));
    }
    if !product.attributes.is_empty() {
        let attributes = product.attributes.iter().map(|(name, value)| (name.clone(), text(value)));
        item.insert(ATTRIBUTES.to_owned(), AttributeValue::M(attributes.collect()));
    }
    item
}

fn from_item(table: &TableClient, item: Item) -> Result<Product, TableError> {
    let mut reader = table.reader(format!("{:?}", item.get(PRODUCT_ID)), item);
    let product_id = reader.parsed(PRODUCT_ID, ProductId::parse)?;
    reader.key = product_id.to_string();
    let mut categories = Vec::new();
    for value in reader.list(CATEGORIES)? {
        let category = value.as_s().ok().and_then(|name| Category::parse(name).ok());
        categories.push(category.ok_or_else(|| reader.corrupt(CATEGORIES, "holds what is not a category"))?);
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in reader.optional(ATTRIBUTES, ItemReader::map)?.unwrap_or_default() {
        match value {
            AttributeValue::S(value) => attributes.insert(name, value),
            _ => return Err(reader.corrupt(ATTRIBUTES, "holds what is not a string")),
        };
    }
    Ok(Product {
        product_id,
        name: reader.text(NAME)?,
        categories,
        price: reader.optional(PRICE, money_from_value)?,
        available: reader.truth(AVAILABLE)?,
        attributes,
        updated_at: reader.parsed(UPDATED_AT, Timestamp::parse)?,
    })
}
