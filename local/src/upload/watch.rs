//! Looking for new files again and again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nextbasket_domain::{Clock, Timestamp};
use nextbasket_uploads::{Fate, LocalFile, Others, Refused, Stop, Summary, Uploads};

use super::{Upload, bytes, failed, look};
use crate::Failure;
use crate::out::errln;

/// What is known from the looks so far.
#[derive(Default)]
struct Seen {
    /// Files that need no further look as long as they look the same: size and time of change.
    settled: HashMap<PathBuf, (u64, i64)>,
    /// What cannot be uploaded as it is now, and why.
    refused: BTreeMap<String, String>,
    changed: BTreeSet<String>,
}

/// Uploads what is new, again and again until told to stop.
pub(super) async fn watch(options: &Upload, uploads: &Uploads, stop: &Stop) -> Result<Summary, Failure> {
    let (dir, interval) = (options.dir.display(), options.interval);
    errln!("Looking for new files in {dir} every {interval:?}. Stop with Ctrl-C.");
    let mut total = Summary::default();
    let seen = Mutex::new(Seen::default());
    while !stop.has_come() {
        let mut found = look(options).await?;
        let newest = Clock::system().now().plus_millis(-millis(options.settle));
        found.files.retain(|file| !with(&seen, |seen| seen.is_settled(file)) && changed(file) <= newest);
        with(&seen, |seen| found.refused.into_iter().for_each(|refused| seen.refuse(refused)));
        total.skipped = found.skipped;
        if !found.files.is_empty() {
            let told = |file: &LocalFile, fate: &Fate| with(&seen, |seen| seen.note(file, fate));
            match uploads.run(&found.files, options.to.prefix(), Others::Leave, told).await {
                Ok(summary) => add(&mut total, summary),
                Err(error) if error.is_transient() => errln!("nextbasket: {error}; looking again"),
                Err(error) => return Err(failed(&error)),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = stop.wait() => {}
        }
    }
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.changed = seen.changed.into_iter().collect();
    let refused = seen.refused.into_iter().map(|(path, reason)| Refused { path, reason });
    total.refused = refused.collect();
    Ok(total)
}

fn with<T>(seen: &Mutex<Seen>, use_it: impl FnOnce(&mut Seen) -> T) -> T {
    use_it(&mut seen.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Seen {
    fn is_settled(&self, file: &LocalFile) -> bool {
        self.settled.get(&file.path) == Some(&(file.size, file.modified))
    }

    fn note(&mut self, file: &LocalFile, fate: &Fate) {
        let path = file.path.display().to_string();
        match fate {
            // The next look sees what it is.
            Fate::Left | Fate::Gone => {}
            Fate::Refused(reason) => self.refuse(Refused { path, reason: reason.clone() }),
            Fate::Sent { .. } | Fate::AlreadyThere | Fate::ByOther | Fate::Changed => {
                self.refused.remove(&path);
                if *fate == Fate::Changed {
                    errln!("{path}: differs from what is there under its key");
                    self.changed.insert(path);
                }
                self.settled.insert(file.path.clone(), (file.size, file.modified));
            }
        }
    }

    /// Tells each reason once.
    fn refuse(&mut self, refused: Refused) {
        let Refused { path, reason } = refused;
        if self.refused.get(&path) != Some(&reason) {
            errln!("{path}: {reason}");
            self.refused.insert(path, reason);
        }
    }
}

fn add(total: &mut Summary, look: Summary) {
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
