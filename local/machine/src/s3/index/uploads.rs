//! Multipart uploads that are under way, and their parts.

use std::collections::HashSet;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};

use super::objects::{NewObject, ObjectFacts, put};
use super::{ObjectIndex, expect_bucket, json, millis, parsed, size, stored, time};
use crate::s3::checksum::{Checksum, ChecksumKind};
use crate::s3::condition::WriteCondition;
use crate::s3::error::{broken, refused};
use crate::s3::files::FilePiece;

/// What an upload was begun with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::s3) struct UploadTerms {
    pub(in crate::s3) facts: ObjectFacts,
    /// The checksum that its parts have to have.
    pub(in crate::s3) kind: Option<ChecksumKind>,
}

pub(in crate::s3) struct PendingUpload {
    pub(in crate::s3) id: String,
    pub(in crate::s3) key: String,
    pub(in crate::s3) time: SystemTime,
    pub(in crate::s3) begun: UploadTerms,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::s3) struct UploadedPart {
    pub(in crate::s3) number: i32,
    pub(in crate::s3) piece: FilePiece,
    pub(in crate::s3) etag: String,
    pub(in crate::s3) modified: SystemTime,
    pub(in crate::s3) checksum: Checksum,
}

impl ObjectIndex {
    /// Begins an upload under an id of its own.
    pub(in crate::s3) fn begin_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        begun: &UploadTerms,
    ) -> S3Result<()> {
        let connection = self.connection();
        expect_bucket(&connection, bucket)?;
        let time = millis(SystemTime::now());
        let values = params![id, bucket, key.as_bytes(), time, json(begun)?];
        connection
            .prepare_cached("INSERT INTO uploads (id, bucket, key, begun, facts) VALUES (?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut statement| statement.execute(values))
            .map_err(broken)?;
        Ok(())
    }

    /// The upload with this id, which must be one to this key.
    pub(in crate::s3) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<PendingUpload> {
        upload(&self.connection(), bucket, key, id)
    }

    /// Puts a part in place of what is there under its number. Answers the file that is free now.
    pub(in crate::s3) fn put_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        part: &UploadedPart,
    ) -> S3Result<Option<i64>> {
        let checksum = json(&part.checksum)?;
        self.transaction(|connection| {
            upload(connection, bucket, key, id)?;
            let replaced = connection
                .prepare_cached("SELECT file FROM parts WHERE upload = ?1 AND number = ?2")
                .and_then(|mut s| s.query_row(params![id, part.number], |row| row.get(0)).optional())
                .map_err(broken)?;
            let values = params![
                id,
                part.number,
                part.piece.file,
                stored(part.piece.size),
                part.etag,
                millis(part.modified),
                checksum
            ];
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO parts (upload, number, file, size, etag, modified, checksum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )
                .and_then(|mut statement| statement.execute(values))
                .map_err(broken)?;
            Ok(replaced)
        })
    }

    /// The parts of an upload after a number, in order, and what `hold` makes of them before anybody can remove them.
    pub(in crate::s3) fn parts<T>(
        &self,
        id: &str,
        after: i32,
        most: usize,
        hold: impl FnOnce(&[UploadedPart]) -> T,
    ) -> S3Result<(Vec<UploadedPart>, T)> {
        let connection = self.connection();
        let parts = parts(&connection, id, after, most).map_err(broken)?;
        let held = hold(&parts);
        Ok((parts, held))
    }

    /// Ends an upload and forgets its parts. Answers the files that are free now.
    pub(in crate::s3) fn abort(&self, bucket: &str, key: &str, id: &str) -> S3Result<Vec<i64>> {
        self.transaction(|connection| {
            upload(connection, bucket, key, id)?;
            remove(connection, id).map_err(broken)
        })
    }

    /// Makes the object out of parts of the upload and ends it, if the parts are still those and the condition
    /// holds. Answers the files that are free now.
    pub(in crate::s3) fn complete(
        &self,
        id: &str,
        used: &[UploadedPart],
        object: &NewObject<'_>,
        condition: &WriteCondition,
    ) -> S3Result<Vec<i64>> {
        self.transaction(|connection| {
            upload(connection, object.bucket, object.key, id)?;
            let there = parts(connection, id, 0, usize::MAX).map_err(broken)?;
            let is_there = |part: &UploadedPart| {
                let found = there.binary_search_by_key(&part.number, |part| part.number);
                found.ok().and_then(|at| there.get(at)) == Some(part)
            };
            if !used.iter().all(is_there) {
                return Err(refused(S3ErrorCode::InvalidPart, "a part was replaced in the meantime"));
            }
            let mut free = put(connection, object, condition)?;
            let left = remove(connection, id).map_err(broken)?;
            let used: HashSet<i64> = object.pieces.iter().map(|piece| piece.file).collect();
            free.extend(left.into_iter().filter(|file| !used.contains(file)));
            Ok(free)
        })
    }

    /// Uploads to keys with a prefix, by key and then by time; only those after `(key, id)`.
    pub(in crate::s3) fn uploads(
        &self,
        bucket: &str,
        prefix: &str,
        after: (&str, &str),
        most: usize,
    ) -> S3Result<Vec<PendingUpload>> {
        let connection = self.connection();
        expect_bucket(&connection, bucket)?;
        let until = super::page::after_all(prefix);
        let mut statement = connection
            .prepare_cached(
                "SELECT id, key, begun, facts FROM uploads
                 WHERE bucket = ?1 AND key >= ?2 AND (?3 = x'' OR key < ?3) AND (key, id) > (?4, ?5)
                 ORDER BY key, id LIMIT ?6",
            )
            .map_err(broken)?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let found = statement.query_map(
            params![bucket, prefix.as_bytes(), until, after.0.as_bytes(), after.1, limit],
            read_upload,
        );
        found.and_then(Iterator::collect).map_err(broken)
    }
}

/// Ends all uploads of a bucket. Answers the files that are free now.
pub(super) fn remove_all(connection: &Connection, bucket: &str) -> rusqlite::Result<Vec<i64>> {
    let ids: Vec<String> = connection
        .prepare("SELECT id FROM uploads WHERE bucket = ?1")?
        .query_map([bucket], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut free = Vec::new();
    for id in ids {
        free.extend(remove(connection, &id)?);
    }
    Ok(free)
}

fn upload(connection: &Connection, bucket: &str, key: &str, id: &str) -> S3Result<PendingUpload> {
    connection
        .prepare_cached(
            "SELECT id, key, begun, facts FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3",
        )
        .and_then(|mut s| s.query_row(params![id, bucket, key.as_bytes()], read_upload).optional())
        .map_err(broken)?
        .ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchUpload))
}

fn read_upload(row: &rusqlite::Row<'_>) -> rusqlite::Result<PendingUpload> {
    let key: Vec<u8> = row.get(1)?;
    Ok(PendingUpload {
        id: row.get(0)?,
        key: String::from_utf8_lossy(&key).into_owned(),
        time: time(row.get(2)?),
        begun: parsed(&row.get::<_, String>(3)?)?,
    })
}

fn parts(connection: &Connection, id: &str, after: i32, most: usize) -> rusqlite::Result<Vec<UploadedPart>> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT number, file, size, etag, modified, checksum FROM parts
             WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
        )?
        .query_map(params![id, after, limit], |row| {
            Ok(UploadedPart {
                number: row.get(0)?,
                piece: FilePiece { file: row.get(1)?, size: size(row.get(2)?) },
                etag: row.get(3)?,
                modified: time(row.get(4)?),
                checksum: parsed(&row.get::<_, String>(5)?)?,
            })
        })?
        .collect()
}

fn remove(connection: &Connection, id: &str) -> rusqlite::Result<Vec<i64>> {
    let free = parts(connection, id, 0, usize::MAX)?.iter().map(|part| part.piece.file).collect();
    connection.prepare_cached("DELETE FROM parts WHERE upload = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM uploads WHERE id = ?1")?.execute([id])?;
    Ok(free)
}
