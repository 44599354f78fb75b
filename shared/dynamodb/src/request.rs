//! A read of a single item, with its capacity counted and its errors mapped.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;

use crate::TableError;
use crate::capacity::{self, Consuming};
use crate::item::Item;

/// Reads an item; `None` if it is not found. `consistent`: a strongly consistent read, at twice the price.
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
    capacity::read(output.units());
    Ok(output.item)
}
