//! A record of all calls, for counts, checks and the comparison of replays.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::endpoints::Service;

/// A write to S3 that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub method: String,
    pub path: String,
}

#[derive(Debug, Default)]
pub struct Journal(Mutex<Book>, AtomicU64);

#[derive(Debug, Default)]
struct Book {
    calls: u64,
    faults: BTreeMap<&'static str, u64>,
    applied: Vec<Applied>,
    digest: blake3::Hasher,
    lines: Option<Vec<String>>,
}

impl Journal {
    /// A journal; with `true`, it also keeps a line for each call.
    #[must_use]
    pub fn new(with_lines: bool) -> Self {
        let journal = Self::default();
        journal.book().lines = with_lines.then(Vec::new);
        journal
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often an endpoint was asked, by whomever.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    pub fn asked(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    pub fn call(
        &self,
        at: Duration,
        process: u64,
        operation: &str,
        fault: Option<&'static str>,
        ended: &str,
    ) {
        let mut book = self.book();
        book.calls += 1;
        if let Some(fault) = fault {
            *book.faults.entry(fault).or_default() += 1;
        }
        let line = format!("{:>9} p{process} {operation} {} {ended}\n", at.as_millis(), fault.unwrap_or("-"));
        book.digest.update(line.as_bytes());
        if let Some(lines) = &mut book.lines {
            lines.push(line);
        }
    }

    /// Records something other than a call: a crash, a freeze.
    pub fn event(&self, at: Duration, process: u64, event: &'static str) {
        let mut book = self.book();
        *book.faults.entry(event).or_default() += 1;
        let line = format!("{:>9} p{process} {event}\n", at.as_millis());
        book.digest.update(line.as_bytes());
        if let Some(lines) = &mut book.lines {
            lines.push(line);
        }
    }

    pub fn applied(&self, service: Service, method: &str, path: &str) {
        if service == Service::S3 && (method == "PUT" || method == "DELETE") {
            self.book().applied.push(Applied { method: method.to_owned(), path: path.to_owned() });
        }
    }

    /// The writes to S3 that were applied, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Applied> {
        self.book().applied.clone()
    }

    #[must_use]
    pub fn calls(&self) -> u64 {
        self.book().calls
    }

    /// The numbers of faults, crashes and freezes, by name.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.book().faults.clone()
    }

    /// The number of faults, crashes and freezes of all kinds.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        self.book().faults.values().sum()
    }

    /// A digest of everything in order: equal for two identical runs.
    #[must_use]
    pub fn digest(&self) -> String {
        self.book().digest.finalize().to_hex().as_str()[..16].to_owned()
    }

    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.book().lines.clone().unwrap_or_default()
    }
}
