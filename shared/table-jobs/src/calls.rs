//! Calls to DynamoDB that wait for their turn, back off from throttles, and end when the work has to stop.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::ConsumedCapacity;
use nextbasket_batch::limit::{Limiter, Permit};
use nextbasket_batch::{Site, Work, WorkError};
use nextbasket_domain::Random;
use nextbasket_dynamodb::TableError;

/// The first pause is up to this long; the next ones are up to twice as long each.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often a call is made that gets no answer. Throttled ones are made until they go through.
const UNANSWERED: u32 = 8;
/// How often those who wait look whether to stop.
const LOOK: Duration = Duration::from_millis(250);
/// How long calls that are under way may still take once the work has to stop.
const GRACE: Duration = Duration::from_secs(2);
/// The longest reason that is kept: DynamoDB may repeat a whole request in it.
const REASON: usize = 500;

/// Why a call has no result.
#[derive(Debug)]
pub enum CallError {
    /// The work has to stop.
    Stopped,
    /// DynamoDB refuses this request for what is in it.
    Refused(Refused),
    /// The batch cannot go on.
    Failed(WorkError),
}

/// What DynamoDB says of a request that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// DynamoDB's code.
    pub code: String,
    /// DynamoDB's own words, shortened.
    pub message: String,
}

impl Refused {
    /// Whether an item's condition does not hold.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        matches!(self.code.as_str(), "ConditionalCheckFailedException" | "ConditionalCheckFailed")
    }

    /// Whether it is the request's expressions that are refused, and so the requests of all items.
    #[must_use]
    pub fn is_expression(&self) -> bool {
        is_expression(&self.message)
    }

    /// For people.
    #[must_use]
    pub fn reason(&self) -> String {
        format!("{}: {}", self.code, self.message)
    }
}

impl From<WorkError> for CallError {
    fn from(error: WorkError) -> Self {
        Self::Failed(error)
    }
}

/// What calls of one batch have in common.
#[derive(Debug, Clone)]
pub struct Calls {
    /// Without the SDK's own retries: a throttle has to be known to slow down.
    pub client: Client,
    random: Random,
    stop: Arc<AtomicBool>,
}

impl Calls {
    /// Calls of the site's client, for a batch's work.
    #[must_use]
    pub fn new(work: &Work) -> Self {
        Self::at(work.site())
    }

    /// Calls of the site's client. They stop only where [`watched`](Self::watched) says so.
    #[must_use]
    pub fn at(site: &Site) -> Self {
        Self { client: without_retries(&site.dynamodb), random: site.random.clone(), stop: Arc::default() }
    }

    /// As these, with another client: to another region, to another endpoint.
    #[must_use]
    pub fn to(&self, client: &Client) -> Self {
        Self { client: without_retries(client), random: self.random.clone(), stop: Arc::clone(&self.stop) }
    }

    /// Does something with these calls. If the work has to stop meanwhile, those who wait give up after a while.
    pub async fn watched<T>(&self, work: &Work, then: impl Future<Output = T>) -> T {
        let watch = async {
            while !work.must_stop() {
                tokio::time::sleep(LOOK).await;
            }
            tokio::time::sleep(GRACE).await;
            self.stop.store(true, Ordering::Relaxed);
            std::future::pending::<T>().await
        };
        tokio::select! {
            biased;
            done = then => done,
            never = watch => never,
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Makes the call until DynamoDB takes it, and gives its answer with the units that it `consumed`, which the limiter
    /// is told. `expected` are those that it is likely to consume, if that is known.
    ///
    /// # Errors
    /// [`CallError`] if the work has to stop, DynamoDB refuses the request, or gives no answer however often it is asked.
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
                    limiter.spent(units);
                    return Ok((answer, units));
                }
                Err(error) => {
                    drop(permit);
                    self.failed(table, limiter, &mut backoff, error).await?;
                }
            }
        }
    }

    /// Pauses before the call is made again, or says why it is not.
    async fn failed<E>(
        &self,
        table: &str,
        limiter: &Limiter,
        backoff: &mut Backoff,
        error: SdkError<E>,
    ) -> Result<(), CallError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let message = shortened(error.message().unwrap_or("no message"));
        if is_about_the_request(&code) {
            return Err(CallError::Refused(Refused { code, message }));
        }
        match TableError::from_sdk(table, error) {
            TableError::Throttled { .. } => self.throttled(limiter, backoff).await,
            error if error.is_transient() => self.unanswered(backoff, error).await,
            error => Err(CallError::Failed(error.into())),
        }
    }

    /// Lowers the pace and pauses.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the work has to stop.
    pub async fn throttled(&self, limiter: &Limiter, backoff: &mut Backoff) -> Result<(), CallError> {
        limiter.throttled();
        self.pause(backoff).await
    }

    /// Pauses, unless it was tried often enough.
    ///
    /// # Errors
    /// [`CallError`]: with `error` if it was, [`CallError::Stopped`] if the work has to stop.
    pub async fn unanswered(&self, backoff: &mut Backoff, error: TableError) -> Result<(), CallError> {
        backoff.unanswered += 1;
        if backoff.unanswered >= UNANSWERED {
            return Err(CallError::Failed(error.into()));
        }
        self.pause(backoff).await
    }

    /// Full jitter: from nothing up to a time that doubles.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the work has to stop.
    pub async fn pause(&self, backoff: &mut Backoff) -> Result<(), CallError> {
        let most = FIRST_PAUSE.saturating_mul(1 << backoff.pauses.min(12)).min(LONGEST_PAUSE);
        backoff.pauses += 1;
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        let mut left = Duration::from_micros(self.random.draw() % (most + 1));
        while !self.is_stopped() {
            let slice = left.min(LOOK);
            if slice.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(slice).await;
            left -= slice;
        }
        Err(CallError::Stopped)
    }

    /// Waits until a call may be made.
    ///
    /// # Errors
    /// [`CallError::Stopped`] if the work has to stop.
    pub async fn admitted(&self, limiter: &Limiter, expected: Option<f64>) -> Result<Permit, CallError> {
        let ready = async {
            match expected {
                Some(units) => limiter.ready_for(units).await,
                None => limiter.ready().await,
            }
        };
        tokio::pin!(ready);
        while !self.is_stopped() {
            if let Ok(permit) = tokio::time::timeout(LOOK, &mut ready).await {
                return Ok(permit);
            }
        }
        Err(CallError::Stopped)
    }
}

/// How often a call was made in vain.
#[derive(Debug, Default)]
pub struct Backoff {
    pauses: u32,
    unanswered: u32,
}

/// The same client without the SDK's own retries.
fn without_retries(client: &Client) -> Client {
    let config = client
        .config()
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}

/// Whether an error says that what the request asks for cannot be.
fn is_about_the_request(code: &str) -> bool {
    matches!(
        code,
        "ConditionalCheckFailedException"
            | "ValidationException"
            | "ItemCollectionSizeLimitExceededException"
    )
}

/// Whether DynamoDB's words are about an expression, rather than about what it meets in an item.
pub(crate) fn is_expression(message: &str) -> bool {
    let beginnings = [
        "Invalid UpdateExpression",
        "Invalid ConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
    ];
    beginnings.iter().any(|beginning| message.contains(beginning))
}

/// The reason's beginning.
#[must_use]
pub fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", reason.get(..end).unwrap_or_default()),
        None => reason.to_owned(),
    }
}

/// Units of one call on one table.
#[must_use]
pub fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0)
}

/// Units of one call on several tables.
#[must_use]
pub fn all_units(consumed: &[ConsumedCapacity]) -> f64 {
    consumed.iter().filter_map(ConsumedCapacity::capacity_units).sum()
}
