//! Many files, by any number of runs at once.
//!
//! The keys fall into 16 shards. A run goes through them in an order of its own, lists what is done of a shard when
//! it comes to it, and then claims what is left, file by file and again in an order of its own: two runs seldom meet,
//! and when they do, the later one looks at the shard again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use nextbasket_dynamodb::TableError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::content::{Content, ReadError};
use crate::error::UploadError;
use crate::mark::Mark;
use crate::marks::{self, Shard};
use crate::summary::{Fate, Summary};
use crate::uploads::{Attempted, Uploaded, Uploads};
use crate::walk::{LocalFile, Refused};

/// How often a file is tried that fails by what may pass: an answer that did not come, a file that changes.
const TRIES: u32 = 6;

/// The first pause before it is tried again; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// A shard is not listed again sooner.
const FRESH: Duration = Duration::from_millis(500);

/// How often a run looks for what others are at work on.
const LOOK: Duration = Duration::from_secs(1);

/// What a run does about files that another is at work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// Waits until they are done, or takes them over when the other is gone.
    Await,
    /// Leaves them.
    Leave,
}

/// The files of one shard and what is known of their marks.
struct Share<'a> {
    shard: Shard,
    files: Vec<&'a LocalFile>,
    first: &'a str,
    last: &'a str,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    marks: HashMap<String, Mark>,
    listed: Option<Instant>,
}

/// A file and how it is known to the run.
struct Task<'a, 'b> {
    share: &'b Share<'a>,
    file: &'a LocalFile,
    /// Whether another was at work on it.
    late: bool,
}

impl Uploads {
    /// Uploads the files, each exactly once, whoever else does the same, and ends what killed runs left below the
    /// prefix. `told` hears of each file once.
    ///
    /// # Errors
    /// [`UploadError`] when no file could be uploaded any more: no permission, no bucket, no answer. What was
    /// uploaded until then is there; another run goes on from it.
    pub async fn run(
        &self,
        files: &[LocalFile],
        prefix: &str,
        others: Others,
        told: impl Fn(&LocalFile, &Fate),
    ) -> Result<Summary, UploadError> {
        let mut summary = Summary::default();
        let mut unfinished: HashSet<&str> = HashSet::new();
        let mut settle = |file: &LocalFile, fate: &Fate| {
            summary.add(file, fate);
            told(file, fate);
        };
        let shares = self.shares(files);
        let mut waiting = Vec::new();
        let tasks = stream::iter(&shares)
            .then(|share| self.listed(share, Duration::ZERO))
            .map_ok(|share| {
                stream::iter(share.files.iter().map(move |file| Ok(Task { share, file, late: false })))
            })
            .try_flatten();
        let mut ends = std::pin::pin!(tasks.map(|task| self.end(task)).buffer_unordered(self.width()));
        while let Some((task, fate)) = ends.try_next().await? {
            match fate {
                Some(fate) => note(&mut settle, &mut unfinished, task.file, &fate),
                None => waiting.push(Task { late: true, ..task }),
            }
        }
        while !waiting.is_empty() && others == Others::Await && self.pause(LOOK).await.is_ok() {
            let now = std::mem::take(&mut waiting);
            let mut listed = HashSet::new();
            for task in &now {
                if listed.insert(&task.share.shard) {
                    self.listed(task.share, Duration::ZERO).await?;
                }
            }
            let tasks = stream::iter(now.into_iter().map(Ok));
            let mut ends = std::pin::pin!(tasks.map(|task| self.end(task)).buffer_unordered(self.width()));
            while let Some((task, fate)) = ends.try_next().await? {
                match fate {
                    Some(fate) => note(&mut settle, &mut unfinished, task.file, &fate),
                    None => waiting.push(task),
                }
            }
        }
        for task in waiting {
            note(&mut settle, &mut unfinished, task.file, &Fate::Left);
        }
        if !self.stop.has_come() {
            match self.abort_leftovers(prefix, |key| unfinished.contains(key)).await {
                Ok(aborted) => summary.leftovers = aborted,
                Err(error) => {
                    let path = format!("s3://{}/{prefix}", self.bucket.name());
                    let reason = format!("multipart uploads may be left over: {error}");
                    summary.refused.push(Refused { path, reason });
                }
            }
        }
        Ok(summary)
    }

    fn width(&self) -> usize {
        self.settings.workers.max(1)
    }

    fn shares<'a>(&self, files: &'a [LocalFile]) -> Vec<Share<'a>> {
        let mut by_shard: BTreeMap<Shard, Vec<&LocalFile>> = BTreeMap::new();
        for file in files {
            by_shard.entry(marks::shard(&file.key)).or_default().push(file);
        }
        let shares = by_shard.into_iter().filter_map(|(shard, mut files)| {
            let first = files.iter().map(|file| file.key.as_str()).min()?;
            let last = files.iter().map(|file| file.key.as_str()).max()?;
            self.shuffle(&mut files);
            Some(Share { shard, files, first, last, known: Mutex::default() })
        });
        let mut shares: Vec<Share<'_>> = shares.collect();
        self.shuffle(&mut shares);
        shares
    }

    fn shuffle<T>(&self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.random.draw() % (end as u64 + 1);
            items.swap(end, usize::try_from(other).unwrap_or(end));
        }
    }

    /// Lists a share's marks, unless that was done just now.
    async fn listed<'a, 'b>(
        &self,
        share: &'b Share<'a>,
        fresh: Duration,
    ) -> Result<&'b Share<'a>, UploadError> {
        let mut known = share.known.lock().await;
        if known.listed.is_some_and(|listed| listed.elapsed() < fresh) {
            return Ok(share);
        }
        let mut tries = 0;
        known.marks = loop {
            match self.marks.list(&share.shard, share.first, share.last).await {
                Ok(marks) => break marks,
                Err(error) if error.is_transient() && tries < TRIES => {
                    self.pause(PAUSE * (1 << tries)).await?;
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        };
        known.listed = Some(Instant::now());
        Ok(share)
    }

    /// What becomes of a file; none if another is at work on it.
    async fn end<'a, 'b>(
        &self,
        task: Result<Task<'a, 'b>, UploadError>,
    ) -> Result<(Task<'a, 'b>, Option<Fate>), UploadError> {
        let task = match task {
            Ok(task) => task,
            Err(error) => return Err(error),
        };
        let content = Content::File(task.file.path.clone());
        let mut tries = 0;
        loop {
            if self.stop.has_come() {
                return Ok((task, Some(Fate::Left)));
            }
            let error = match self.try_file(&task, &content).await {
                Ok(fate) => return Ok((task, fate)),
                Err(error) => error,
            };
            tries += 1;
            let may_pass = error.is_transient() || matches!(error, UploadError::Read(ReadError::Changing));
            if may_pass && tries < TRIES {
                // Told to stop: the next turn says so.
                let _stopped = self.pause(PAUSE * (1 << tries.min(5))).await;
                self.listed(task.share, FRESH).await?;
                continue;
            }
            let fate = match error {
                UploadError::Stopped => Fate::Left,
                UploadError::Differs { .. } => Fate::Changed,
                UploadError::Read(ReadError::Gone) => Fate::Gone,
                // Every other file would meet it, too.
                error if error.is_systemic() => return Err(error),
                UploadError::Table(error @ TableError::Corrupt { .. }) => Fate::Refused(error.to_string()),
                error @ (UploadError::Table(_) | UploadError::Storage(_)) if error.is_transient() => {
                    return Err(error);
                }
                error => Fate::Refused(error.to_string()),
            };
            return Ok((task, Some(fate)));
        }
    }

    async fn try_file(&self, task: &Task<'_, '_>, content: &Content) -> Result<Option<Fate>, UploadError> {
        let Task { share, file, .. } = task;
        let mark = share.known.lock().await.marks.get(&file.key).cloned().unwrap_or_default();
        let there = || if task.late { Fate::ByOther } else { Fate::AlreadyThere };
        if mark.looks_like(&file.key, file.look()).is_some() {
            return Ok(Some(there()));
        }
        let was_done = mark.done.is_some() || mark.latest.is_some();
        match self.attempt(&file.key, content, mark).await? {
            Attempted::Settled(Uploaded::Sent { key, bytes }) => Ok(Some(Fate::Sent { key, bytes })),
            Attempted::Settled(Uploaded::AlreadyThere { .. }) => {
                if !was_done {
                    self.listed(share, FRESH).await?;
                }
                Ok(Some(there()))
            }
            Attempted::Busy => {
                self.listed(share, FRESH).await?;
                Ok(None)
            }
        }
    }
}

fn note<'a>(
    settle: &mut impl FnMut(&LocalFile, &Fate),
    unfinished: &mut HashSet<&'a str>,
    file: &'a LocalFile,
    fate: &Fate,
) {
    if matches!(fate, Fate::Left | Fate::Refused(_)) {
        unfinished.insert(&file.key);
    }
    settle(file, fate);
}
