//! The embedded S3: the protocol of s3s over an index in SQLite and files, served on loopback by threads of its own.
//!
//! Guarantees: an object is there whole or not at all, with its size, checksum and metadata, and is replaced in one
//! step, also for one who is reading it; of any number of conditional writes that race, exactly one wins; what was
//! acknowledged outlives the process, however it ends; bodies go to and from the disk in pieces, whatever their size.
//!
//! Does: buckets, put, get (ranges, conditions), head, copy, delete, list, and multipart uploads, with the checksums
//! of S3 (CRC-32, CRC-32C, CRC-64/NVME, SHA-1, SHA-256; whole or composite) and `Content-MD5`. What it does not know,
//! it answers with `NotImplemented`.
//!
//! Does not: keep tags, access lists, storage classes or encryption settings, which it takes in silence; keep
//! versions; end unfinished uploads by a lifecycle rule; copy parts (`UploadPartCopy`) or list with version 1 of `ListObjects`; take
//! requests that are not signed with the machine's [`AccessKey`]; survive loss of power with all that
//! was written in the last seconds. A copy keeps the ETag of what it was copied from.
//!
//! In the folder: `index.sqlite` says what there is, `files/` holds the bytes under numbers. A number that the index
//! does not know is left from a write that was cut off, and goes at the next start.

mod body;
mod checksum;
mod clients;
mod condition;
mod copy;
mod error;
mod files;
mod index;
mod listing;
mod multipart;
mod object;
mod operations;
mod store;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::error_handling::HandleError;
use axum::response::Response;
use futures::future::BoxFuture;
use http::StatusCode;
use s3s::auth::{S3Auth, SecretKey};
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tower_service::Service;

use crate::access::AccessKey;
use crate::door::{ConnectionLimits, Door, Entrance, Foreign, response};
use crate::listen::{ListenError, Listening};
use crate::server::{ServerThreads, Threads};
use crate::template::{BucketTemplate, Expiration};

pub use clients::{s3_config, s3_config_from};
use index::ObjectIndex;
use store::ObjectStore;

/// Threads that serve requests. Each may wait for the disk.
const THREADS: usize = 4;

/// A running embedded S3. Dropping it stops it as [`S3::stop`] does.
pub struct S3 {
    server: ServerThreads,
    store: ObjectStore,
    _temporary: Option<TempDir>,
}

impl S3 {
    /// Opens `folder`, or makes one that is gone when this is dropped, and listens on `address`, which must be a
    /// loopback address; port 0 takes any free one.
    pub fn start(folder: Option<&Path>, address: SocketAddr, key: &AccessKey) -> Result<Self, S3Error> {
        Self::serve(folder, Listening::on(address)?, key, ConnectionLimits::default())
    }

    /// Like [`S3::start`], on a listener that is already bound.
    pub(crate) fn serve(
        folder: Option<&Path>,
        listening: Listening,
        key: &AccessKey,
        limits: ConnectionLimits,
    ) -> Result<Self, S3Error> {
        let (folder, temporary) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let made = tempfile::Builder::new().prefix("nextbasket-s3-").tempdir();
                let made = made.map_err(S3Error::NoFolder)?;
                (made.path().to_owned(), Some(made))
            }
        };
        let store = ObjectStore::open(&folder, temporary.is_none())?;
        let router = router(store.clone(), key);
        let threads = Threads { name: "s3", count: THREADS, server: "the local S3" };
        let door = Door { entrance: Entrance::Signed(key.id().to_owned()), limits, refusal };
        let server = ServerThreads::start(&threads, listening, S3Error::Thread, move |listener, stopped| {
            door.serve(listener, stopped, move |request, _| {
                let answer = router.clone().call(request);
                async move { answer.await.unwrap_or_else(|never| match never {}) }
            })
        });
        Ok(S3 { server: server?, store, _temporary: temporary })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Makes a bucket if it is not there.
    ///
    /// # Errors
    /// [`S3Error::BucketName`] for a name that S3 would not take, [`S3Error::Storage`] when the index refuses.
    pub fn create_bucket(&self, name: &str) -> Result<(), S3Error> {
        if !s3s::path::check_bucket_name(name) {
            return Err(S3Error::BucketName { name: name.to_owned() });
        }
        self.index().create_bucket(name).map(drop).map_err(|e| S3Error::Storage(e.to_string()))
    }

    /// Follows the buckets' rules that remove objects by their age.
    pub(crate) fn expiring(&self, buckets: &[BucketTemplate]) -> Expiring {
        Expiring { store: self.store.clone(), buckets: buckets.to_vec() }
    }

    /// Lets running requests finish and closes the storage.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    fn index(&self) -> &ObjectIndex {
        &self.store.index
    }
}

/// Follows the rules of buckets that remove objects by their age.
#[derive(Clone)]
pub(crate) struct Expiring {
    store: ObjectStore,
    buckets: Vec<BucketTemplate>,
}

impl Expiring {
    /// Removes what has expired by now. Answers how many files went.
    pub(crate) fn remove(&self, now: SystemTime) -> Result<usize, S3Error> {
        let mut removed = 0;
        for bucket in &self.buckets {
            for Expiration { prefix, days } in &bucket.expirations {
                let age = Duration::from_secs(u64::from(*days) * 24 * 60 * 60);
                let Some(before) = now.checked_sub(age) else { continue };
                let failed = |error: s3s::S3Error| S3Error::Storage(error.to_string());
                while let Some(free) =
                    self.store.index.expire(&bucket.name, prefix, before).map_err(failed)?
                {
                    self.store.files.remove(&free);
                    removed += free.len();
                }
            }
        }
        Ok(removed)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    #[error("the local S3 has no folder: {0}")]
    NoFolder(#[source] std::io::Error),
    #[error("S3 endpoint: cannot open {path}: {reason}")]
    Open { path: String, reason: String },
    #[error("S3 endpoint: index: {0}")]
    Storage(String),
    #[error("invalid bucket name {name:?}: expected 3 to 63 lower-case letters, digits, dots and hyphens")]
    BucketName { name: String },
    #[error("S3 endpoint: {0}")]
    Listen(#[from] ListenError),
    #[error("S3 endpoint: cannot start its threads: {0}")]
    Thread(#[source] std::io::Error),
}

/// The answer to a request that the door rejects.
fn refusal(foreign: Foreign) -> Response {
    let reason = foreign.reason();
    let said = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><Message>{reason}</Message></Error>"
    );
    response(StatusCode::FORBIDDEN, Some("application/xml"), said)
}

/// An authentication provider that knows one key.
struct OneKey(AccessKey);

impl S3Auth for OneKey {
    fn get_secret_key<'s, 'a, 'f>(&'s self, id: &'a str) -> BoxFuture<'f, s3s::S3Result<SecretKey>>
    where
        's: 'f,
        'a: 'f,
        Self: 'f,
    {
        let known = id == self.0.id();
        let unknown = || {
            let said = "The access key id is not that of the data folder (the file access-key).";
            s3s::S3Error::with_message(s3s::S3ErrorCode::InvalidAccessKeyId, said)
        };
        let secret = known.then(|| SecretKey::from(self.0.secret())).ok_or_else(unknown);
        Box::pin(async move { secret })
    }
}

fn router(store: ObjectStore, key: &AccessKey) -> Router {
    let mut service = S3ServiceBuilder::new(store);
    // Unsigned requests are rejected, whatever the operation.
    service.set_auth(OneKey(key.clone()));
    let service = HandleError::new(service.build(), |e: s3s::HttpError| async move {
        tracing::error!(error = ?e, "the local S3 could not answer");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    Router::new().fallback_service(service)
}
