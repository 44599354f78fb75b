//! `upload --watch`: looks for new files again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nextbasket_domain::{Clock, Timestamp};
use nextbasket_uploads::{
    CancellationToken, ClaimedFiles, FileOutcome, LocalFile, RejectedFile, UploadSummary, Uploads,
};

use super::{Upload, bytes, find_files, upload_failure};
use crate::Failure;
use crate::stdio::errln;

/// What is known of the files from the looks so far.
#[derive(Default)]
struct SeenFiles {
    /// Files that need no further look as long as they look the same: size and time of change.
    settled: HashMap<PathBuf, (u64, i64)>,
    /// What cannot be uploaded as it is now, and why.
    refused: BTreeMap<String, String>,
    changed: BTreeSet<String>,
}

/// Uploads new files until stopped.
pub(super) async fn watch(
    options: &Upload,
    uploads: &Uploads,
    stop: &CancellationToken,
) -> Result<UploadSummary, Failure> {
    let (dir, interval) = (options.dir.display(), options.interval);
    errln!("Looking for new files in {dir} every {interval:?}. Stop with Ctrl-C.");
    let mut total = UploadSummary::default();
    let seen = Mutex::new(SeenFiles::default());
    while !stop.is_cancelled() {
        let mut found = find_files(options).await?;
        let newest = Clock::system().now().plus_millis(-millis(options.settle));
        found.files.retain(|file| !with(&seen, |seen| seen.is_settled(file)) && changed(file) <= newest);
        with(&seen, |seen| found.refused.into_iter().for_each(|refused| seen.refuse(refused)));
        total.skipped = found.skipped;
        if !found.files.is_empty() {
            let note = |file: &LocalFile, fate: &FileOutcome| with(&seen, |seen| seen.note(file, fate));
            match uploads.upload_files(&found.files, options.to.prefix(), ClaimedFiles::Leave, note).await {
                Ok(summary) => add(&mut total, summary),
                Err(error) if error.is_transient() => errln!("nextbasket: {error}; looking again"),
                Err(error) => return Err(upload_failure(&error)),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.cancelled() => {}
        }
    }
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.changed = seen.changed.into_iter().collect();
    let refused = seen.refused.into_iter().map(|(path, reason)| RejectedFile { path, reason });
    total.refused = refused.collect();
    Ok(total)
}

fn with<T>(seen: &Mutex<SeenFiles>, use_it: impl FnOnce(&mut SeenFiles) -> T) -> T {
    use_it(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

impl SeenFiles {
    fn is_settled(&self, file: &LocalFile) -> bool {
        self.settled.get(&file.path) == Some(&(file.size, file.modified))
    }

    fn note(&mut self, file: &LocalFile, fate: &FileOutcome) {
        let path = file.path.display().to_string();
        match fate {
            // The next look sees what it is.
            FileOutcome::Deferred | FileOutcome::Gone => {}
            FileOutcome::Rejected(reason) => self.refuse(RejectedFile { path, reason: reason.clone() }),
            FileOutcome::Sent { .. }
            | FileOutcome::AlreadyThere
            | FileOutcome::ByOther
            | FileOutcome::Changed => {
                self.refused.remove(&path);
                if *fate == FileOutcome::Changed {
                    errln!("{path}: differs from what is there under its key");
                    self.changed.insert(path);
                }
                self.settled.insert(file.path.clone(), (file.size, file.modified));
            }
        }
    }

    /// Reports each reason once.
    fn refuse(&mut self, refused: RejectedFile) {
        let RejectedFile { path, reason } = refused;
        if self.refused.get(&path) != Some(&reason) {
            errln!("{path}: {reason}");
            self.refused.insert(path, reason);
        }
    }
}

fn add(total: &mut UploadSummary, look: UploadSummary) {
    if look.sent > 0 {
        errln!("{} files uploaded, {}", look.sent, bytes(look.sent_bytes));
    }
    total.files += look.files - look.left;
    total.sent += look.sent;
    total.sent_bytes += look.sent_bytes;
    total.already_there += look.already_there;
    total.by_others += look.by_others;
    total.leftovers += look.leftovers;
    total.versions.extend(look.versions);
}

fn changed(file: &LocalFile) -> Timestamp {
    Timestamp::EPOCH.plus_millis(file.modified / 1_000_000)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
