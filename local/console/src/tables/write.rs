//! `PUT` and `DELETE tables/{name}/item`: only what still is as it was read is replaced or deleted.
//!
//! A condition cannot say "and no other attribute". So what a write has replaced is compared with what was read, too; an
//! item that got an attribute in the moment of the write is put back.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ReturnValue;
use axum::body::Body;
use axum::extract::{Request, State};
use nextbasket_dynamodb::item::Item;
use nextbasket_dynamodb::request::get_item;
use nextbasket_dynamodb::{ServiceError, TableError};
use nextbasket_http::ApiError;
use nextbasket_items::key::{KeySchema, to_json};
use nextbasket_jobs_dump::equality_condition::EqualityCondition;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{item_json, problem};
use crate::Console;
use crate::answer::{Answer, Json, Problem, read_json};
use crate::request_parts::PathName;

/// An item has up to 400 KB; there are two in a body, and JSON escapes characters.
const MAX_BODY_BYTES: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewItem {
    item: Value,
    /// What the item was when it was read; without it there must be none.
    before: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldItem {
    key: Value,
    before: Value,
}

#[derive(Serialize)]
pub(super) struct Written {
    /// The item's key.
    key: Value,
}

pub(super) async fn put(
    State(console): State<Console>,
    PathName(name): PathName,
    request: Request,
) -> Answer<Written> {
    let table = Editable::open(&console, name).await?;
    let NewItem { item, before } = body(request.into_body()).await?;
    let item = item_json::item("item", &item)?;
    let key = table.key("item", &item)?;
    let before = before.map(|before| item_json::item("before", &before)).transpose()?;
    if before.as_ref().is_some_and(|before| table.keys.of(before) != key) {
        let problem = "must have the key of item: an item with another key is another item. Put that one, and delete this";
        return Err(ApiError::invalid("before", problem).into());
    }
    let erased = console.tables.erased_items(&table.name).await?;
    if erased.is_some_and(|erased| erased.contains(&item)) {
        let detail =
            format!("item {} belongs to an erased user: nothing of them may be stored again", to_json(&key));
        return Err(ApiError::conflict("user_erased", detail).at("item").into());
    }
    match &before {
        None => table.create(&key, &item).await?,
        Some(before) => table.replace(&key, before, &item).await?,
    }
    Ok(Json(Written { key: to_json(&key) }))
}

pub(super) async fn delete(
    State(console): State<Console>,
    PathName(name): PathName,
    request: Request,
) -> Answer<Written> {
    let table = Editable::open(&console, name).await?;
    let OldItem { key, before } = body(request.into_body()).await?;
    let before = item_json::item("before", &before)?;
    let key = table.key("key", &item_json::item("key", &key)?)?;
    if table.keys.of(&before) != key {
        return Err(ApiError::invalid("before", "must have the same key").into());
    }
    table.delete(&key, &before).await?;
    Ok(Json(Written { key: to_json(&key) }))
}

async fn body<T: serde::de::DeserializeOwned>(body: Body) -> Result<T, Problem> {
    read_json(body, MAX_BODY_BYTES).await
}

/// A table whose items may be changed.
struct Editable<'a> {
    console: &'a Console,
    name: String,
    keys: KeySchema,
}

impl<'a> Editable<'a> {
    async fn open(console: &'a Console, name: String) -> Result<Self, Problem> {
        console.require_writable()?;
        if !console.is_editable(&name) {
            let detail = format!(
                "items of table {name} are the state of jobs and locks: cancel jobs and break locks instead"
            );
            return Err(ApiError::new(403, "operations_table", detail).at("name").into());
        }
        let keys = console.table(&name).await?.keys;
        Ok(Self { console, name, keys })
    }

    fn key(&self, field: &str, item: &Item) -> Result<Item, ApiError> {
        match self.keys.problem_of(item) {
            None => Ok(self.keys.of(item)),
            Some(problem) => Err(ApiError::invalid(field, format!("has no valid key: {problem}"))),
        }
    }

    async fn read(&self, key: &Item) -> Result<Option<Item>, ApiError> {
        let read = get_item(&self.console.dynamodb, &self.name, key.clone(), true).await;
        read.map_err(|error| problem(&self.name, error))
    }

    async fn is(&self, key: &Item, item: &Item) -> Result<bool, ApiError> {
        self.read(key).await?.map_or(Ok(false), |stored| item_json::same(&stored, item))
    }

    async fn create(&self, key: &Item, item: &Item) -> Result<(), ApiError> {
        let put = self.console.dynamodb.put_item().table_name(&self.name).set_item(Some(item.clone()));
        let put = put
            .condition_expression("attribute_not_exists(#k)")
            .expression_attribute_names("#k", &self.keys.partition.name);
        match self.outcome(put.send().await)? {
            Some(_) => Ok(()),
            // Its own answer may have been lost, and the call been repeated.
            None if self.is(key, item).await? => Ok(()),
            None => {
                let detail = format!("item {} is there already: read it, and change that one", to_json(key));
                Err(ApiError::conflict("item_exists", detail).at("item"))
            }
        }
    }

    async fn replace(&self, key: &Item, before: &Item, item: &Item) -> Result<(), ApiError> {
        if !self.is(key, before).await? {
            return Err(changed(key));
        }
        let put = self.put(item, before).return_values(ReturnValue::AllOld);
        let Some(output) = self.outcome(put.send().await)? else {
            return if self.is(key, item).await? { Ok(()) } else { Err(changed(key)) };
        };
        match output.attributes {
            Some(replaced) if !item_json::same(&replaced, before)? => {
                self.outcome(self.put(&replaced, item).send().await)?;
                Err(changed(key))
            }
            _ => Ok(()),
        }
    }

    async fn delete(&self, key: &Item, before: &Item) -> Result<(), ApiError> {
        if !self.is(key, before).await? {
            return Err(changed(key));
        }
        let equal = EqualityCondition::of(&self.keys, before, &BTreeSet::new());
        let delete = self
            .console
            .dynamodb
            .delete_item()
            .table_name(&self.name)
            .set_key(Some(key.clone()))
            .condition_expression(&equal.condition)
            .set_expression_attribute_values(equal.request_values())
            .set_expression_attribute_names(Some(equal.names))
            .return_values(ReturnValue::AllOld);
        let Some(output) = self.outcome(delete.send().await)? else {
            return if self.read(key).await?.is_none() { Ok(()) } else { Err(changed(key)) };
        };
        match output.attributes {
            Some(deleted) if !item_json::same(&deleted, before)? => {
                self.create(key, &deleted).await?;
                Err(changed(key))
            }
            _ => Ok(()),
        }
    }

    /// A put that replaces the item only if it still is as it was.
    fn put(
        &self,
        item: &Item,
        before: &Item,
    ) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
        let around: BTreeSet<String> = item.keys().cloned().collect();
        let equal = EqualityCondition::of(&self.keys, before, &around);
        let put = self.console.dynamodb.put_item().table_name(&self.name).set_item(Some(item.clone()));
        put.condition_expression(&equal.condition)
            .set_expression_attribute_values(equal.request_values())
            .set_expression_attribute_names(Some(equal.names))
    }

    /// `None` if the condition does not hold.
    fn outcome<T, E: ServiceError>(&self, answer: Result<T, SdkError<E>>) -> Result<Option<T>, ApiError> {
        match answer {
            Ok(output) => Ok(Some(output)),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(problem(&self.name, TableError::from_sdk(&self.name, error))),
        }
    }
}

fn changed(key: &Item) -> ApiError {
    let detail = format!(
        "item {} is not what it was when it was read: nothing was written. Read it again",
        to_json(key)
    );
    ApiError::conflict("item_changed", detail).at("before")
}
