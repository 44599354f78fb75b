//! Calls that wait for their job's rates, are retried with back-off, and end when the work has to stop.
//!
//! * [`Calls`]: single requests of the SDK, whose answers say what they consumed.
//! * [`MeteredCalls`]: functions that make any number of requests and are measured as a whole, such as those of the
//!   shop's tables.
//!
//! Both keep the [`Permit`] of the rate until the consumed capacity is known. A throttled call lowers the pace and is
//! retried without an end; a call without an answer is retried a limited number of times.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use nextbasket_domain::Random;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::capacity::{Units, metered};

use crate::error::WorkError;
use crate::kind::Outcome;
use crate::limit::{Limiter, Limits, Permit};
use crate::session::Session;
use crate::work::Work;
use crate::{Rates, Site};

/// The upper bound of the first pause; it doubles with each further pause.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many attempts a call without an answer gets. Throttled calls are retried until they go through.
const MAX_UNANSWERED: u32 = 8;
/// How often waiting calls check whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(250);
/// How long calls may continue to wait once the work has to stop: the page that is being worked on may still end.
const GRACE: Duration = Duration::from_secs(2);
/// The most characters of a reason: DynamoDB may repeat a whole request in it.
const MAX_REASON: usize = 500;

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// The work has to stop.
    Stopped,
    /// DynamoDB rejects this request because of its content.
    Refused(RefusedRequest),
    /// The batch cannot continue.
    Failed(WorkError),
}

impl CallError {
    /// The outcome of a batch that this error ends.
    ///
    /// # Errors
    /// [`WorkError`] unless the batch was stopped.
    pub fn outcome(self) -> Result<Outcome, WorkError> {
        match self {
            Self::Stopped => Ok(Outcome::Stopped),
            Self::Refused(refused) => Err(WorkError::Failed(refused.reason())),
            Self::Failed(error) => Err(error),
        }
    }
}

impl<E> From<E> for CallError
where
    WorkError: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What DynamoDB says of a request that it rejects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// The error code, such as `ValidationException`.
    pub code: String,
    /// The beginning of the error message.
    pub message: String,
}

impl RefusedRequest {
    /// Whether the reason is that an item's condition does not hold.
    pub fn is_condition(&self) -> bool {
        matches!(self.code.as_str(), "ConditionalCheckFailedException" | "ConditionalCheckFailed")
    }

    /// Whether the request's expressions are rejected, and so the requests of all items.
    pub fn is_expression(&self) -> bool {
        is_expression(&self.message)
    }

    /// Code and message together.
    pub fn reason(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

/// Whether the message of a `ValidationException` is about an expression, rather than about an item.
#[must_use]
pub fn is_expression(message: &str) -> bool {
    let beginnings = [
        "Invalid UpdateExpression",
        "Invalid ConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
    ];
    beginnings.iter().any(|beginning| message.contains(beginning))
}

/// The beginning of a reason.
#[must_use]
pub fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()),
        None => reason.to_owned(),
    }
}

/// Requests of a DynamoDB client, for one batch. Clones stop together.
#[derive(Debug, Clone)]
pub struct Calls {
    /// The client, without the SDK's own retries: the limiter has to know of each throttled request.
    pub client: Client,
    retrying: Retrying,
}

impl Calls {
    /// Requests of the site's client, for a batch.
    pub fn new(work: &Work) -> Self {
        Self { client: without_retries(&work.site().dynamodb), retrying: Retrying::of(work) }
    }

    /// Requests of the site's client outside of a batch: nothing stops them.
    pub fn at(site: &Site) -> Self {
        Self::of_client(&site.dynamodb, site.random.clone())
    }

    /// Requests of a client where there is no site of jobs: nothing stops them.
    pub fn of_client(client: &Client, random: Random) -> Self {
        Self { client: without_retries(client), retrying: Retrying { random, stop: None } }
    }

    /// The same with another client, such as one of another region.
    pub fn to(&self, client: &Client) -> Self {
        Self { client: without_retries(client), retrying: self.retrying.clone() }
    }

    /// Sends the request until DynamoDB accepts it. Returns the answer and the units that it `consumed`, which the
    /// limiter has counted. `expected` is how many that will probably be, if it is known.
    ///
    /// # Errors
    /// [`CallError`] if the work has to stop, DynamoDB rejects the request, or there is no answer after all attempts.
    pub async fn call<T, E, F>(
        &self,
        table: &str,
        limiter: &Limiter,
        expected: Option<f64>,
        send: impl Fn() -> F,
        consumed: impl Fn(&T) -> f64,
    ) -> Result<(T, f64), CallError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let mut backoff = Backoff::default();
        loop {
            let permit = self.admitted(limiter, expected).await?;
            match send().await {
                Ok(answer) => {
                    let units = consumed(&answer);
                    permit.spent(units);
                    return Ok((answer, units));
                }
                Err(error) => {
                    drop(permit);
                    self.retrying
                        .after(FailedAttempt::of_request(table, error), &[limiter], &mut backoff)
                        .await?;
                }
            }
        }
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the work has to stop.
    pub async fn admitted(&self, limiter: &Limiter, expected: Option<f64>) -> Result<Permit, CallError> {
        self.retrying.admitted(limiter, expected).await
    }

    /// Lowers the pace and pauses, after a part of a request was throttled.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the work has to stop.
    pub async fn throttled(&self, limiter: &Limiter, backoff: &mut Backoff) -> Result<(), CallError> {
        limiter.throttled();
        self.retrying.pause(backoff).await
    }

    /// Pauses after a part of a request had no answer.
    ///
    /// # Errors
    /// [`CallError`]: `error` if there were too many attempts, [`CallError::Stopped`] if the work has to stop.
    pub async fn unanswered(&self, backoff: &mut Backoff, error: TableError) -> Result<(), CallError> {
        self.retrying.unanswered(backoff, error).await
    }
}

/// The rates that a function's requests are held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consumes {
    /// The rate of reads.
    Reads,
    /// The rate of writes.
    Writes,
    /// Both rates.
    Both,
}

/// Functions that make requests and report them to [`metered`], for one batch.
#[derive(Debug, Clone)]
pub struct MeteredCalls {
    limits: Limits,
    retrying: Retrying,
}

impl MeteredCalls {
    /// Calls within the batch's part of the rates.
    pub fn new(work: &Work) -> Self {
        Self { limits: work.limits().clone(), retrying: Retrying::of(work) }
    }

    /// Calls within these rates, outside of a batch: nothing stops them.
    pub fn within(rates: Rates, random: Random) -> Self {
        Self { limits: Limits::new(rates, 1.0), retrying: Retrying { random, stop: None } }
    }

    /// Calls the function until it succeeds. Returns its output and what all attempts consumed, which the limiters have
    /// counted.
    ///
    /// # Errors
    /// [`CallError`] if the work has to stop, or the function fails for another reason than throttling and silence.
    pub async fn call<T, F>(&self, consumes: Consumes, call: impl Fn() -> F) -> Result<(T, Units), CallError>
    where
        F: Future<Output = Result<T, TableError>>,
    {
        let Limits { read, write } = &self.limits;
        let limiters: &[&Limiter] = match consumes {
            Consumes::Reads => &[read],
            Consumes::Writes => &[write],
            Consumes::Both => &[read, write],
        };
        let (mut total, mut backoff) = (Units::default(), Backoff::default());
        loop {
            let (mut read_permit, mut write_permit) = (None, None);
            if consumes != Consumes::Writes {
                read_permit = Some(self.retrying.admitted(read, None).await?);
            }
            if consumes != Consumes::Reads {
                write_permit = Some(self.retrying.admitted(write, None).await?);
            }
            let (result, units) = metered(call()).await;
            total.read += units.read;
            total.write += units.write;
            settle(read, read_permit, units.read, result.is_ok());
            settle(write, write_permit, units.write, result.is_ok());
            match result {
                Ok(output) => return Ok((output, total)),
                Err(error) => {
                    self.retrying.after(FailedAttempt::of_table(error), limiters, &mut backoff).await?;
                }
            }
        }
    }
}

/// Counts what an attempt consumed. One that failed without consuming anything says nothing of what the next will.
fn settle(limiter: &Limiter, permit: Option<Permit>, units: f64, succeeded: bool) {
    match permit {
        Some(permit) if succeeded || units > 0.0 => permit.spent(units),
        None if units > 0.0 => limiter.spent(units),
        _ => {}
    }
}

enum FailedAttempt {
    Throttled,
    Unanswered(TableError),
    Final(CallError),
}

impl FailedAttempt {
    fn of_request<E>(table: &str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default();
        if is_about_the_request(code) {
            let (code, message) = (code.to_owned(), shortened(error.message().unwrap_or("no message")));
            return Self::Final(CallError::Refused(RefusedRequest { code, message }));
        }
        Self::of_table(TableError::from_sdk(table, error))
    }

    fn of_table(error: TableError) -> Self {
        match error {
            TableError::Throttled { .. } => Self::Throttled,
            error if error.is_transient() => Self::Unanswered(error),
            error => Self::Final(CallError::Failed(error.into())),
        }
    }
}

/// Whether an error of this code says that the content of the request is at fault.
fn is_about_the_request(code: &str) -> bool {
    matches!(
        code,
        "ConditionalCheckFailedException"
            | "ValidationException"
            | "ItemCollectionSizeLimitExceededException"
    )
}

/// The pauses and attempts of one call so far.
#[derive(Debug, Default)]
pub struct Backoff {
    pauses: u32,
    unanswered: u32,
}

/// Waits, pauses and stops: what all calls of a batch have in common.
#[derive(Debug, Clone)]
struct Retrying {
    random: Random,
    /// Outside of a batch there is nothing that stops a call.
    stop: Option<Arc<StopSignal>>,
}

/// Whether a batch has to stop, and since when its calls know.
#[derive(Debug)]
struct StopSignal {
    session: Session,
    deadline: Option<Instant>,
    since: OnceLock<tokio::time::Instant>,
}

impl Retrying {
    fn of(work: &Work) -> Self {
        let stop =
            StopSignal { session: work.session.clone(), deadline: work.deadline, since: OnceLock::new() };
        Self { random: work.site().random.clone(), stop: Some(Arc::new(stop)) }
    }

    /// Whether the work has to stop and [`GRACE`] has passed.
    fn is_stopped(&self) -> bool {
        let Some(StopSignal { session, deadline, since }) = self.stop.as_deref() else { return false };
        (session.must_stop() || deadline.is_some_and(|deadline| Instant::now() >= deadline))
            && since.get_or_init(tokio::time::Instant::now).elapsed() >= GRACE
    }

    /// Pauses before the next attempt, if there may be one.
    async fn after(
        &self,
        failure: FailedAttempt,
        limiters: &[&Limiter],
        backoff: &mut Backoff,
    ) -> Result<(), CallError> {
        match failure {
            FailedAttempt::Throttled => {
                limiters.iter().for_each(|limiter| limiter.throttled());
                self.pause(backoff).await
            }
            FailedAttempt::Unanswered(error) => self.unanswered(backoff, error).await,
            FailedAttempt::Final(error) => Err(error),
        }
    }

    async fn admitted(&self, limiter: &Limiter, expected: Option<f64>) -> Result<Permit, CallError> {
        let ready = async {
            match expected {
                Some(units) => limiter.ready_for(units).await,
                None => limiter.ready().await,
            }
        };
        tokio::pin!(ready);
        while !self.is_stopped() {
            if let Ok(permit) = tokio::time::timeout(STOP_CHECK, &mut ready).await {
                return Ok(permit);
            }
        }
        Err(CallError::Stopped)
    }

    async fn unanswered(&self, backoff: &mut Backoff, error: TableError) -> Result<(), CallError> {
        backoff.unanswered += 1;
        if backoff.unanswered >= MAX_UNANSWERED {
            return Err(CallError::Failed(error.into()));
        }
        self.pause(backoff).await
    }

    /// Pauses with full jitter: from nothing up to a bound that doubles.
    async fn pause(&self, backoff: &mut Backoff) -> Result<(), CallError> {
        let bound = FIRST_PAUSE.saturating_mul(1 << backoff.pauses.min(12)).min(LONGEST_PAUSE);
        backoff.pauses += 1;
        let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        let mut left = Duration::from_micros(self.random.draw() % (bound + 1));
        while !self.is_stopped() {
            let slice = left.min(STOP_CHECK);
            if slice.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(slice).await;
            left -= slice;
        }
        Err(CallError::Stopped)
    }
}

fn without_retries(client: &Client) -> Client {
    let config = client
        .config()
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}
