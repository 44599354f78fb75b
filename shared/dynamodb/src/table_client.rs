//! The requests of one table, with their capacity counted and their errors mapped.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use crate::capacity::{self, Consuming};
use crate::item::{Item, ItemReader};
use crate::request::get_item;
use crate::{ServiceError, TableError, TransactionError};

/// One table through a client.
///
/// Requests are built by [`put`](Self::put) and the like, which name the table and ask for the consumed capacity, and
/// their answers taken by [`read`](Self::read), [`write`](Self::write) or [`write_if`](Self::write_if), which count it.
/// Every error is a [`TableError`] of this table.
#[derive(Debug, Clone)]
pub struct TableClient {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl TableClient {
    #[must_use]
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Reads an item; `None` if it is not found. `consistent`: a strongly consistent read, at twice the price.
    pub async fn get(&self, key: Item, consistent: bool) -> Result<Option<Item>, TableError> {
        get_item(&self.client, &self.name, key, consistent).await
    }

    #[must_use]
    pub fn put(&self, item: Item) -> PutItemFluentBuilder {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    #[must_use]
    pub fn update(&self, key: Item) -> UpdateItemFluentBuilder {
        let update = self.client.update_item().table_name(&self.name).set_key(Some(key));
        update.return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    #[must_use]
    pub fn delete(&self, key: Item) -> DeleteItemFluentBuilder {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key));
        delete.return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    #[must_use]
    pub fn query(&self) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.name);
        query.return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    #[must_use]
    pub fn scan(&self) -> ScanFluentBuilder {
        self.client.scan().table_name(&self.name).return_consumed_capacity(ReturnConsumedCapacity::Total)
    }

    /// The answer to a read.
    pub fn read<T: Consuming, E: ServiceError>(
        &self,
        answer: Result<T, SdkError<E>>,
    ) -> Result<T, TableError> {
        let output = answer.map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::read(output.units());
        Ok(output)
    }

    /// The answer to a write.
    pub fn write<T: Consuming, E: ServiceError>(
        &self,
        answer: Result<T, SdkError<E>>,
    ) -> Result<T, TableError> {
        let output = answer.map_err(|error| TableError::from_sdk(&self.name, error))?;
        capacity::write(output.units());
        Ok(output)
    }

    /// The answer to a conditional write; `None` if the condition did not hold.
    pub fn write_if<T: Consuming, E: ServiceError>(
        &self,
        answer: Result<T, SdkError<E>>,
    ) -> Result<Option<T>, TableError> {
        match answer {
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            answer => self.write(answer).map(Some),
        }
    }

    /// Sends a conditional put; if the condition does not hold, returns the item that is there.
    pub async fn put_or_find(&self, put: PutItemFluentBuilder) -> Result<Option<Item>, TableError> {
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let answer = put.send().await;
        let refusal = answer.as_ref().err().and_then(SdkError::as_service_error);
        if let Some(PutItemError::ConditionalCheckFailedException(failed)) = refusal {
            return Ok(Some(failed.item.clone().unwrap_or_default()));
        }
        self.write(answer).map(|_| None)
    }

    /// Reads all pages of a query and passes each item to `take`.
    pub async fn query_all(
        &self,
        query: QueryFluentBuilder,
        mut take: impl FnMut(Item) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut start = None;
        loop {
            let output = self.read(query.clone().set_exclusive_start_key(start).send().await)?;
            output.items.unwrap_or_default().into_iter().try_for_each(&mut take)?;
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes the writes in one transaction; `false` if a condition did not hold, or somebody else is writing one of the
    /// items: what was read before is out of date.
    pub async fn transact_if(&self, writes: Vec<TransactWriteItem>) -> Result<bool, TableError> {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent.map_err(|error| TransactionError::from_sdk(&self.name, error)) {
            Ok(output) => {
                capacity::write(output.units());
                Ok(true)
            }
            Err(TransactionError::Conflict(_)) => Ok(false),
            Err(error) if error.failed_conditions_alone() => Ok(false),
            Err(error) => Err(error.into_table(&self.name)),
        }
    }

    /// Reads the attributes of an item that errors call `key`.
    #[must_use]
    pub fn reader(&self, key: impl Into<String>, item: Item) -> ItemReader<'_> {
        ItemReader { table: &self.name, key: key.into(), item }
    }

    /// A part of a request, which is refused if it is incomplete.
    pub fn built<T>(&self, part: Result<T, BuildError>) -> Result<T, TableError> {
        part.map_err(|error| TableError::Refused { table: self.name.clone(), reason: error.to_string() })
    }

    /// The error of a write that others forestalled at each attempt.
    #[must_use]
    pub fn contended(&self, key: impl Into<String>, attempts: usize) -> TableError {
        TableError::Contended { table: self.name.clone(), key: key.into(), attempts }
    }
}
