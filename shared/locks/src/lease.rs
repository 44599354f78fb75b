//! A lease that is ours: renew, release.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::{number, text};
use tokio::time::Instant;

use crate::expression::Expression;
use crate::leases::LeaseWrite;
use crate::record::{EXPIRES_AT, MARK, RELEASED, millis};
use crate::{AttributeChanges, Guard, Keeper, LeaseError, LeaseKey, LeaseRecord, Leases, Lost, Unreleased};

/// How often a write is made again because another process that has the same lease came before it.
const CATCH_UPS: usize = 8;

/// A lease that is ours until it expires, is released, or another takes it over after its expiry.
///
/// Dropping it writes nothing: it stays ours in the table until it expires.
pub struct Lease {
    leases: Leases,
    key: LeaseKey,
    owner: String,
    fence: u64,
    length: Duration,
    term: Term,
    /// The mark that we last knew the item to bear; none of a lease taken up from elsewhere.
    mark: Option<String>,
}

/// How long a lease is ours for certain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) expires_at: Timestamp,
    /// On the monotonic clock, in case ours is set back.
    pub(crate) ends: Instant,
}

impl Term {
    /// Of a lease of this length that was asked for at `now`, not before `started`.
    pub(crate) fn of(length: Duration, now: Timestamp, started: Instant) -> Self {
        Self { expires_at: now.plus_millis(millis(length)), ends: started + length }
    }

    /// Whichever ends later, of each clock.
    fn or_later(self, other: Self) -> Self {
        Self { expires_at: self.expires_at.max(other.expires_at), ends: self.ends.max(other.ends) }
    }
}

impl Lease {
    pub(crate) fn new(
        leases: Leases,
        key: LeaseKey,
        (owner, fence): (String, u64),
        length: Duration,
        term: Term,
        mark: Option<String>,
    ) -> Self {
        Self { leases, key, owner, fence, length, term, mark }
    }

    /// The item.
    #[must_use]
    pub fn key(&self) -> &LeaseKey {
        &self.key
    }

    /// The acquisition, unlike any other.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The number of the acquisition: greater than those of all acquisitions before.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// How long it holds from each renewal on.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Until when it is ours for certain, by our clock.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.term.expires_at
    }

    /// Whether it is not ours for certain any more at this time of our clock; a careful holder stops then. The
    /// monotonic clock is asked, too, in case ours was set back.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.term.expires_at || Instant::now() >= self.term.ends
    }

    /// The condition that this lease is still ours, for writes to its item.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard::new(&self.owner, self.fence)
    }

    /// Makes the lease hold for its length from now on. One that expired and that nobody took over is ours again.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if it is not ours any more; [`LeaseError::Table`] if the table cannot be asked, then it
    /// is ours until it expires, and may be renewed again.
    pub async fn renew(&mut self) -> Result<(), LeaseError> {
        self.renew_with(AttributeChanges::new()).await
    }

    /// As [`renew`](Self::renew), and changes other attributes of the item in the same write: all of it or nothing,
    /// once, and never after what was written later, though the network repeats or delays the request.
    ///
    /// After [`LeaseError::Table`] it may have been applied or not; to make the same changes again with `add` in
    /// them could then count twice.
    pub async fn renew_with(&mut self, changes: AttributeChanges) -> Result<(), LeaseError> {
        let (now, started) = (self.leases.now(), Instant::now());
        let mut term = Term::of(self.leases.bounded(self.length, now), now, started);
        // If our clock was set back, what others were told already still stands.
        term.expires_at = term.expires_at.max(self.term.expires_at);
        self.write(LeaseChange::Renew(&mut term), changes).await?;
        self.term = self.term.or_later(term);
        Ok(())
    }

    /// Gives the lease up: the next who asks gets it. The item and its fence stay.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] if it was not ours any more, or if the answer was lost and two others acquired the lease
    /// before we asked again; [`LeaseError::Table`] if the table cannot be asked, then it
    /// may be released, and expires if not.
    pub async fn release(self) -> Result<(), LeaseError> {
        Ok(self.release_with(AttributeChanges::new()).await?)
    }

    /// As [`release`](Self::release), and changes other attributes of the item in the same write, once.
    ///
    /// # Errors
    /// The lease, to be tried again, and why it could not be released. If another process that holds the same lease
    /// released it, that is [`Lost::Released`] unless there is nothing else to change.
    pub async fn release_with(mut self, changes: AttributeChanges) -> Result<(), Box<Unreleased>> {
        match self.write(LeaseChange::Release, changes).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Box::new(Unreleased { lease: self, error })),
        }
    }

    /// Renews it in the background, at a third of its length, until the keeper is stopped or dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn keep(self) -> Keeper {
        Keeper::start(self)
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Makes one write, once.
    ///
    /// It applies only to the item as we last knew it, by the mark that every write leaves: what the network held back
    /// finds another mark and does nothing. What we find there ourselves is our own write whose answer was lost, or
    /// that of another process which has this lease; then the write is made again on top of it.
    async fn write(
        &mut self,
        mut change: LeaseChange<'_>,
        changes: AttributeChanges,
    ) -> Result<(), LeaseError> {
        self.leases.check(&changes)?;
        for _ in 0..CATCH_UPS {
            let Some(known) = self.mark.clone() else {
                let stored = self.leases.show(&self.key).await?;
                if self.learn(stored, None, &mut change, &changes)? {
                    return Ok(());
                }
                continue;
            };
            let mark = self.leases.mark();
            let mut write = Expression::default();
            match &change {
                LeaseChange::Renew(term) => write.set(EXPIRES_AT, number(term.expires_at.as_millis())),
                LeaseChange::Release => write.set(RELEASED, AttributeValue::Bool(true)),
            }
            write.mark(&mark);
            write.require_guard(self.guard());
            let unchanged = format!("{} = {}", write.name(MARK), write.value("known", text(known)));
            write.require(unchanged);
            changes.clone().write_to(&mut write);
            match self.leases.write(&self.key, write, ReturnValue::None).await? {
                LeaseWrite::Applied(_) => {
                    self.mark = Some(mark);
                    return Ok(());
                }
                LeaseWrite::Refused(item) => {
                    let stored = item.map_or(Ok(None), |item| self.leases.read(&self.key, item))?;
                    if self.learn(stored, Some(&mark), &mut change, &changes)? {
                        return Ok(());
                    }
                }
            }
        }
        Err(self.leases.contended(&self.key, CATCH_UPS).into())
    }

    /// Takes notice of what is stored. Whether the write that bears `mark` was applied, or needs not be any more.
    fn learn(
        &mut self,
        stored: Option<LeaseRecord>,
        mark: Option<&String>,
        change: &mut LeaseChange<'_>,
        changes: &AttributeChanges,
    ) -> Result<bool, LeaseError> {
        let stored = stored.ok_or(Lost::Gone)?;
        let applied = mark.is_some_and(|mark| [&stored.mark, &stored.previous].contains(&mark));
        let release = matches!(change, LeaseChange::Release);
        if stored.owner != self.owner || stored.fence != self.fence {
            // Whoever has it now may have got it by our release.
            return if applied && release {
                Ok(true)
            } else {
                Err(Lost::Taken { by: Box::new(stored) }.into())
            };
        }
        if stored.released {
            let done = release && (applied || changes.is_empty());
            return if done { Ok(true) } else { Err(Lost::Released.into()) };
        }
        if let LeaseChange::Renew(term) = change {
            term.expires_at = term.expires_at.max(stored.expires_at);
        }
        self.mark = Some(stored.mark);
        Ok(applied)
    }
}

/// What a write does to the lease.
enum LeaseChange<'a> {
    Renew(&'a mut Term),
    Release,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("key", &self.key)
            .field("owner", &self.owner)
            .field("fence", &self.fence)
            .field("expires_at", &self.term.expires_at)
            .finish_non_exhaustive()
    }
}
