//! Everything that a scenario works with: processes, a clock and randomness, all derived from the schedule's seed.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_dynamodb::config::Patience;
use nextbasket_job_engine::{Engine, Site};
use nextbasket_job_kinds::kinds;
use nextbasket_objects::Bucket;
use nextbasket_tables::Tables;
use nextbasket_testkit::Seeded;
use tokio::time::Instant;

use crate::bugs::{Planted, Rewriting};
use crate::endpoints::{Endpoints, Names, Service};
use crate::faults::{Mishaps, Weather, mixed};
use crate::journal::Journal;
use crate::process::{Life, Process, Role};
use crate::transport::Wire;
use crate::{Bug, Checked, Violation};

const DAY_MS: i64 = 86_400_000;

/// Everything that a scenario works with.
pub struct World {
    /// The schedule's seed.
    pub seed: u64,
    /// The embedded services.
    pub endpoints: Arc<Endpoints>,
    /// The record of all calls.
    pub journal: Arc<Journal>,
    /// The virtual clock.
    pub clock: Clock,
    /// Random bits for the product.
    pub random: Random,
    chance: RefCell<Seeded>,
    weather: Arc<Weather>,
    planted: Arc<Planted>,
    began: Instant,
    processes: Cell<u64>,
    observer: Process,
}

impl World {
    /// A world derived from a seed. The runtime's time must be paused.
    #[must_use]
    pub fn new(seed: u64, endpoints: Arc<Endpoints>, journal: Arc<Journal>, bug: Option<Bug>) -> Self {
        let began = Instant::now();
        // Today, since the endpoint's own clock decides what has expired; at midnight, so that a seed gives the same
        // schedule all day.
        let today = Clock::system().now().as_millis() / DAY_MS * DAY_MS;
        let clock = Clock::new(move || {
            let millis = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            Timestamp::EPOCH.plus_millis(today.saturating_add(millis))
        });
        let draws = AtomicU64::new(0);
        let random = Random::new(move || mixed(&[seed, draws.fetch_add(1, Ordering::Relaxed), 0x7261]));
        let planted = Arc::new(Planted::new(bug));
        let weather = Arc::new(Weather::of(seed));
        let wires =
            Wires { endpoints: &endpoints, journal: &journal, weather: &weather, planted: &planted, began };
        let observer = wires.process(Life::new(0, Role::Observer, Mishaps::default()));
        Self {
            seed,
            chance: RefCell::new(Seeded(mixed(&[seed, 0x776f]))),
            clock,
            random,
            weather,
            planted,
            began,
            processes: Cell::new(0),
            observer,
            endpoints,
            journal,
        }
    }

    /// A random number from 0 to one less than `end`, for the scenario's own choices.
    pub fn below(&self, end: u64) -> u64 {
        self.chance.borrow_mut().below(end)
    }

    /// Like [`below`](Self::below), for sizes.
    pub fn some(&self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// One of these values, at random.
    pub fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.some(all.len())]
    }

    /// The planted bug, if there is one.
    #[must_use]
    pub fn bug(&self) -> Option<Bug> {
        self.planted.bug()
    }

    /// A name that only this schedule has.
    #[must_use]
    pub fn named(&self, name: &str) -> String {
        format!("{name}-{:x}", self.seed)
    }

    /// The names of tables and buckets.
    #[must_use]
    pub fn names(&self) -> &Names {
        self.endpoints.names()
    }

    /// Clients without faults, for what the schedule itself does.
    #[must_use]
    pub fn observer(&self) -> &Process {
        &self.observer
    }

    /// A new process, with the faults, crashes and freezes that the seed determines for it.
    pub fn process(&self, role: Role) -> Process {
        let number = self.processes.get() + 1;
        self.processes.set(number);
        let wires = Wires {
            endpoints: &self.endpoints,
            journal: &self.journal,
            weather: &self.weather,
            planted: &self.planted,
            began: self.began,
        };
        wires.process(Life::new(number, role, self.weather.mishaps(number)))
    }

    /// The job engine with every kind, using the clients of the process.
    #[must_use]
    pub fn engine(&self, process: &Process) -> Engine {
        let tables = self.work_tables(process);
        Engine::new(self.site(process), kinds(&tables, Some(process.lambda.clone())))
    }

    /// The site of the process's jobs.
    #[must_use]
    pub fn site(&self, process: &Process) -> Site {
        let objects = Bucket::new(process.s3.clone(), self.names().jobs_bucket.clone());
        let operations = self.names().operations.clone();
        let site = Site::new(process.dynamodb.clone(), operations, objects, self.random.clone());
        Site { clock: self.clock.clone(), ..site }
    }

    /// The shop's tables that handlers work on.
    #[must_use]
    pub fn live_tables(&self, process: &Process) -> Tables {
        Tables::new(process.dynamodb.clone(), self.names().live.clone())
    }

    /// The shop's tables that jobs work on.
    #[must_use]
    pub fn work_tables(&self, process: &Process) -> Tables {
        Tables::new(process.dynamodb.clone(), self.names().work.clone())
    }

    /// Waits for a random part of this time, in virtual time.
    pub async fn pause(&self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(1 + self.below(most_ms))).await;
    }
}

/// The parts that clients are made of.
struct Wires<'a> {
    endpoints: &'a Arc<Endpoints>,
    journal: &'a Arc<Journal>,
    weather: &'a Arc<Weather>,
    planted: &'a Arc<Planted>,
    began: Instant,
}

impl Wires<'_> {
    fn process(&self, life: Life) -> Process {
        let life = Arc::new(life);
        let wire = |service| Wire {
            endpoints: self.endpoints.clone(),
            service,
            life: life.clone(),
            weather: self.weather.clone(),
            journal: self.journal.clone(),
            planted: self.planted.clone(),
            began: self.began,
        };
        let patience = match life.role {
            Role::Function | Role::Consumer => Patience::ANSWER,
            Role::Observer | Role::Worker => Patience::BATCH,
        };
        // Without the client's own jitter: a seed gives the same schedule each time.
        let retries =
            RetryConfig::standard().with_max_attempts(patience.attempts).with_initial_backoff(Duration::ZERO);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.call)
            .build();
        // A partition of its own: the SDK's is shared by all clients of the test's process, as Lambda's is not.
        let partition = RetryPartition::custom("schedule").token_bucket(TokenBucket::new(500)).build();
        let rewriting = self.planted.bug().filter(|_| life.role != Role::Observer).map(Rewriting);
        let machine = self.endpoints.machine();
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(machine.sdk_config())
            .http_client(wire(Service::DynamoDb))
            .retry_config(retries.clone())
            .retry_partition(partition.clone())
            .timeout_config(timeouts.clone());
        let mut s3 = machine
            .s3_config()
            .to_builder()
            .http_client(wire(Service::S3))
            .retry_config(retries.clone())
            .retry_partition(partition.clone())
            .timeout_config(timeouts.clone());
        if let Some(Rewriting(bug)) = rewriting {
            dynamodb.push_interceptor(aws_sdk_dynamodb::config::SharedInterceptor::new(Rewriting(bug)));
            s3.push_interceptor(aws_sdk_dynamodb::config::SharedInterceptor::new(Rewriting(bug)));
        }
        let lambda = aws_sdk_lambda::config::Builder::from(machine.sdk_config())
            .endpoint_url(self.endpoints.url(Service::Lambda))
            .http_client(wire(Service::Lambda))
            .retry_config(retries)
            .retry_partition(partition)
            .timeout_config(timeouts);
        Process {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            lambda: aws_sdk_lambda::Client::from_conf(lambda.build()),
            life,
        }
    }
}

/// An error of a call between the schedule itself and the endpoint, which never meets a fault.
pub fn broken(error: impl std::fmt::Display) -> Violation {
    Violation(format!("the schedule's own call failed: {error}"))
}

/// The same for errors of the SDK.
pub async fn sent<T, E: std::fmt::Debug>(call: impl Future<Output = Result<T, E>>) -> Checked<T> {
    call.await.map_err(|error| Violation(format!("the schedule's own call failed: {error:?}")))
}
