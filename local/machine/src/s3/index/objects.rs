//! Objects: found, replaced and removed, each in one transaction with its condition.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use s3s::S3Result;
use serde::{Deserialize, Serialize};

use super::{ObjectIndex, expect_bucket, json, millis, parsed, size, stored, time};
use crate::s3::checksum::Checksum;
use crate::s3::condition::WriteCondition;
use crate::s3::error::broken;
use crate::s3::files::FilePiece;

/// What is kept of an object besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::s3) struct ObjectFacts {
    pub(in crate::s3) metadata: BTreeMap<String, String>,
    pub(in crate::s3) content_type: Option<String>,
    pub(in crate::s3) content_encoding: Option<String>,
    pub(in crate::s3) content_disposition: Option<String>,
    pub(in crate::s3) content_language: Option<String>,
    pub(in crate::s3) cache_control: Option<String>,
    /// Milliseconds since 1970.
    pub(in crate::s3) expires: Option<i64>,
    pub(in crate::s3) checksum: Option<Checksum>,
}

#[derive(Debug, Clone)]
pub(in crate::s3) struct StoredObject {
    pub(in crate::s3) size: u64,
    pub(in crate::s3) etag: String,
    pub(in crate::s3) modified: SystemTime,
    pub(in crate::s3) facts: ObjectFacts,
    pub(in crate::s3) pieces: Vec<FilePiece>,
}

impl StoredObject {
    pub(in crate::s3) fn file_ids(&self) -> Vec<i64> {
        self.pieces.iter().map(|piece| piece.file).collect()
    }
}

/// An object that is to be.
pub(in crate::s3) struct NewObject<'a> {
    pub(in crate::s3) bucket: &'a str,
    pub(in crate::s3) key: &'a str,
    pub(in crate::s3) etag: &'a str,
    pub(in crate::s3) modified: SystemTime,
    pub(in crate::s3) facts: &'a ObjectFacts,
    pub(in crate::s3) pieces: &'a [FilePiece],
}

impl ObjectIndex {
    /// The object under a key, and what `hold` makes of it before anybody can remove it.
    pub(in crate::s3) fn object<T>(
        &self,
        bucket: &str,
        key: &str,
        hold: impl FnOnce(&StoredObject) -> T,
    ) -> S3Result<Option<(StoredObject, T)>> {
        let connection = self.connection();
        let found = find(&connection, bucket, key).map_err(broken)?;
        Ok(found.map(|object| {
            let held = hold(&object);
            (object, held)
        }))
    }

    /// Puts an object in place of what is there, if the condition holds. Answers the files that are free now.
    pub(in crate::s3) fn put(
        &self,
        object: &NewObject<'_>,
        condition: &WriteCondition,
    ) -> S3Result<Vec<i64>> {
        self.transaction(|connection| {
            expect_bucket(connection, object.bucket)?;
            put(connection, object, condition)
        })
    }

    /// Removes an object, if it is there and the condition holds. Answers the files that are free now.
    pub(in crate::s3) fn delete(
        &self,
        bucket: &str,
        key: &str,
        condition: &WriteCondition,
    ) -> S3Result<Vec<i64>> {
        self.transaction(|connection| {
            expect_bucket(connection, bucket)?;
            remove_if(connection, bucket, key, condition)
        })
    }
}

impl ObjectIndex {
    /// Removes some objects that were last written before then, and whose keys begin so. Answers the files that are free
    /// now; none if there is nothing left to remove.
    pub(in crate::s3) fn expire(
        &self,
        bucket: &str,
        prefix: &str,
        before: SystemTime,
    ) -> S3Result<Option<Vec<i64>>> {
        self.transaction(|connection| {
            let found = expired(connection, bucket, prefix.as_bytes(), millis(before)).map_err(broken)?;
            let mut free = Vec::new();
            for id in &found {
                free.extend(remove(connection, *id).map_err(broken)?);
            }
            Ok((!found.is_empty()).then_some(free))
        })
    }
}

fn expired(connection: &Connection, bucket: &str, prefix: &[u8], before: i64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT id FROM objects WHERE bucket = ?1 AND key >= ?2 AND substr(key, 1, ?3) = ?2 AND modified < ?4 \
             LIMIT 500",
        )?
        .query_map(params![bucket, prefix, stored(prefix.len() as u64), before], |row| row.get(0))?
        .collect()
}

/// As [`ObjectIndex::put`], within a transaction.
pub(super) fn put(
    connection: &Connection,
    object: &NewObject<'_>,
    condition: &WriteCondition,
) -> S3Result<Vec<i64>> {
    let free = remove_if(connection, object.bucket, object.key, condition)?;
    insert(connection, object, &json(object.facts)?).map_err(broken)?;
    Ok(free)
}

/// Removes what is under the key, if anything is, unless the condition fails. Answers the files that are free now.
fn remove_if(
    connection: &Connection,
    bucket: &str,
    key: &str,
    condition: &WriteCondition,
) -> S3Result<Vec<i64>> {
    let there = current(connection, bucket, key).map_err(broken)?;
    condition.check(there.as_ref().map(|(_, etag)| etag.as_str()))?;
    there.map_or(Ok(Vec::new()), |(id, _)| remove(connection, id).map_err(broken))
}

fn insert(connection: &Connection, object: &NewObject<'_>, facts: &str) -> rusqlite::Result<()> {
    let total = object.pieces.iter().map(|piece| piece.size).sum();
    connection
        .prepare_cached(
            "INSERT INTO objects (bucket, key, size, etag, modified, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            object.bucket,
            object.key.as_bytes(),
            stored(total),
            object.etag,
            millis(object.modified),
            facts
        ])?;
    let id = connection.last_insert_rowid();
    let mut statement = connection
        .prepare_cached("INSERT INTO pieces (object, position, file, size) VALUES (?1, ?2, ?3, ?4)")?;
    for (position, piece) in (0_i64..).zip(object.pieces) {
        statement.execute(params![id, position, piece.file, stored(piece.size)])?;
    }
    Ok(())
}

fn find(connection: &Connection, bucket: &str, key: &str) -> rusqlite::Result<Option<StoredObject>> {
    let found = connection
        .prepare_cached("SELECT id, size, etag, modified, facts FROM objects WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket, key.as_bytes()], |row| {
            let object = StoredObject {
                size: size(row.get(1)?),
                etag: row.get(2)?,
                modified: time(row.get(3)?),
                facts: parsed(&row.get::<_, String>(4)?)?,
                pieces: Vec::new(),
            };
            Ok((row.get(0)?, object))
        })
        .optional()?;
    let Some((id, mut object)) = found else { return Ok(None) };
    object.pieces = pieces(connection, id)?;
    Ok(Some(object))
}

fn current(connection: &Connection, bucket: &str, key: &str) -> rusqlite::Result<Option<(i64, String)>> {
    connection
        .prepare_cached("SELECT id, etag FROM objects WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket, key.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn remove(connection: &Connection, id: i64) -> rusqlite::Result<Vec<i64>> {
    let free = pieces(connection, id)?.iter().map(|piece| piece.file).collect();
    connection.prepare_cached("DELETE FROM pieces WHERE object = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM objects WHERE id = ?1")?.execute([id])?;
    Ok(free)
}

fn pieces(connection: &Connection, id: i64) -> rusqlite::Result<Vec<FilePiece>> {
    connection
        .prepare_cached("SELECT file, size FROM pieces WHERE object = ?1 ORDER BY position")?
        .query_map([id], |row| Ok(FilePiece { file: row.get(0)?, size: size(row.get(1)?) }))?
        .collect()
}
