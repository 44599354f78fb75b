//! Calls under a job's rates, patient with throttles.

use std::time::Duration;

use nextbasket_batch::limit::Limits;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_domain::Random;
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::capacity::{Units, metered};

/// The first pause after a call that did not go through; it doubles, with jitter.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST: Duration = Duration::from_secs(10);
/// How often a table that does not answer is asked again before the batch is given back.
const UNANSWERED: u32 = 6;

/// Why a batch ends before it is done.
#[derive(Debug)]
pub enum Halt {
    /// It was told to stop.
    Stopped,
    /// It cannot go on.
    Failed(WorkError),
}

impl From<WorkError> for Halt {
    fn from(error: WorkError) -> Self {
        Self::Failed(error)
    }
}

impl Halt {
    /// What the engine is told.
    ///
    /// # Errors
    /// That of a batch that cannot go on.
    pub fn outcome(self) -> Result<Outcome, WorkError> {
        match self {
            Self::Stopped => Ok(Outcome::Stopped),
            Self::Failed(error) => Err(error),
        }
    }
}

/// What calls are slowed down when they are throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Reads alone.
    Reads,
    /// Writes alone.
    Writes,
    /// Reads and writes.
    Both,
}

/// Makes calls within the batch's part of the rates.
#[derive(Clone, Copy)]
pub struct Pace<'w> {
    work: &'w Work,
    limits: &'w Limits,
    random: &'w Random,
}

impl<'w> Pace<'w> {
    /// The batch's.
    #[must_use]
    pub fn of(work: &'w Work) -> Self {
        Self { work, limits: work.limits(), random: &work.site().random }
    }

    /// Makes the call until it goes through: again without end while it is throttled, some times while the table does
    /// not answer. Tells what all attempts consumed, for the batch's progress; the rates know it by then.
    ///
    /// # Errors
    /// [`Halt`] if the batch was told to stop meanwhile, or the table refuses.
    pub async fn call<T, F>(self, touches: Touches, call: impl Fn() -> F) -> Result<(T, Units), Halt>
    where
        F: Future<Output = Result<T, TableError>>,
    {
        let (mut spent, mut unanswered, mut attempt) = (Units::default(), 0, 0_u32);
        loop {
            if touches != Touches::Writes {
                self.limits.read.ready().await;
            }
            if touches != Touches::Reads {
                self.limits.write.ready().await;
            }
            let (result, units) = metered(call()).await;
            self.limits.read.spent(units.read);
            self.limits.write.spent(units.write);
            spent.read += units.read;
            spent.write += units.write;
            match result {
                Ok(output) => return Ok((output, spent)),
                Err(TableError::Throttled { .. }) => self.throttled(touches),
                Err(error) if error.is_transient() && unanswered < UNANSWERED => unanswered += 1,
                Err(error) => return Err(Halt::Failed(error.into())),
            }
            if self.work.must_stop() {
                return Err(Halt::Stopped);
            }
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    fn throttled(&self, touches: Touches) {
        if touches != Touches::Writes {
            self.limits.read.throttled();
        }
        if touches != Touches::Reads {
            self.limits.write.throttled();
        }
    }

    /// Any length up to the most by chance: callers that were throttled together do not come back together.
    fn pause(&self, attempt: u32) -> Duration {
        let most = PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST);
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.random.draw() % (most + 1))
    }
}
