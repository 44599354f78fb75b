//! The outcome of a folder's files.

use crate::walk::{LocalFile, RejectedFile};

/// The outcome of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutcome {
    /// Uploaded now, under this key, with so many bytes sent.
    Sent {
        /// The object's key: the file's own, or a version's.
        key: String,
        /// How many bytes were sent.
        bytes: u64,
    },
    /// It was there when the run looked.
    AlreadyThere,
    /// Another run uploaded it meanwhile.
    ByOther,
    /// It differs from what is there under its key, and was not uploaded.
    Changed,
    /// It was gone before it could be read.
    Gone,
    /// It cannot be uploaded, for this reason.
    Rejected(String),
    /// It was not waited for: another run has the claim, or this one was told to stop.
    Deferred,
}

/// A file that was uploaded beside what was there under its key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NewVersion {
    pub path: String,
    pub key: String,
}

/// The outcome of a folder's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadSummary {
    /// How many files were looked at.
    pub files: u64,
    /// How many were uploaded now.
    pub sent: u64,
    /// How many bytes that took.
    pub sent_bytes: u64,
    pub already_there: u64,
    /// How many were uploaded by others meanwhile.
    pub by_others: u64,
    /// How many were left for another run, or for others who are at work on them.
    pub left: u64,
    /// Those of the sent that are new versions.
    pub versions: Vec<NewVersion>,
    /// Files that differ from what is there and were not uploaded.
    pub changed: Vec<String>,
    /// Files that were gone before they could be read.
    pub gone: Vec<String>,
    /// What cannot be uploaded, and why.
    pub refused: Vec<RejectedFile>,
    /// Sockets, pipes and devices.
    pub skipped: u64,
    /// How many multipart uploads that killed runs had left were ended.
    pub leftovers: u64,
}

impl UploadSummary {
    /// Whether every file is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.changed.is_empty() && self.gone.is_empty() && self.refused.is_empty()
    }

    pub fn add(&mut self, file: &LocalFile, fate: &FileOutcome) {
        let path = || file.path.display().to_string();
        self.files += 1;
        match fate {
            FileOutcome::Sent { key, bytes } => {
                self.sent += 1;
                self.sent_bytes += bytes;
                if *key != file.key {
                    self.versions.push(NewVersion { path: path(), key: key.clone() });
                }
            }
            FileOutcome::AlreadyThere => self.already_there += 1,
            FileOutcome::ByOther => self.by_others += 1,
            FileOutcome::Deferred => self.left += 1,
            FileOutcome::Changed => self.changed.push(path()),
            FileOutcome::Gone => self.gone.push(path()),
            FileOutcome::Rejected(reason) => self.refused.push(RejectedFile::new(&file.path, reason)),
        }
    }
}
