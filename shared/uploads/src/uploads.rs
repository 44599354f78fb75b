//! One object, exactly once: claim, send, mark.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nextbasket_domain::{Clock, Random};
use nextbasket_locks::{Attempt, AttributeChanges, Guard, Keeper, LeaseError, LeaseRequest, Leases};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::error::UploadError;
use crate::record_table::RecordTable;
use crate::send::SendOutcome;
use crate::upload_content::{OpenContent, UploadContent};
use crate::upload_destination::{check, version_key};
use crate::upload_record::{NotedUpload, ObjectVersion, UploadRecord, UploadedObject, done, newest};
use nextbasket_objects::Bucket;

/// Attempts at an upload that fails for a transient reason.
const TRIES: u32 = 5;

/// The first pause before an upload is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// How often a claim of another's is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Memory is given out in so many bytes.
const MEMORY_UNIT: u64 = 64 << 10;

/// How many versions of a key are looked at to find a free one.
const MAX_VERSIONS: u32 = 1_000;

/// Where uploads happen: the services, the table of claims and marks, the bucket.
#[derive(Debug, Clone)]
pub struct UploadServices {
    pub s3: aws_sdk_s3::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub operations: String,
    pub bucket: String,
    pub clock: Clock,
    /// Random bits: owners of claims, the order of files, jitter.
    pub random: Random,
}

/// What happens to a content that differs from what is there under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum OnChange {
    /// It is not uploaded, and the upload fails when the other files are done.
    Fail,
    /// It is uploaded under a new key, NAME.~2~.EXT, then NAME.~3~.EXT and so on.
    Version,
}

#[derive(Debug, Clone)]
pub struct UploadSettings {
    /// Who uploads, for people: host and process.
    pub holder: String,
    /// How long a claim outlives a worker that was killed. A living one renews it.
    pub lease: Duration,
    /// The most bytes sent in one piece; larger contents are sent in parts of this size. At least
    /// [`MIN_PART_SIZE`](nextbasket_objects::MIN_PART_SIZE).
    pub part_size: u64,
    /// How many files, and of a large one how many parts, are sent at a time. Memory is bounded by this times
    /// `part_size`, or by one part if that is larger.
    pub workers: usize,
    /// What happens to a content that differs from what is there.
    pub on_change: OnChange,
}

impl UploadSettings {
    /// 30 seconds, parts of 16 MiB, 8 workers; what differs fails.
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
            lease: Duration::from_secs(30),
            part_size: 16 << 20,
            workers: 8,
            on_change: OnChange::Fail,
        }
    }
}

/// The outcome of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploaded {
    /// It is there now, sent by this upload.
    Sent {
        /// The object's key: the one that was asked for, or a version's.
        key: String,
        /// How many bytes were sent; fewer than the object has if an earlier upload was continued.
        bytes: u64,
    },
    AlreadyThere {
        key: String,
    },
}

impl Uploaded {
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Sent { key, .. } | Self::AlreadyThere { key } => key,
        }
    }
}

#[derive(Debug)]
pub struct Uploads {
    pub(crate) bucket: Bucket,
    pub(crate) records: RecordTable,
    pub(crate) leases: Leases,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) settings: UploadSettings,
    pub(crate) stop: CancellationToken,
    memory: Semaphore,
    memory_units: u32,
    /// How many objects were there without a mark: if there are some, it is worth looking before sending.
    pub(crate) unmarked: AtomicU32,
}

/// The outcome of one attempt.
#[derive(Debug)]
pub(crate) enum ClaimOutcome {
    Settled(Uploaded),
    Busy,
}

/// The claim on a key.
pub(crate) struct Claim<'a> {
    pub(crate) key: &'a str,
    pub(crate) guard: Guard,
    /// Whether nobody had it before.
    pub(crate) first: bool,
    /// What an earlier claim noted.
    pub(crate) uploading: Option<NotedUpload>,
}

impl Uploads {
    /// Uploads to the services' bucket.
    #[must_use]
    pub fn new(services: UploadServices, settings: UploadSettings) -> Self {
        let UploadServices { s3, dynamodb, operations, bucket, clock, random } = services;
        let leases = Leases::new(dynamodb.clone(), operations.clone(), clock.clone(), random.clone());
        let bytes = settings.part_size.saturating_mul(settings.workers.max(1) as u64);
        let memory_units = u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX).max(1);
        Self {
            records: RecordTable::new(dynamodb, operations, bucket.clone()),
            bucket: Bucket::new(s3, bucket),
            leases,
            clock,
            random,
            settings,
            stop: CancellationToken::new(),
            memory: Semaphore::new(memory_units as usize),
            memory_units,
            unmarked: AtomicU32::new(0),
        }
    }

    /// The same, ended by `stop`: an upload in progress then gives its claim up and fails with
    /// [`UploadError::Stopped`]; what was sent of it is kept for the next.
    #[must_use]
    pub fn with_stop(self, stop: CancellationToken) -> Self {
        Self { stop, ..self }
    }

    /// Sees to it that the content is there under the key, exactly once, whoever else does the same: waits while
    /// another has the claim, and tries again what may pass.
    ///
    /// # Errors
    /// [`UploadError`] if it is not there in the end, or nobody knows.
    pub async fn put(&self, key: &str, content: &UploadContent) -> Result<Uploaded, UploadError> {
        check(key)?;
        let mut tries = 0;
        loop {
            let attempt = async {
                let mark = self.records.read(key).await?.unwrap_or_default();
                self.attempt(key, content, mark).await
            };
            match attempt.await {
                Ok(ClaimOutcome::Settled(uploaded)) => return Ok(uploaded),
                Ok(ClaimOutcome::Busy) => self.pause(LOOK).await?,
                Err(error) if error.is_transient() && tries + 1 < TRIES => {
                    self.pause(PAUSE * (1 << tries)).await?;
                    tries += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`put`](Self::put), once, and with what is known of the mark.
    pub(crate) async fn attempt(
        &self,
        key: &str,
        content: &UploadContent,
        mark: UploadRecord,
    ) -> Result<ClaimOutcome, UploadError> {
        let opened = content.open(self.clock.now()).await?;
        if let Some(there) = self.marked(key, &opened, &mark).await? {
            return Ok(ClaimOutcome::Settled(there));
        }
        if mark.done.is_some() && self.settings.on_change == OnChange::Fail {
            return Err(self.differs(key));
        }
        if self.is_claimed(&mark) {
            return Ok(ClaimOutcome::Busy);
        }
        let request = LeaseRequest::new(&self.settings.holder, self.settings.lease);
        let lease = match self.leases.try_acquire(&self.records.lease_key(key), &request).await? {
            Attempt::Held(lease) => lease,
            Attempt::Busy(_) => return Ok(ClaimOutcome::Busy),
        };
        let keeper = lease.keep();
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(UploadError::Stopped),
            lost = keeper.lost() => {
                tracing::warn!(key, %lost, "another worker has taken the claim over");
                return Ok(ClaimOutcome::Busy);
            }
            ended = self.claimed(key, &opened, &keeper) => ended,
        };
        match ended {
            Ok((uploaded, also)) => self.settle(key, keeper, uploaded, also).await,
            Err(UploadError::ClaimLost) => Ok(ClaimOutcome::Busy),
            Err(error) => {
                // If it cannot be given up it expires.
                if let Err(failed) = keeper.release().await {
                    tracing::warn!(key, error = %failed, "a claim could not be released; it expires");
                }
                Err(error)
            }
        }
    }

    /// Whether somebody has the claim, as far as the mark tells.
    pub(crate) fn is_claimed(&self, mark: &UploadRecord) -> bool {
        let skew = i64::try_from(self.leases.skew().as_millis()).unwrap_or(i64::MAX);
        mark.is_claimed(self.clock.now(), skew)
    }

    /// Everything under the claim up to the mark. Returns the outcome, and what the mark says then.
    async fn claimed(
        &self,
        key: &str,
        opened: &OpenContent,
        keeper: &Keeper,
    ) -> Result<(Uploaded, AttributeChanges), UploadError> {
        let first = keeper.fence() == 1;
        let mark =
            if first { UploadRecord::default() } else { self.records.read(key).await?.unwrap_or_default() };
        if let Some(there) = self.marked(key, opened, &mark).await? {
            return Ok((there, AttributeChanges::new()));
        }
        let claim = Claim { key, guard: keeper.guard(), first, uploading: mark.uploading.clone() };
        if mark.done.is_none() {
            let placed = self.send(&claim, key, opened).await?;
            if let Some((uploaded, stored)) = placed.uploaded(key) {
                return Ok((uploaded, done(&stored, self.clock.now())));
            }
        }
        match self.settings.on_change {
            OnChange::Fail => Err(self.differs(key)),
            OnChange::Version => self.send_version(&claim, opened, &mark).await,
        }
    }

    async fn send_version(
        &self,
        claim: &Claim<'_>,
        opened: &OpenContent,
        mark: &UploadRecord,
    ) -> Result<(Uploaded, AttributeChanges), UploadError> {
        let next = mark.latest.as_ref().map_or(2, |latest| latest.number.saturating_add(1));
        for number in next..next.saturating_add(MAX_VERSIONS) {
            let key = version_key(claim.key, number);
            check(&key)?;
            let placed = self.send(claim, &key, opened).await?;
            if let Some((uploaded, stored)) = placed.uploaded(&key) {
                let version = ObjectVersion { number, key, stored };
                return Ok((uploaded, newest(&version, self.clock.now())));
            }
        }
        Err(UploadError::TooManyVersions { bucket: self.bucket.name().to_owned(), key: claim.key.to_owned() })
    }

    /// RecordTable the object and gives the claim up, in one write.
    async fn settle(
        &self,
        key: &str,
        keeper: Keeper,
        uploaded: Uploaded,
        also: AttributeChanges,
    ) -> Result<ClaimOutcome, UploadError> {
        let Ok(lease) = keeper.stop().await else { return Ok(ClaimOutcome::Busy) };
        let fence = lease.fence();
        let Err(unreleased) = lease.release_with(also).await else {
            return Ok(ClaimOutcome::Settled(uploaded));
        };
        // The answer may have been lost.
        let marked = match self.records.read(key).await? {
            Some(mark) => mark.objects(key).any(|(object, _)| object == uploaded.key()),
            None => false,
        };
        match LeaseError::from(unreleased) {
            _ if marked => Ok(ClaimOutcome::Settled(uploaded)),
            LeaseError::Lost(lost) => {
                tracing::warn!(key, fence, %lost, "another worker has taken the claim over");
                Ok(ClaimOutcome::Busy)
            }
            LeaseError::Table(error) => Err(error.into()),
        }
    }

    /// Whether the content is what a mark says to be there.
    async fn marked(
        &self,
        key: &str,
        opened: &OpenContent,
        mark: &UploadRecord,
    ) -> Result<Option<Uploaded>, UploadError> {
        for (object, stored) in mark.objects(key) {
            if stored.size != opened.size() {
                continue;
            }
            if opened.modified().is_none_or(|modified| stored.modified != Some(modified)) {
                if opened.checksum(stored.part_size).await? != stored.checksum {
                    continue;
                }
                if let Some(modified) = opened.modified() {
                    self.records.note_modified(key, object, stored, modified).await?;
                }
            }
            return Ok(Some(Uploaded::AlreadyThere { key: object.to_owned() }));
        }
        Ok(None)
    }

    fn differs(&self, key: &str) -> UploadError {
        UploadError::Differs { bucket: self.bucket.name().to_owned(), key: key.to_owned() }
    }

    /// Waits until there is memory for so many bytes.
    pub(crate) async fn room(&self, bytes: u64) -> Result<SemaphorePermit<'_>, UploadError> {
        let units = u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.memory_units);
        self.memory.acquire_many(units).await.map_err(|_| UploadError::Stopped)
    }

    /// Waits, with jitter, unless told to stop.
    pub(crate) async fn pause(&self, pause: Duration) -> Result<(), UploadError> {
        let share = u32::try_from(self.random.draw() % 1_024).unwrap_or(0);
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause / 2 + pause * share / 1_024) => Ok(()),
            () = self.stop.cancelled() => Err(UploadError::Stopped),
        }
    }

    /// An object was there without a mark.
    pub(crate) fn found_unmarked(&self) {
        self.unmarked.fetch_add(1, Ordering::Relaxed);
    }
}

impl SendOutcome {
    fn uploaded(self, key: &str) -> Option<(Uploaded, UploadedObject)> {
        match self {
            Self::Sent(stored, bytes) => Some((Uploaded::Sent { key: key.to_owned(), bytes }, stored)),
            Self::There(stored) => Some((Uploaded::AlreadyThere { key: key.to_owned() }, stored)),
            Self::Differs => None,
        }
    }
}
