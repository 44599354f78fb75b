//! Plans, results and refusals in S3.

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use futures::{StreamExt, TryStreamExt};
use nextbasket_dynamodb::FULL_DISK;

use crate::error::JobError;
use crate::job::JobId;
use crate::stage::Aggregate;
use crate::store::BatchRecord;

/// How many results are read at a time.
const READERS: usize = 8;

/// Why an object cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("s3://{bucket}/{key}: there is no such object")]
    Missing {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// S3 refuses: trying again does not help.
    #[error("s3://{bucket}/{key}: refused: {code}: {reason}")]
    Refused {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// S3's code.
        code: String,
        /// S3's own words.
        reason: String,
    },
    /// No answer, or one that says that the service is at fault.
    #[error("s3://{bucket}/{key}: unavailable: {reason}")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What happened, with its causes.
        reason: String,
    },
}

impl ObjectError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { reason, .. } if !reason.contains(FULL_DISK))
    }
}

/// The bucket of plans, results and refusals. Everything of a job stands under `jobs/JOB/`.
#[derive(Debug, Clone)]
pub struct Objects {
    client: Client,
    bucket: String,
}

impl Objects {
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// The client, for work on other buckets.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of one of the job's objects.
    #[must_use]
    pub fn key(job: &JobId, name: &str) -> String {
        format!("jobs/{job}/{name}")
    }

    /// Writes a whole object.
    ///
    /// # Errors
    /// [`ObjectError`] if S3 does not take it.
    pub async fn put(&self, key: &str, content: Vec<u8>) -> Result<(), ObjectError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(content));
        put.send().await.map(drop).map_err(|error| self.error(key, error))
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// [`ObjectError`] if it is not there or S3 does not answer.
    pub async fn get(&self, key: &str) -> Result<Vec<u8>, ObjectError> {
        self.read(key, None).await
    }

    async fn read(&self, key: &str, range: Option<String>) -> Result<Vec<u8>, ObjectError> {
        let output = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_range(range)
            .send()
            .await
            .map_err(|error| self.error(key, error))?;
        let content = output.body.collect().await.map_err(|error| ObjectError::Unavailable {
            bucket: self.bucket.clone(),
            key: key.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(content.to_vec())
    }

    /// Reads a range of an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_range(&self, key: &str, bytes: Range<u64>) -> Result<Vec<u8>, ObjectError> {
        let range = format!("bytes={}-{}", bytes.start, bytes.end.saturating_sub(1));
        self.read(key, Some(range)).await
    }

    /// Removes all objects whose keys begin with `prefix`.
    ///
    /// # Errors
    /// [`ObjectError`] if S3 does not answer or does not allow it; some objects may already be removed then.
    pub async fn remove_all(&self, prefix: &str) -> Result<(), ObjectError> {
        futures::stream::iter(self.list(prefix).await?)
            .map(|key| async move {
                let delete = self.client.delete_object().bucket(&self.bucket).key(&key);
                delete.send().await.map(drop).map_err(|error| self.error(&key, error))
            })
            .buffer_unordered(READERS)
            .try_collect::<()>()
            .await
    }

    /// The keys that begin so, sorted.
    ///
    /// # Errors
    /// [`ObjectError`] if S3 does not answer.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error(prefix, error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// What the SDK's error means for this object.
    fn error<E>(&self, key: &str, error: SdkError<E>) -> ObjectError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        if let SdkError::ServiceError(service) = &error {
            let code = service.err().code().unwrap_or("unknown");
            let status = service.raw().status().as_u16();
            if code == "NoSuchKey" {
                return ObjectError::Missing { bucket, key };
            }
            if (400..500).contains(&status) && !matches!(status, 408 | 409 | 429) {
                let reason = service.err().message().unwrap_or("no message").to_owned();
                return ObjectError::Refused { bucket, key, code: code.to_owned(), reason };
            }
        }
        ObjectError::Unavailable { bucket, key, reason: DisplayErrorContext(error).to_string() }
    }
}

/// Puts the results of batches together: see [`Planning::merged`](crate::Planning::merged).
pub(crate) async fn merged(
    objects: &Objects,
    batches: &[BatchRecord],
    aggregate: Aggregate,
    merge: impl Fn(Vec<u8>, Vec<u8>) -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static,
) -> Result<Option<Vec<u8>>, JobError> {
    let results = futures::stream::iter(batches).map(|batch| batch.result(objects)).buffered(READERS);
    let mut results: std::pin::Pin<Box<dyn futures::Stream<Item = _> + Send + '_>> = Box::pin(results);
    match aggregate {
        Aggregate::Serial => {
            let mut sum: Option<Vec<u8>> = None;
            while let Some(result) = results.try_next().await? {
                sum = match (sum, result) {
                    (Some(left), Some(right)) => Some(merge(left, right).map_err(JobError::Failed)?),
                    (one, other) => one.or(other),
                };
            }
            Ok(sum)
        }
        Aggregate::Parallel => {
            // A binary counter of subtrees: the memory of one result per level, and neighbours only.
            let mut subtrees: Vec<(u32, Vec<u8>)> = Vec::new();
            let mut level = Vec::with_capacity(2 * READERS);
            let mut open = true;
            while open {
                while level.len() < 2 * READERS {
                    match results.try_next().await? {
                        Some(Some(result)) => level.push(result),
                        Some(None) => {}
                        None => {
                            open = false;
                            break;
                        }
                    }
                }
                let merged = tree(std::mem::take(&mut level), &merge).await?;
                subtrees.extend(merged.map(|merged| (1, merged)));
                while let [.., (left, _), (right, _)] = subtrees.as_slice()
                    && left == right
                {
                    let (weight, last) = subtrees.pop().unwrap_or_default();
                    let (_, before) = subtrees.pop().unwrap_or_default();
                    subtrees.push((weight + 1, merge(before, last).map_err(JobError::Failed)?));
                }
            }
            let rest = subtrees.into_iter().map(|(_, subtree)| subtree).collect();
            tree(rest, &merge).await
        }
    }
}

/// Merges neighbours at a time until one is left, each pair on a thread of its own.
async fn tree(
    mut level: Vec<Vec<u8>>,
    merge: &(impl Fn(Vec<u8>, Vec<u8>) -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static),
) -> Result<Option<Vec<u8>>, JobError> {
    while level.len() > 1 {
        let mut pairs = Vec::with_capacity(level.len().div_ceil(2));
        let mut rest = level.into_iter();
        while let Some(left) = rest.next() {
            let (merge, right) = (merge.clone(), rest.next());
            pairs.push(tokio::task::spawn_blocking(move || match right {
                Some(right) => merge(left, right),
                None => Ok(left),
            }));
        }
        level = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let merged = pair.await.map_err(|error| JobError::Failed(format!("merging crashed: {error}")))?;
            level.push(merged.map_err(JobError::Failed)?);
        }
    }
    Ok(level.pop())
}
