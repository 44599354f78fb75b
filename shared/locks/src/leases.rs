//! The leases of one table: try, look, list, resume.

use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_dynamodb::item::{Item, number, text};
use nextbasket_dynamodb::{TableClient, TableError};
use tokio::time::Instant;

use crate::expression::{Expression, new_value, placeholder};
use crate::key::LOCKS;
use crate::lease::Term;
use crate::record::{
    ACQUIRED_AT, EXPIRES_AT, FENCE, HOLDER, LENGTH, MARK, NAME, NOTE, OWNER, RELEASED, millis,
};
use crate::{AcquisitionTerms, Attempt, AttributeChanges, Lease, LeaseKey, LeaseRecord, LeaseRequest};

const SKEW: Duration = Duration::from_secs(2);
/// How often a write is made again whose answer could not be read, beside what the client does by itself.
const ATTEMPTS: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(20);

/// The leases of one table, whose key is the strings `pk` and `sk`.
#[derive(Clone)]
pub struct Leases {
    table: TableClient,
    clock: Clock,
    random: Random,
    skew: Duration,
    deadline: Option<Timestamp>,
}

/// When a lease that another holds may be taken.
pub(crate) enum Takeover<'a> {
    /// When it expired, by our clock, longer ago than the skew.
    Expired,
    /// When it is as it was seen.
    Unchanged(&'a LeaseRecord),
    No,
}

/// One acquisition of ours, which may take several requests.
pub(crate) struct Acquisition {
    owner: String,
    /// Before the first request.
    started: Instant,
}

/// What came of a conditional write.
pub(crate) enum LeaseWrite {
    /// Applied; the attributes that it changed.
    Applied(Item),
    /// The condition did not hold; the item as it is, if there is one.
    Refused(Option<Item>),
}

impl Leases {
    /// Of this table, with a skew of 2 seconds.
    #[must_use]
    pub fn new(client: Client, table: String, clock: Clock, random: Random) -> Self {
        Self { table: TableClient::new(client, table), clock, random, skew: SKEW, deadline: None }
    }

    /// By how much the clocks of any two holders may differ: a lease is taken over only when it expired longer ago
    /// than that.
    #[must_use]
    pub fn with_skew(self, skew: Duration) -> Self {
        Self { skew, ..self }
    }

    /// No lease that is acquired, renewed or resumed through these outlives `deadline`, such as the end of a
    /// function's invocation: a frozen sandbox then holds nothing that it would have to renew. One that is asked for
    /// after the deadline has expired when it is had.
    #[must_use]
    pub fn bounded_by(self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The bound on how much clocks differ.
    #[must_use]
    pub fn skew(&self) -> Duration {
        self.skew
    }

    /// Acquires the lease if nobody has it: never acquired, released, or expired longer ago than the skew. One
    /// conditional write, which is made again if its answer is lost; we recognise our own.
    ///
    /// # Errors
    /// [`TableError`] if the table cannot be asked. If that is transient, the lease may have been acquired all the
    /// same; nobody holds it then, and it expires. It may also have been acquired, and have expired before the
    /// answer came, if another is told to have it.
    pub async fn try_acquire(&self, key: &LeaseKey, request: &LeaseRequest) -> Result<Attempt, TableError> {
        self.attempt(key, request, &self.claim(request), &Takeover::Expired).await
    }

    /// Like [`try_acquire`](Self::try_acquire), but changes other attributes of the item in the same write; nothing
    /// is changed if the terms do not hold. Also returns the whole item: as it is after the acquisition, or as it was
    /// found.
    pub async fn try_acquire_with(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        terms: AcquisitionTerms,
    ) -> Result<(Option<Lease>, Item), TableError> {
        self.check(&terms.changes)?;
        let claim = self.claim(request);
        self.acquire_once(key, request, &claim, &Takeover::Expired, Some(terms)).await
    }

    /// What the lease's item says, strongly consistent; none if it was never acquired.
    ///
    /// # Errors
    /// [`TableError`] if the table cannot be asked or the item is of another form.
    pub async fn show(&self, key: &LeaseKey) -> Result<Option<LeaseRecord>, TableError> {
        let item = self.table.get(key.item(), true).await?;
        item.map_or(Ok(None), |item| self.read(key, item))
    }

    /// All named locks that were ever acquired, by name, strongly consistent.
    ///
    /// # Errors
    /// [`TableError`] if the table cannot be asked or an item is of another form.
    pub async fn list_locks(&self) -> Result<Vec<LeaseRecord>, TableError> {
        let query = self
            .table
            .query()
            .key_condition_expression("pk = :locks")
            .expression_attribute_values(":locks", text(LOCKS))
            .consistent_read(true);
        let mut records = Vec::new();
        let take = |mut item: Item| {
            if let Some(AttributeValue::S(name)) = item.remove("sk") {
                records.extend(self.read(&LeaseKey::new(LOCKS, name), item)?);
            }
            Ok(())
        };
        self.table.query_all(query, take).await?;
        Ok(records)
    }

    /// Takes up a lease known by its owner and fence, as a job does that goes on in another process. Nothing is read
    /// or written: until it is renewed the lease counts as expired, and the renewal tells if it is still ours.
    #[must_use]
    pub fn resume(&self, key: &LeaseKey, owner: String, fence: u64, length: Duration) -> Lease {
        let term = Term { expires_at: self.now(), ends: Instant::now() };
        Lease::new(self.clone(), key.clone(), (owner, fence), length, term, None)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A mark for one write, unlike any other.
    pub(crate) fn mark(&self) -> String {
        format!("{:016x}{:016x}", self.random.draw(), self.random.draw())
    }

    pub(crate) fn read(&self, key: &LeaseKey, item: Item) -> Result<Option<LeaseRecord>, TableError> {
        LeaseRecord::read(self.table.name(), key, item)
    }

    /// That the writer of `also` may change what it names.
    pub(crate) fn check(&self, changes: &AttributeChanges) -> Result<(), TableError> {
        changes.reserved().map_or(Ok(()), |attribute| {
            let reason = format!("the attribute {attribute} is the lease's own");
            Err(TableError::Refused { table: self.table.name().to_owned(), reason })
        })
    }

    pub(crate) fn contended(&self, key: &LeaseKey, attempts: usize) -> TableError {
        self.table.contended(key.to_string(), attempts)
    }

    /// What is left of a length until the deadline.
    pub(crate) fn bounded(&self, length: Duration, now: Timestamp) -> Duration {
        let left = self.deadline.map_or(i64::MAX, |deadline| deadline.as_millis() - now.as_millis());
        length.min(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    pub(crate) fn claim(&self, request: &LeaseRequest) -> Acquisition {
        Acquisition { owner: format!("{}/{}", request.holder, self.mark()), started: Instant::now() }
    }

    /// One conditional write that raises the fence.
    pub(crate) async fn attempt(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        claim: &Acquisition,
        takeover: &Takeover<'_>,
    ) -> Result<Attempt, TableError> {
        let (lease, item) = self.acquire_once(key, request, claim, takeover, None).await?;
        match lease {
            Some(lease) => Ok(Attempt::Held(lease)),
            // The condition always holds for an item without a lease, so such an item cannot get here.
            None => Ok(Attempt::Busy(self.read(key, item)?.ok_or_else(|| self.contended(key, 1))?)),
        }
    }

    /// The same with terms; also returns the item, as far as it was requested.
    async fn acquire_once(
        &self,
        key: &LeaseKey,
        request: &LeaseRequest,
        claim: &Acquisition,
        takeover: &Takeover<'_>,
        terms: Option<AcquisitionTerms>,
    ) -> Result<(Option<Lease>, Item), TableError> {
        let now = self.now();
        let length = self.bounded(request.length, now);
        let term = Term::of(length, now, claim.started);
        let mut write = Expression::default();
        write.set(HOLDER, text(&request.holder));
        write.set(OWNER, text(&claim.owner));
        write.set(EXPIRES_AT, number(term.expires_at.as_millis()));
        write.set(LENGTH, number(length.as_millis()));
        write.set(ACQUIRED_AT, number(now.as_millis()));
        write.set(RELEASED, AttributeValue::Bool(false));
        let mark = self.mark();
        write.mark(&mark);
        match &request.note {
            Some(note) => write.set(NOTE, text(note)),
            None => write.remove(NOTE),
        }
        if let Some(name) = key.name() {
            write.set(NAME, text(name));
        }
        let none = write.value("none", number(0));
        let one = write.value("one", number(1));
        write.set_to(FENCE, &format!("if_not_exists({}, {none}) + {one}", placeholder(FENCE)));
        self.require_takeover(&mut write, takeover, now);
        let returns = if terms.is_some() { ReturnValue::AllNew } else { ReturnValue::UpdatedNew };
        if let Some(terms) = terms {
            terms.write_to(&mut write);
        }
        match self.write(key, write, returns).await? {
            LeaseWrite::Applied(item) => {
                let fence = self.table.reader(key.to_string(), item.clone()).number(FENCE)?;
                Ok((Some(self.lease(key, claim, fence, length, term, mark)), item))
            }
            LeaseWrite::Refused(item) => {
                let item = item.unwrap_or_default();
                let lease = self.read(key, item.clone())?.and_then(|record| {
                    // An earlier request of this claim was applied, and its answer lost.
                    let ours = record.owner == claim.owner && !record.released;
                    ours.then(|| {
                        let length = record.length;
                        let term =
                            Term { expires_at: record.expires_at, ..Term::of(length, now, claim.started) };
                        self.lease(key, claim, record.fence, length, term, record.mark)
                    })
                });
                Ok((lease, item))
            }
        }
    }

    fn lease(
        &self,
        key: &LeaseKey,
        claim: &Acquisition,
        fence: u64,
        length: Duration,
        term: Term,
        mark: String,
    ) -> Lease {
        Lease::new(self.clone(), key.clone(), (claim.owner.clone(), fence), length, term, Some(mark))
    }

    fn require_takeover(&self, write: &mut Expression, takeover: &Takeover<'_>, now: Timestamp) {
        let owner = placeholder(OWNER);
        let ours = new_value(OWNER);
        let yes = write.value("yes", AttributeValue::Bool(true));
        let mut free = format!("{} = {yes}", write.name(RELEASED));
        match takeover {
            Takeover::Expired => {
                let dead = number(now.as_millis().saturating_sub(millis(self.skew)));
                free = format!("{free} OR {} < {}", write.name(EXPIRES_AT), write.value("dead", dead));
            }
            Takeover::Unchanged(seen) => {
                let seen_owner = write.value("seen_owner", text(&seen.owner));
                let seen_fence = write.value("seen_fence", number(seen.fence));
                let seen_mark = write.value("seen_mark", text(&seen.mark));
                let (fence, mark) = (write.name(FENCE), write.name(MARK));
                let unchanged =
                    format!("{owner} = {seen_owner} AND {fence} = {seen_fence} AND {mark} = {seen_mark}");
                free = format!("{free} OR ({unchanged})");
            }
            Takeover::No => {}
        }
        // A request of ours that the network held back until after our release must not acquire again.
        write.require(format!("(attribute_not_exists({owner}) OR ({owner} <> {ours} AND ({free})))"));
    }

    /// Makes a conditional write, and makes it again when its answer could not be read.
    pub(crate) async fn write(
        &self,
        key: &LeaseKey,
        write: Expression,
        returns: ReturnValue,
    ) -> Result<LeaseWrite, TableError> {
        let request = self
            .table
            .update(key.item())
            .return_values(returns)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = write.put_on(request);
        let mut attempt = 1;
        loop {
            let answer = request.clone().send().await;
            if attempt < ATTEMPTS && answer.as_ref().is_err_and(worth_another) {
                tokio::time::sleep(self.jitter(BACKOFF * attempt)).await;
                attempt += 1;
                continue;
            }
            let refusal = answer.as_ref().err().and_then(SdkError::as_service_error);
            if let Some(UpdateItemError::ConditionalCheckFailedException(refusal)) = refusal {
                return Ok(LeaseWrite::Refused(refusal.item.clone()));
            }
            let output = self.table.write(answer)?;
            return Ok(LeaseWrite::Applied(output.attributes.unwrap_or_default()));
        }
    }

    /// Between half of a pause and all of it.
    pub(crate) fn jitter(&self, pause: Duration) -> Duration {
        let share = u32::try_from(self.random.draw() % 1_024).unwrap_or(0);
        pause / 2 + (pause / 2) * share / 1_024
    }
}

/// What the client does not try again by itself: an answer that broke off, and a transaction on the same item.
fn worth_another(error: &SdkError<UpdateItemError>) -> bool {
    matches!(error, SdkError::ResponseError(_)) || error.code() == Some("TransactionConflictException")
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases")
            .field("table", &self.table.name())
            .field("skew", &self.skew)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
