//! The products table: the catalogue, by id and by category.
//!
//! A product's item is found in the index `byCategory` under its first category. For each further category the
//! table holds a pointer: an item under `productId U+0001 category` with nothing but its key and that category.
//! Ids hold no control characters, so no product can be mistaken for a pointer. A product and its pointers change
//! in one transaction.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnConsumedCapacity, TransactWriteItem};
use nextbasket_domain::{Category, Product, ProductId, Timestamp};

use nextbasket_dynamodb::bulk::{read_batch, scan};
use nextbasket_dynamodb::item::{Item, Reader, money_from_value, money_to_value, text};
use nextbasket_dynamodb::{TableError, capacity};

const BY_CATEGORY: &str = "byCategory";
const PRODUCT_ID: &str = "productId";
const NAME: &str = "name";
const CATEGORIES: &str = "categories";
const CATEGORY: &str = "category";
const PRICE: &str = "price";
const AVAILABLE: &str = "available";
const ATTRIBUTES: &str = "attributes";
const UPDATED_AT: &str = "updatedAt";

/// Between a product's id and the category in a pointer's key.
const POINTER: char = '\u{1}';

/// How many items a scan looks at in a call: pointers are among them.
const SCAN_PAGE: i32 = 100;

/// How often a change is tried again because others changed the product meanwhile.
const ATTEMPTS: usize = 8;

/// Where a page of products ended: the key of its last item, which may be a pointer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// The place of a product in the list of a category, or of all products.
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

    /// The place as text, to be given back with [`parse`](Self::parse).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes what [`as_str`](Self::as_str) gave.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, category) = text.split_once(POINTER).unwrap_or((text, "-"));
        (ProductId::parse(id).is_ok() && Category::parse(category).is_ok()).then(|| Self(text.to_owned()))
    }
}

/// The products table.
#[derive(Debug, Clone)]
pub struct ProductsTable {
    client: Client,
    name: String,
}

impl ProductsTable {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The product, strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or the item is not a product.
    pub async fn get(&self, id: &ProductId) -> Result<Option<Product>, TableError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .key(PRODUCT_ID, text(id.as_str()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::read(&output.consumed_capacity);
        output.item.map(|item| from_item(&self.name, item)).transpose()
    }

    /// The products of these ids that are there, in no order. Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not a product.
    pub async fn cards(&self, ids: &[ProductId]) -> Result<Vec<Product>, TableError> {
        let keys = ids.iter().map(|id| HashMap::from([(PRODUCT_ID.to_owned(), text(id.as_str()))])).collect();
        let items = read_batch(&self.client, &self.name, keys).await?;
        items.into_iter().map(|item| from_item(&self.name, item)).collect()
    }

    /// Writes the product in place of what is there under its id; tells whether it is new.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it or others keep changing it.
    pub async fn put(&self, product: &Product) -> Result<bool, TableError> {
        for _ in 0..ATTEMPTS {
            let before = self.get(&product.product_id).await?;
            let done = if pointers(before.as_ref()) == pointers(Some(product)) {
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
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it.
    pub async fn put_new(&self, product: &Product) -> Result<bool, TableError> {
        if pointers(Some(product)).is_empty() {
            self.put_item(product, None).await
        } else {
            self.transact(&product.product_id, None, Some(product)).await
        }
    }

    /// Removes the product; nothing happens if it is not there.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not take it or others keep changing it.
    pub async fn remove(&self, id: &ProductId) -> Result<(), TableError> {
        for _ in 0..ATTEMPTS {
            let Some(before) = self.get(id).await? else { return Ok(()) };
            if self.transact(id, Some(&before), None).await? {
                return Ok(());
            }
        }
        Err(self.contended(id))
    }

    /// A page of products, of one category (by id) or of all (in no order), and where it ended if there are more.
    /// Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not a product.
    pub async fn page(
        &self,
        category: Option<&Category>,
        limit: usize,
        after: Option<&Place>,
    ) -> Result<(Vec<Product>, Option<Place>), TableError> {
        match category {
            Some(category) => self.page_of_category(category, limit, after).await,
            None => self.page_of_all(limit, after).await,
        }
    }

    /// Reads the whole catalogue with `segments` parallel scans, and gives each product to `take`, in no order.
    /// Eventually consistent.
    ///
    /// # Errors
    /// [`TableError`] if DynamoDB does not answer or an item is not a product.
    pub async fn scan(&self, segments: usize, take: impl Fn(Product)) -> Result<(), TableError> {
        scan(&self.client, &self.name, segments, |item| {
            if item.contains_key(NAME) {
                take(from_item(&self.name, item)?);
            }
            Ok(())
        })
        .await
    }

    async fn page_of_category(
        &self,
        category: &Category,
        limit: usize,
        after: Option<&Place>,
    ) -> Result<(Vec<Product>, Option<Place>), TableError> {
        let mut products = Vec::new();
        let mut start = after.map(|place| {
            HashMap::from([
                (CATEGORY.to_owned(), text(category.as_str())),
                (PRODUCT_ID.to_owned(), text(place.as_str())),
            ])
        });
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(BY_CATEGORY)
                .key_condition_expression("category = :category")
                .expression_attribute_values(":category", text(category.as_str()))
                .limit(i32::try_from(limit - products.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(&self.name, error))?;
            capacity::read(&output.consumed_capacity);
            let mut ids = Vec::new();
            for item in output.items.unwrap_or_default() {
                let mut reader = Reader { table: &self.name, key: format!("{item:?}"), item };
                ids.push(reader.parsed(PRODUCT_ID, |key| {
                    ProductId::parse(key.split_once(POINTER).map_or(key, |(id, _)| id))
                })?);
            }
            // While a product's categories change the index may show it and its pointer at once.
            ids.dedup();
            let mut cards: HashMap<ProductId, Product> =
                self.cards(&ids).await?.into_iter().map(|card| (card.product_id.clone(), card)).collect();
            // The index may lag behind: a card that is gone or has left the category is passed over.
            products.extend(
                ids.iter()
                    .filter_map(|id| cards.remove(id))
                    .filter(|card| card.categories.contains(category)),
            );
            start = output.last_evaluated_key;
            if start.is_none() || products.len() >= limit {
                return Ok((products, start.as_ref().and_then(place)));
            }
        }
    }

    async fn page_of_all(
        &self,
        limit: usize,
        after: Option<&Place>,
    ) -> Result<(Vec<Product>, Option<Place>), TableError> {
        let mut products = Vec::new();
        let mut start = after.map(|place| HashMap::from([(PRODUCT_ID.to_owned(), text(place.as_str()))]));
        loop {
            let output = self
                .client
                .scan()
                .table_name(&self.name)
                .filter_expression("attribute_exists(#name)")
                .expression_attribute_names("#name", NAME)
                .limit(SCAN_PAGE)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(&self.name, error))?;
            capacity::read(&output.consumed_capacity);
            let items = output.items.unwrap_or_default();
            let (taken, found) = (limit - products.len(), items.len());
            for item in items.into_iter().take(taken) {
                products.push(from_item(&self.name, item)?);
            }
            start = output.last_evaluated_key;
            if found > taken {
                let end = products.last().map(|last| Place::of(last, None));
                return Ok((products, end));
            }
            if start.is_none() || products.len() == limit {
                return Ok((products, start.as_ref().and_then(place)));
            }
        }
    }

    /// Puts the item alone, if the categories there are still those of `before`.
    async fn put_item(&self, product: &Product, before: Option<&Product>) -> Result<bool, TableError> {
        let guard = Guard::unchanged(before);
        let result = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(to_item(product)))
            .condition_expression(guard.condition)
            .set_expression_attribute_values(guard.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match result {
            Ok(output) => {
                capacity::write(&output.consumed_capacity);
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.code(),
                    Some("ConditionalCheckFailedException" | "TransactionConflictException")
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(TableError::from_sdk(&self.name, error)),
        }
    }

    /// Changes the item and the pointers that differ, if the categories there are still those of `before`.
    async fn transact(
        &self,
        id: &ProductId,
        before: Option<&Product>,
        after: Option<&Product>,
    ) -> Result<bool, TableError> {
        let refused =
            |error: BuildError| TableError::Refused { table: self.name.clone(), reason: error.to_string() };
        let guard = Guard::unchanged(before);
        let main = match after {
            Some(product) => {
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(to_item(product)))
                    .condition_expression(guard.condition)
                    .set_expression_attribute_values(guard.values);
                TransactWriteItem::builder().put(put.build().map_err(refused)?)
            }
            None => {
                let delete = Delete::builder()
                    .table_name(&self.name)
                    .key(PRODUCT_ID, text(id.as_str()))
                    .condition_expression(guard.condition)
                    .set_expression_attribute_values(guard.values);
                TransactWriteItem::builder().delete(delete.build().map_err(refused)?)
            }
        };
        let mut writes = vec![main.build()];
        let (old, new) = (pointers(before), pointers(after));
        for (key, _) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            let delete = Delete::builder().table_name(&self.name).key(PRODUCT_ID, text(key));
            writes.push(TransactWriteItem::builder().delete(delete.build().map_err(refused)?).build());
        }
        for (key, category) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            let put = Put::builder()
                .table_name(&self.name)
                .item(PRODUCT_ID, text(key))
                .item(CATEGORY, text(category.as_str()));
            writes.push(TransactWriteItem::builder().put(put.build().map_err(refused)?).build());
        }
        let result = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match result {
            Ok(output) => {
                capacity::write(output.consumed_capacity());
                Ok(true)
            }
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    let mut codes =
                        cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
                    if codes
                        .clone()
                        .any(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
                    {
                        Ok(false)
                    } else if let Some(code) = codes
                        .find(|code| matches!(*code, "ThrottlingError" | "ProvisionedThroughputExceeded"))
                    {
                        Err(TableError::Throttled { table: self.name.clone(), reason: code.to_owned() })
                    } else {
                        Err(TableError::from_sdk(&self.name, error))
                    }
                }
                _ => Err(TableError::from_sdk(&self.name, error)),
            },
        }
    }

    fn contended(&self, id: &ProductId) -> TableError {
        TableError::Contended { table: self.name.clone(), key: id.to_string(), attempts: ATTEMPTS }
    }
}

/// The condition under which the pointers that were read are still right.
struct Guard {
    condition: &'static str,
    values: Option<Item>,
}

impl Guard {
    fn unchanged(before: Option<&Product>) -> Self {
        match before {
            None => Self { condition: "attribute_not_exists(productId)", values: None },
            Some(product) => Self {
                condition: "categories = :before",
                values: Some(HashMap::from([(":before".to_owned(), categories_value(product))])),
            },
        }
    }
}

/// The pointers of a product: their keys and categories.
fn pointers(product: Option<&Product>) -> BTreeMap<String, &Category> {
    let further = product.into_iter().flat_map(|product| {
        product.categories.iter().skip(1).map(|category| (&product.product_id, category))
    });
    further.map(|(id, category)| (format!("{id}{POINTER}{category}"), category)).collect()
}

fn place(key: &Item) -> Option<Place> {
    match key.get(PRODUCT_ID) {
        Some(AttributeValue::S(key)) => Some(Place(key.clone())),
        _ => None,
    }
}

fn categories_value(product: &Product) -> AttributeValue {
    AttributeValue::L(product.categories.iter().map(|category| text(category.as_str())).collect())
}

fn to_item(product: &Product) -> Item {
    let mut item = HashMap::from([
        (PRODUCT_ID.to_owned(), text(product.product_id.as_str())),
        (NAME.to_owned(), text(&product.name)),
        (CATEGORIES.to_owned(), categories_value(product)),
        (AVAILABLE.to_owned(), AttributeValue::Bool(product.available)),
        (UPDATED_AT.to_owned(), text(product.updated_at.to_string())),
    ]);
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

fn from_item(table: &str, item: Item) -> Result<Product, TableError> {
    let mut reader = Reader { table, key: format!("{:?}", item.get(PRODUCT_ID)), item };
    let product_id = reader.parsed(PRODUCT_ID, ProductId::parse)?;
    reader.key = product_id.to_string();
    let mut categories = Vec::new();
    for value in reader.list(CATEGORIES)? {
        let category = value.as_s().ok().and_then(|name| Category::parse(name).ok());
        categories.push(category.ok_or_else(|| reader.corrupt(CATEGORIES, "holds what is not a category"))?);
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in reader.optional(ATTRIBUTES, Reader::map)?.unwrap_or_default() {
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
