//! Items in bodies and answers: DynamoDB's own JSON, in which numbers are texts and keep all of their digits.

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;
use nextbasket_http::ApiError;
use nextbasket_jobs_dump::digest::ItemsDigest;
use nextbasket_jobs_dump::json::{read_item, write_item};
use serde_json::Value;
use serde_json::value::RawValue;

/// An item for an answer.
pub(super) fn written(item: &Item) -> Result<Box<RawValue>, ApiError> {
    let mut text = Vec::new();
    write_item(item, &mut text).map_err(ApiError::internal)?;
    let text = String::from_utf8(text).map_err(ApiError::internal)?;
    RawValue::from_string(text).map_err(ApiError::internal)
}

/// The item of a body's field.
pub(super) fn item(field: &str, json: &Value) -> Result<Item, ApiError> {
    let text = serde_json::to_vec(json).map_err(ApiError::internal)?;
    read_item(&text)
        .map_err(|error| ApiError::invalid(field, format!("is not an item in DynamoDB JSON: {error}")))
}

/// The value of a body's field.
pub(super) fn value(field: &str, json: &Value) -> Result<AttributeValue, ApiError> {
    const NAME: &str = "value";
    let mut item = item(field, &serde_json::json!({ NAME: json }))?;
    item.remove(NAME).ok_or_else(|| ApiError::missing(field))
}

/// Whether two items are the same, whatever the order in their sets and the form of their numbers.
pub(super) fn same(one: &Item, other: &Item) -> Result<bool, ApiError> {
    let mut scratch = Vec::new();
    let mut digest = |item| ItemsDigest::of(item, &mut scratch).map_err(ApiError::internal);
    Ok(digest(one)? == digest(other)?)
}
