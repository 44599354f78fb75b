//! What buckets, objects and uploads there are: an SQLite file. Every change is one transaction.

mod objects;
mod page;
mod schema;
mod uploads;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use s3s::{S3Error, S3ErrorCode, S3Result};

pub(super) use objects::{NewObject, ObjectFacts, StoredObject};
pub(super) use page::ListRequest;
pub(super) use uploads::{UploadTerms, UploadedPart};

use super::error::broken;

/// The index. One connection, as every use of it takes microseconds.
pub(super) struct ObjectIndex {
    connection: Mutex<Connection>,
}

impl ObjectIndex {
    pub(super) fn open(file: &Path, kept: bool) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // Committed is what has been handed to the operating system; it reaches the disk in its time.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", if kept { "NORMAL" } else { "OFF" })?;
        connection.execute_batch(schema::SCHEMA)?;
        Ok(ObjectIndex { connection: Mutex::new(connection) })
    }

    /// The numbers of all files that something refers to.
    pub(super) fn files(&self) -> rusqlite::Result<HashSet<i64>> {
        let connection = self.connection();
        let mut statement = connection.prepare("SELECT file FROM pieces UNION ALL SELECT file FROM parts")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// Makes a bucket; answers whether it was new.
    pub(super) fn create_bucket(&self, name: &str) -> rusqlite::Result<bool> {
        let made = self.connection().execute(
            "INSERT INTO buckets (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![name, millis(SystemTime::now())],
        )?;
        Ok(made > 0)
    }

    /// Removes an empty bucket. Uploads that are under way in it end with it.
    pub(super) fn delete_bucket(&self, name: &str) -> S3Result<Vec<i64>> {
        const ANY_OBJECT: &str = "SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)";
        self.transaction(|connection| {
            expect_bucket(connection, name)?;
            if connection.query_row(ANY_OBJECT, [name], |row| row.get(0)).map_err(broken)? {
                return Err(S3Error::new(S3ErrorCode::BucketNotEmpty));
            }
            let files = uploads::remove_all(connection, name).map_err(broken)?;
            connection.execute("DELETE FROM buckets WHERE name = ?1", [name]).map_err(broken)?;
            Ok(files)
        })
    }

    /// All buckets by name, with when they were made.
    pub(super) fn buckets(&self) -> rusqlite::Result<Vec<(String, SystemTime)>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT name, created FROM buckets ORDER BY name")?;
        statement.query_map([], |row| Ok((row.get(0)?, time(row.get(1)?))))?.collect()
    }

    /// An error unless the bucket is there.
    pub(super) fn expect_bucket(&self, name: &str) -> S3Result<()> {
        expect_bucket(&self.connection(), name)
    }

    /// Makes a change as one transaction; nothing of it stays if it fails.
    fn transaction<T>(&self, change: impl FnOnce(&Connection) -> S3Result<T>) -> S3Result<T> {
        let mut connection = self.connection();
        let transaction = connection.transaction().map_err(broken)?;
        let done = change(&transaction)?;
        transaction.commit().map_err(broken)?;
        Ok(done)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expect_bucket(connection: &Connection, name: &str) -> S3Result<()> {
    let found = connection
        .prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |_| Ok(())).optional());
    match found {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(S3Error::new(S3ErrorCode::NoSuchBucket)),
        Err(e) => Err(broken(e)),
    }
}

/// Milliseconds since 1970, as the index keeps times.
fn millis(time: SystemTime) -> i64 {
    i64::try_from(crate::invoke::epoch_millis(time)).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// A size as SQLite keeps it.
fn stored(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn size(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A value that is kept as JSON in a column.
fn json(value: &impl serde::Serialize) -> S3Result<String> {
    serde_json::to_string(value).map_err(broken)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}
