//! What the operations table says of an object: the claim on it, and, when it is done, what was uploaded.
//!
//! One item an object, under `upload#BUCKET#SHARD` and the key; the shard is one of 16 by the key's digest, so that
//! many workers do not meet in one partition. Beside a lease's attributes it has
//!
//! | attribute | |
//! |---|---|
//! | `state` | `done` when the object is there; else not there |
//! | `size`, `sha256`, `etag`, `doneAt` | what is there: bytes, checksum in S3's form, ETag, when (milliseconds since 1970) |
//! | `partSize` | the size of its parts, if it was sent in parts |
//! | `versionId` | in a bucket that keeps versions |
//! | `modified` | the file's time of change (nanoseconds since 1970), if the file cannot change without it |
//! | `latest` | of a file that changed: a map of `number`, `key` and the above, for the newest version |
//! | `uploading` | of a multipart upload in progress: a map of `id`, `key`, `partSize` |
//!
//! None of them expires.

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, ItemReader, number, text};
use nextbasket_locks::AttributeChanges;
use nextbasket_locks::record::{EXPIRES_AT, RELEASED};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::upload_content::FileStamp;
use nextbasket_objects::Checksum;

pub(crate) const STATE: &str = "state";
pub(crate) const SIZE: &str = "size";
pub(crate) const SHA256: &str = "sha256";
const ETAG: &str = "etag";
const DONE_AT: &str = "doneAt";
pub(crate) const PART_SIZE: &str = "partSize";
const VERSION_ID: &str = "versionId";
pub(crate) const MODIFIED: &str = "modified";
pub(crate) const LATEST: &str = "latest";
pub(crate) const UPLOADING: &str = "uploading";
const NUMBER: &str = "number";
const KEY: &str = "key";
const ID: &str = "id";
const DONE: &str = "done";

/// An object that exists, as its mark describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadedObject {
    pub(crate) size: u64,
    pub(crate) checksum: Checksum,
    /// If it was sent in parts.
    pub(crate) part_size: Option<u64>,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// The file's time when it was read, if that tells later changes.
    pub(crate) modified: Option<i64>,
}

/// The newest version of a file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectVersion {
    pub(crate) number: u32,
    pub(crate) key: String,
    pub(crate) stored: UploadedObject,
}

/// A multipart upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotedUpload {
    pub(crate) id: String,
    /// Of the object: the mark's own or a version's.
    pub(crate) key: String,
    pub(crate) part_size: u64,
}

/// The item of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UploadRecord {
    pub(crate) done: Option<UploadedObject>,
    pub(crate) latest: Option<ObjectVersion>,
    pub(crate) uploading: Option<NotedUpload>,
    /// Until when somebody holds the claim, by that holder's clock.
    pub(crate) claimed_until: Option<Timestamp>,
}

impl UploadRecord {
    pub(crate) fn read(table: &str, key: &str, item: Item) -> Result<Self, TableError> {
        let mut reader = ItemReader { table, key: key.to_owned(), item };
        let uploading = reader.optional(UPLOADING, ItemReader::map)?;
        let latest = reader.optional(LATEST, ItemReader::map)?;
        let released = reader.optional(RELEASED, ItemReader::truth)?;
        let expires_at: Option<i64> = reader.optional(EXPIRES_AT, ItemReader::number)?;
        let claimed_until = match (released, expires_at) {
            (Some(false), Some(millis)) => Some(Timestamp::EPOCH.plus_millis(millis)),
            _ => None,
        };
        let done = match reader.optional(STATE, ItemReader::text)? {
            Some(state) if state == DONE => Some(stored(&mut reader)?),
            _ => None,
        };
        let inner = |item| ItemReader { table, key: key.to_owned(), item };
        Ok(Self {
            done,
            latest: latest.map(|item| version(&mut inner(item))).transpose()?,
            uploading: uploading.map(|item| in_progress(&mut inner(item))).transpose()?,
            claimed_until,
        })
    }

    /// Whether somebody has the claim, as far as can be told from clocks that differ by no more than the skew.
    pub(crate) fn is_claimed(&self, now: Timestamp, skew_millis: i64) -> bool {
        self.claimed_until.is_some_and(|until| now <= until.plus_millis(skew_millis))
    }

    /// The key of what is there, if the file looks as when that was uploaded.
    pub(crate) fn looks_like<'a>(&'a self, key: &'a str, look: FileStamp) -> Option<&'a str> {
        let alike =
            |stored: &UploadedObject| stored.size == look.size && stored.modified == Some(look.modified);
        self.objects(key).find(|(_, stored)| alike(stored)).map(|(key, _)| key)
    }

    /// What is there: the object itself and the newest version.
    pub(crate) fn objects<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a UploadedObject)> {
        let latest = self.latest.iter().map(|version| (version.key.as_str(), &version.stored));
        self.done.iter().map(move |stored| (key, stored)).chain(latest)
    }
}

fn stored(reader: &mut ItemReader<'_>) -> Result<UploadedObject, TableError> {
    Ok(UploadedObject {
        size: reader.number(SIZE)?,
        checksum: Checksum::reported(reader.text(SHA256)?),
        part_size: reader.optional(PART_SIZE, ItemReader::number)?,
        etag: reader.optional(ETAG, ItemReader::text)?,
        version_id: reader.optional(VERSION_ID, ItemReader::text)?,
        modified: reader.optional(MODIFIED, ItemReader::number)?,
    })
}

fn version(reader: &mut ItemReader<'_>) -> Result<ObjectVersion, TableError> {
    Ok(ObjectVersion { number: reader.number(NUMBER)?, key: reader.text(KEY)?, stored: stored(reader)? })
}

fn in_progress(reader: &mut ItemReader<'_>) -> Result<NotedUpload, TableError> {
    Ok(NotedUpload { id: reader.text(ID)?, key: reader.text(KEY)?, part_size: reader.number(PART_SIZE)? })
}

fn attributes(stored: &UploadedObject, now: Timestamp) -> Vec<(&'static str, AttributeValue)> {
    let mut attributes = vec![
        (SIZE, number(stored.size)),
        (SHA256, text(stored.checksum.as_str())),
        (DONE_AT, number(now.as_millis())),
    ];
    attributes.extend(stored.part_size.map(|size| (PART_SIZE, number(size))));
    attributes.extend(stored.etag.as_ref().map(|etag| (ETAG, text(etag))));
    attributes.extend(stored.version_id.as_ref().map(|id| (VERSION_ID, text(id))));
    attributes.extend(stored.modified.map(|modified| (MODIFIED, number(modified))));
    attributes
}

/// That an object is there.
pub(crate) fn done(stored: &UploadedObject, now: Timestamp) -> AttributeChanges {
    let also = AttributeChanges::new().set(STATE, text(DONE)).remove(UPLOADING);
    attributes(stored, now).into_iter().fold(also, |also, (name, value)| also.set(name, value))
}

/// That a version is there, and is the newest.
pub(crate) fn newest(version: &ObjectVersion, now: Timestamp) -> AttributeChanges {
    let own = [(NUMBER, number(version.number)), (KEY, text(&version.key))];
    let all = own.into_iter().chain(attributes(&version.stored, now));
    let map = all.map(|(name, value)| (name.to_owned(), value)).collect();
    AttributeChanges::new().set(LATEST, AttributeValue::M(map)).remove(UPLOADING)
}

impl NotedUpload {
    pub(crate) fn value(&self) -> AttributeValue {
        let attributes = [(ID, text(&self.id)), (KEY, text(&self.key)), (PART_SIZE, number(self.part_size))];
        AttributeValue::M(attributes.map(|(name, value)| (name.to_owned(), value)).into())
    }
}
