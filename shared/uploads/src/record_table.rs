//! The marks of one bucket's objects in the operations table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use nextbasket_domain::digest;
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_dynamodb::request::get_item;
use nextbasket_dynamodb::{TableError, capacity};
use nextbasket_locks::{Guard, LeaseKey};

use crate::upload_record::{LATEST, MODIFIED, NotedUpload, SHA256, StoredObject, UPLOADING, UploadRecord};

/// One of the 16 partitions of a bucket's marks.
pub(crate) type Shard = String;

/// The marks of one bucket's objects.
#[derive(Debug, Clone)]
pub(crate) struct RecordTable {
    client: Client,
    table: String,
    bucket: String,
}

/// The shard of a key: one hexadecimal digit.
pub(crate) fn shard(key: &str) -> Shard {
    let mut digits = digest(key, 1);
    digits.truncate(1);
    digits
}

impl RecordTable {
    pub(crate) fn new(client: Client, table: String, bucket: String) -> Self {
        Self { client, table, bucket }
    }

    /// The item that an object's claim is a lease on.
    pub(crate) fn lease_key(&self, key: &str) -> LeaseKey {
        LeaseKey::new(self.partition(&shard(key)), key)
    }

    fn partition(&self, shard: &str) -> String {
        format!("upload#{}#{shard}", self.bucket)
    }

    fn item_key(&self, key: &str) -> Item {
        let LeaseKey { pk, sk } = self.lease_key(key);
        Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
    }

    /// An object's mark, strongly consistent; none if nobody ever claimed it.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<UploadRecord>, TableError> {
        let item = get_item(&self.client, &self.table, self.item_key(key), true).await?;
        item.map(|item| UploadRecord::read(&self.table, key, item)).transpose()
    }

    /// The marks of a shard with keys between the two, which are among them. Strongly consistent.
    pub(crate) async fn list(
        &self,
        shard: &Shard,
        first: &str,
        last: &str,
    ) -> Result<HashMap<String, UploadRecord>, TableError> {
        let mut marks = HashMap::new();
        let mut start = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :shard AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":shard", text(self.partition(shard)))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| TableError::from_sdk(&self.table, error))?;
            capacity::read(output.consumed_capacity());
            for mut item in output.items.unwrap_or_default() {
                let Some(AttributeValue::S(key)) = item.remove("sk") else { continue };
                let mark = UploadRecord::read(&self.table, &key, item)?;
                marks.insert(key, mark);
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(marks);
            }
        }
    }

    /// Notes a multipart upload, or that there is none any more, for as long as the claim holds: answers whether it
    /// still did.
    pub(crate) async fn note(
        &self,
        key: &str,
        guard: Guard,
        uploading: Option<&NotedUpload>,
    ) -> Result<bool, TableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(self.item_key(key)))
            .condition_expression(guard.condition)
            .set_expression_attribute_names(Some(guard.names))
            .set_expression_attribute_values(Some(guard.values))
            .expression_attribute_names("#uploading", UPLOADING)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let update = match uploading {
            Some(uploading) => update
                .update_expression("SET #uploading = :uploading")
                .expression_attribute_values(":uploading", uploading.value()),
            None => update.update_expression("REMOVE #uploading"),
        };
        self.conditional(update).await
    }

    /// Notes the time of a file that was found to have the content of a done object, so that it need not be read the
    /// next time. If the mark has changed meanwhile, nothing is noted.
    pub(crate) async fn note_modified(
        &self,
        key: &str,
        object: &str,
        stored: &StoredObject,
        modified: i64,
    ) -> Result<(), TableError> {
        let within = if object == key { "" } else { "#latest." };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(self.item_key(key)))
            .update_expression(format!("SET {within}#modified = :modified"))
            .condition_expression(format!("{within}#sha256 = :sha256"))
            .expression_attribute_names("#modified", MODIFIED)
            .expression_attribute_names("#sha256", SHA256)
            .expression_attribute_values(":modified", number(modified))
            .expression_attribute_values(":sha256", text(stored.checksum.as_str()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let update =
            if within.is_empty() { update } else { update.expression_attribute_names("#latest", LATEST) };
        self.conditional(update).await.map(drop)
    }

    /// Sends a conditional write and answers whether its condition held.
    async fn conditional(&self, update: UpdateItemFluentBuilder) -> Result<bool, TableError> {
        match update.send().await {
            Ok(output) => {
                capacity::write(output.consumed_capacity());
                Ok(true)
            }
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(false)
            }
            Err(error) => Err(TableError::from_sdk(&self.table, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_spread_over_sixteen_shards() {
        let shards: HashSet<Shard> = (0..1_000).map(|n| shard(&format!("logs/{n}.log"))).collect();
        assert_eq!(shards.len(), 16);
        // The form is stored: another would not find what was done before.
        assert_eq!(shard("logs/app.log"), "3");
    }
}
