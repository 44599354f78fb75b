//! Requests for single items, with their capacity counted and their errors mapped.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use crate::item::Item;
use crate::{TableError, capacity};

/// Reads an item; `None` if it is not found. `consistent`: a strongly consistent read, at twice the price.
///
/// # Errors
/// [`TableError`] if DynamoDB does not answer.
pub async fn get_item(
    client: &Client,
    table: &str,
    key: Item,
    consistent: bool,
) -> Result<Option<Item>, TableError> {
    let output = client
        .get_item()
        .table_name(table)
        .set_key(Some(key))
        .consistent_read(consistent)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(|error| TableError::from_sdk(table, error))?;
    capacity::read(&output.consumed_capacity);
    Ok(output.item)
}

/// The answer to a conditional write; `None` if the condition did not hold.
///
/// # Errors
/// [`TableError`] if the write failed for another reason.
pub fn if_condition_held<T, E>(table: &str, answer: Result<T, SdkError<E>>) -> Result<Option<T>, TableError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(TableError::from_sdk(table, error)),
    }
}
