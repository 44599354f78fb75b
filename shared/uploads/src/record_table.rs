//! The marks of one bucket's objects in the operations table.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_domain::digest;
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_dynamodb::{TableClient, TableError};
use nextbasket_locks::{Guard, LeaseKey};

use crate::upload_record::{LATEST, MODIFIED, NotedUpload, SHA256, UPLOADING, UploadRecord, UploadedObject};

/// One of the 16 partitions of a bucket's marks.
pub(crate) type Shard = String;

/// The marks of one bucket's objects.
#[derive(Debug, Clone)]
pub(crate) struct RecordTable {
    table: TableClient,
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
        Self { table: TableClient::new(client, table), bucket }
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
        let item = self.table.get(self.item_key(key), true).await?;
        item.map(|item| UploadRecord::read(self.table.name(), key, item)).transpose()
    }

    /// The marks of a shard with keys between the two, which are among them. Strongly consistent.
    pub(crate) async fn list(
        &self,
        shard: &Shard,
        first: &str,
        last: &str,
    ) -> Result<HashMap<String, UploadRecord>, TableError> {
        let query = self
            .table
            .query()
            .key_condition_expression("pk = :shard AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":shard", text(self.partition(shard)))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
            .consistent_read(true);
        let mut marks = HashMap::new();
        let take = |mut item: Item| {
            if let Some(AttributeValue::S(key)) = item.remove("sk") {
                let mark = UploadRecord::read(self.table.name(), &key, item)?;
                marks.insert(key, mark);
            }
            Ok(())
        };
        self.table.query_all(query, take).await?;
        Ok(marks)
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
            .table
            .update(self.item_key(key))
            .condition_expression(guard.condition)
            .set_expression_attribute_names(Some(guard.names))
            .set_expression_attribute_values(Some(guard.values))
            .expression_attribute_names("#uploading", UPLOADING);
        let update = match uploading {
            Some(uploading) => update
                .update_expression("SET #uploading = :uploading")
                .expression_attribute_values(":uploading", uploading.value()),
            None => update.update_expression("REMOVE #uploading"),
        };
        Ok(self.table.write_if(update.send().await)?.is_some())
    }

    /// Notes the time of a file that was found to have the content of a done object, so that it need not be read the
    /// next time. If the mark has changed meanwhile, nothing is noted.
    pub(crate) async fn note_modified(
        &self,
        key: &str,
        object: &str,
        stored: &UploadedObject,
        modified: i64,
    ) -> Result<(), TableError> {
        let within = if object == key { "" } else { "#latest." };
        let update = self
            .table
            .update(self.item_key(key))
            .update_expression(format!("SET {within}#modified = :modified"))
            .condition_expression(format!("{within}#sha256 = :sha256"))
            .expression_attribute_names("#modified", MODIFIED)
            .expression_attribute_names("#sha256", SHA256)
            .expression_attribute_values(":modified", number(modified))
            .expression_attribute_values(":sha256", text(stored.checksum.as_str()));
        let update =
            if within.is_empty() { update } else { update.expression_attribute_names("#latest", LATEST) };
        self.table.write_if(update.send().await).map(drop)
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
