//! Many files, by any number of runs at once.
//!
//! The keys fall into 16 shards. A run goes through them in an order of its own, lists what is done of a shard when
//! it comes to it, and then claims what is left, file by file and again in an order of its own: two runs seldom meet,
//! and when they do, the later one looks at the shard again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use nextbasket_dynamodb::TableError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::UploadError;
use crate::record_table::{self, Shard};
use crate::summary::{FileOutcome, UploadSummary};
use crate::upload_content::{ContentError, UploadContent};
use crate::upload_record::UploadRecord;
use crate::uploads::{ClaimOutcome, Uploaded, Uploads};
use crate::walk::{LocalFile, RejectedFile};

/// Attempts at a file that fails for a transient reason: an answer that did not come, a file that changes.
const TRIES: u32 = 6;

/// The first pause before it is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// A shard is not listed again sooner.
const FRESH: Duration = Duration::from_millis(500);

/// How often a run looks for what others are at work on.
const LOOK: Duration = Duration::from_secs(1);

/// What a run does about files that another run has claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimedFiles {
    /// Waits until they are done, or takes them over when the other is gone.
    Await,
    Leave,
}

/// The files of one shard, and what is known of their marks.
struct ShardFiles<'a> {
    shard: Shard,
    files: Vec<&'a LocalFile>,
    first: &'a str,
    last: &'a str,
    known: Mutex<ShardRecords>,
}

#[derive(Default)]
struct ShardRecords {
    marks: HashMap<String, UploadRecord>,
    listed: Option<Instant>,
}

/// A file and how it is known to the run.
struct FileTask<'a, 'b> {
    shard: &'b ShardFiles<'a>,
    file: &'a LocalFile,
    /// Whether another was at work on it.
    late: bool,
}

impl Uploads {
    /// Uploads the files, each exactly once, whoever else does the same, and aborts what killed runs left below the
    /// prefix. `report` is called once for each file.
    ///
    /// # Errors
    /// [`UploadError`] when no file could be uploaded any more: no permission, no bucket, no answer. What was
    /// uploaded until then is there; another run goes on from it.
    pub async fn upload_files<'f>(
        &self,
        files: &'f [LocalFile],
        prefix: &str,
        others: ClaimedFiles,
        report: impl Fn(&LocalFile, &FileOutcome),
    ) -> Result<UploadSummary, UploadError> {
        let mut summary = UploadSummary::default();
        let mut unfinished: HashSet<&str> = HashSet::new();
        let mut settle = |file: &'f LocalFile, outcome: &FileOutcome| {
            if matches!(outcome, FileOutcome::Deferred | FileOutcome::Rejected(_)) {
                unfinished.insert(&file.key);
            }
            summary.add(file, outcome);
            report(file, outcome);
        };
        let shards = self.shards(files);
        let tasks = stream::iter(&shards)
            .then(|shard| self.listed(shard, Duration::ZERO))
            .map_ok(|shard| {
                stream::iter(shard.files.iter().map(move |file| Ok(FileTask { shard, file, late: false })))
            })
            .try_flatten();
        let mut waiting = self.upload_each(tasks, &mut settle).await?;
        while !waiting.is_empty() && others == ClaimedFiles::Await && self.pause(LOOK).await.is_ok() {
            let mut listed = HashSet::new();
            for task in &waiting {
                if listed.insert(&task.shard.shard) {
                    self.listed(task.shard, Duration::ZERO).await?;
                }
            }
            waiting = self.upload_each(stream::iter(waiting.into_iter().map(Ok)), &mut settle).await?;
        }
        for task in waiting {
            settle(task.file, &FileOutcome::Deferred);
        }
        if !self.stop.is_cancelled() {
            match self.abort_leftovers(prefix, |key| unfinished.contains(key)).await {
                Ok(aborted) => summary.leftovers = aborted,
                Err(error) => {
                    let path = format!("s3://{}/{prefix}", self.bucket.name());
                    let reason = format!("multipart uploads may be left over: {error}");
                    summary.refused.push(RejectedFile { path, reason });
                }
            }
        }
        Ok(summary)
    }

    /// Uploads some files at a time. Returns those that other runs have claimed.
    async fn upload_each<'f: 's, 's>(
        &self,
        tasks: impl Stream<Item = Result<FileTask<'f, 's>, UploadError>>,
        settle: &mut impl FnMut(&'f LocalFile, &FileOutcome),
    ) -> Result<Vec<FileTask<'f, 's>>, UploadError> {
        let mut waiting = Vec::new();
        let uploads = tasks.map(|task| self.upload(task)).buffer_unordered(self.settings.workers.max(1));
        let mut uploads = std::pin::pin!(uploads);
        while let Some((task, outcome)) = uploads.try_next().await? {
            match outcome {
                Some(outcome) => settle(task.file, &outcome),
                None => waiting.push(FileTask { late: true, ..task }),
            }
        }
        Ok(waiting)
    }

    fn shards<'a>(&self, files: &'a [LocalFile]) -> Vec<ShardFiles<'a>> {
        let mut by_shard: BTreeMap<Shard, Vec<&LocalFile>> = BTreeMap::new();
        for file in files {
            by_shard.entry(record_table::shard(&file.key)).or_default().push(file);
        }
        let shards = by_shard.into_iter().filter_map(|(shard, mut files)| {
            let first = files.iter().map(|file| file.key.as_str()).min()?;
            let last = files.iter().map(|file| file.key.as_str()).max()?;
            self.shuffle(&mut files);
            Some(ShardFiles { shard, files, first, last, known: Mutex::default() })
        });
        let mut shards: Vec<ShardFiles<'_>> = shards.collect();
        self.shuffle(&mut shards);
        shards
    }

    fn shuffle<T>(&self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.random.draw() % (end as u64 + 1);
            items.swap(end, usize::try_from(other).unwrap_or(end));
        }
    }

    /// Lists a shard's marks, unless that was done just now.
    async fn listed<'a, 'b>(
        &self,
        shard: &'b ShardFiles<'a>,
        fresh: Duration,
    ) -> Result<&'b ShardFiles<'a>, UploadError> {
        let mut known = shard.known.lock().await;
        if known.listed.is_some_and(|listed| listed.elapsed() < fresh) {
            return Ok(shard);
        }
        let mut tries = 0;
        known.marks = loop {
            match self.records.list(&shard.shard, shard.first, shard.last).await {
                Ok(marks) => break marks,
                Err(error) if error.is_transient() && tries < TRIES => {
                    self.pause(PAUSE * (1 << tries)).await?;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        };
        known.listed = Some(Instant::now());
        Ok(shard)
    }

    /// Uploads a file and returns its outcome; `None` if another run has claimed it.
    async fn upload<'a, 'b>(
        &self,
        task: Result<FileTask<'a, 'b>, UploadError>,
    ) -> Result<(FileTask<'a, 'b>, Option<FileOutcome>), UploadError> {
        let task = task?;
        let content = UploadContent::File(task.file.path.clone());
        let mut tries = 0;
        loop {
            if self.stop.is_cancelled() {
                return Ok((task, Some(FileOutcome::Deferred)));
            }
            let error = match self.try_file(&task, &content).await {
                Ok(outcome) => return Ok((task, outcome)),
                Err(error) => error,
            };
            tries += 1;
            let is_transient =
                error.is_transient() || matches!(error, UploadError::UploadContent(ContentError::Changing));
            if is_transient && tries < TRIES {
                // Told to stop: the next turn says so.
                let _stopped = self.pause(PAUSE * (1 << tries.min(5))).await;
                self.listed(task.shard, FRESH).await?;
                continue;
            }
            let outcome = match error {
                UploadError::Stopped => FileOutcome::Deferred,
                UploadError::Differs { .. } => FileOutcome::Changed,
                UploadError::UploadContent(ContentError::Gone) => FileOutcome::Gone,
                // Every other file would meet it, too.
                error if error.is_systemic() => return Err(error),
                UploadError::Table(error @ TableError::Corrupt { .. }) => {
                    FileOutcome::Rejected(error.to_string())
                }
                error @ (UploadError::Table(_) | UploadError::Object(_)) if error.is_transient() => {
                    return Err(error);
                }
                error => FileOutcome::Rejected(error.to_string()),
            };
            return Ok((task, Some(outcome)));
        }
    }

    async fn try_file(
        &self,
        task: &FileTask<'_, '_>,
        content: &UploadContent,
    ) -> Result<Option<FileOutcome>, UploadError> {
        let FileTask { shard, file, .. } = task;
        let mark = shard.known.lock().await.marks.get(&file.key).cloned().unwrap_or_default();
        let there = || if task.late { FileOutcome::ByOther } else { FileOutcome::AlreadyThere };
        if mark.looks_like(&file.key, file.look()).is_some() {
            return Ok(Some(there()));
        }
        let was_done = mark.done.is_some() || mark.latest.is_some();
        match self.attempt(&file.key, content, mark).await? {
            ClaimOutcome::Settled(Uploaded::Sent { key, bytes }) => {
                Ok(Some(FileOutcome::Sent { key, bytes }))
            }
            ClaimOutcome::Settled(Uploaded::AlreadyThere { .. }) => {
                if !was_done {
                    self.listed(shard, FRESH).await?;
                }
                Ok(Some(there()))
            }
            ClaimOutcome::Busy => {
                self.listed(shard, FRESH).await?;
                Ok(None)
            }
        }
    }
}
