//! The machine with our functions on it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use chrono::{DateTime, Utc};
use nextbasket_batch::pool::{self, Stop};
use nextbasket_batch::{Engine, JobError, JobId, Objects, Site, Trust, Vouching};
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_http::{AuthMode, Metrics, Service};
use nextbasket_machine::folder::{Missing, Role};
use nextbasket_machine::schedules::Starter;
use nextbasket_machine::streams::{Mapping, Pace};
use nextbasket_machine::template::{Schedule, Template};
use nextbasket_machine::{AccessKey, HttpFunction, Limits, Machine, Options, StreamFunction, handler};
use nextbasket_tables::{TableNames, Tables};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Failure;

/// The template that is deployed is the one that is run here.
const TEMPLATE: &str = include_str!("../../template.yaml");

/// The first part of the tables' names here.
const STACK: &str = "nextbasket";

/// How many batches a server works on at a time.
pub(crate) const WORKERS: u32 = 8;

/// How long a stop waits for the batches to save their checkpoints.
const GRACE: Duration = Duration::from_secs(5);

/// Where a system keeps its data and listens.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// What to do if the data folder does not exist.
    pub missing: Missing,
    /// The HTTP API's address.
    pub listen: SocketAddr,
    /// The embedded DynamoDB's address.
    pub dynamodb_listen: SocketAddr,
    /// Where the embedded S3 listens.
    pub s3_listen: SocketAddr,
    /// How many batches of jobs it works on at a time; 0 leaves them to others.
    pub workers: u32,
}

impl Settings {
    /// On any free port of loopback, with the data in this folder (`None`: in memory).
    #[must_use]
    pub fn on_any_port(data: Option<PathBuf>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data,
            missing: Missing::Make,
            listen: any,
            dynamodb_listen: any,
            s3_listen: any,
            workers: WORKERS,
        }
    }
}

/// A running system.
pub struct System {
    machine: Machine,
    address: SocketAddr,
    mappings: Vec<Mapping>,
    tables: Tables,
    jobs: Arc<Notify>,
    pool: Option<Pool>,
}

/// How far the stream mappings have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The number of records that have been delivered.
    pub delivered: u64,
    /// The number of records to deliver, including those; `None` if it is unknown.
    pub of: Option<u64>,
}

/// The workers of a server's jobs.
struct Pool {
    stop: Arc<Stop>,
    task: JoinHandle<()>,
}

impl System {
    /// Starts the database, the HTTP API and the stream mappings. Other commands find it once it has started.
    ///
    /// # Errors
    /// [`Failure`] if the folder, an address or the template is not as it must be.
    pub async fn start(settings: Settings) -> Result<Self, Failure> {
        let workers = settings.workers;
        let mut system = Self::start_without_mappings(settings).await?;
        system.follow().await?;
        if workers > 0 {
            system.work_on_jobs(workers)?;
            system.keep_schedules()?;
        }
        system.announce(Role::Server { works_on_jobs: workers > 0 })?;
        Ok(system)
    }

    /// As [`start`](Self::start), but the streams wait until [`follow`](Self::follow), and other commands do not find
    /// it before [`announce`](Self::announce).
    ///
    /// # Errors
    /// [`Failure`] if the folder, an address or the template is not as it must be.
    pub async fn start_without_mappings(settings: Settings) -> Result<Self, Failure> {
        let mut machine = Machine::start(Options {
            template: TEMPLATE.to_owned(),
            stack_name: STACK.to_owned(),
            data: settings.data,
            missing: settings.missing,
            dynamodb_listen: settings.dynamodb_listen,
            s3_listen: settings.s3_listen,
            http_listen: Some(settings.listen),
            limits: Limits::default(),
        })
        .await?;
        let tables = Tables::new(Client::new(machine.sdk_config()), table_names()?);
        let jobs = Arc::new(Notify::new());
        // Jobs over HTTP may come from anybody, so no process vouches for them.
        let engine = Engine::new(site(&machine)?, nextbasket_jobs::kinds(&tables, Trust::Open));
        let functions = http_functions(&tables, engine, jobs.clone())?;
        let address = machine.gateway(settings.listen, &functions).await?;
        Ok(Self { machine, address, mappings: Vec::new(), tables, jobs, pool: None })
    }

    /// Tells other commands of the folder where to find this one.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be written.
    pub fn announce(&self, role: Role) -> Result<(), Failure> {
        Ok(self.machine.announce(self.address, role)?)
    }

    /// Works on the jobs that there are, and on those that come, until the system is stopped: also on those that an
    /// earlier one had to leave.
    ///
    /// # Errors
    /// [`Failure`] if the template has no jobs bucket or operations table.
    pub fn work_on_jobs(&mut self, workers: u32) -> Result<(), Failure> {
        let engine = own_engine(site(&self.machine)?, &self.tables, self.machine.key());
        let (stop, jobs) = (Arc::new(Stop::default()), self.jobs.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { pool::serve(&engine, workers, &stopped, &jobs).await });
        self.pool = Some(Pool { stop, task });
        Ok(())
    }

    /// Submits what the template's schedules say, as its state machine would.
    fn keep_schedules(&mut self) -> Result<(), Failure> {
        let engine = Engine::new(site(&self.machine)?, nextbasket_jobs::kinds(&self.tables, Trust::Open));
        let jobs = self.jobs.clone();
        let starter: Starter = Arc::new(move |schedule, due| {
            let (engine, jobs) = (engine.clone(), jobs.clone());
            Box::pin(async move {
                match scheduled(&engine, &schedule, due).await {
                    Err(error) if error.is_transient() => return Err(error.to_string()),
                    // It would be refused again.
                    Err(error) => tracing::error!(schedule = schedule.name, %error, "not submitted"),
                    Ok(()) => jobs.notify_one(),
                }
                Ok(())
            })
        });
        let clock = Clock::system();
        let now = move || DateTime::from_timestamp_millis(clock.now().as_millis()).unwrap_or_default();
        self.machine.schedules(Arc::new(now), starter).map_err(Failure::other)
    }

    /// Starts the stream mappings, from where they ended the last time. Whoever writes much starts them after that:
    /// a history is then folded for some thousand changes at once.
    ///
    /// # Errors
    /// [`Failure`] if a stream cannot be read.
    pub async fn follow(&mut self) -> Result<(), Failure> {
        for (function, consumer) in stream_functions(&self.tables)? {
            self.mappings.push(self.machine.mapping(function, consumer, Pace::default()).await?);
        }
        Ok(())
    }

    /// Where the HTTP API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The machine below.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Waits until everything written so far has gone through the stream mappings; `progress` is called now and then
    /// with how far they have come.
    ///
    /// # Errors
    /// [`Failure`] if a stream cannot be read, or a mapping makes no progress.
    pub async fn drain(&self, progress: impl Fn(Followed)) -> Result<(), Failure> {
        for mapping in &self.mappings {
            let before = mapping.progress().delivered;
            let of = mapping.behind().await.map(|behind| before + behind);
            let drained = mapping.drain();
            tokio::pin!(drained);
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tokio::select! {
                    result = &mut drained => break result?,
                    _ = tick.tick() => progress(Followed { delivered: mapping.progress().delivered, of }),
                }
            }
        }
        Ok(())
    }

    /// Stops everything; nothing that was acknowledged is lost.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be left in order.
    pub async fn stop(self) -> Result<(), Failure> {
        if let Some(Pool { stop, task }) = self.pool {
            stop.stop();
            let _ = tokio::time::timeout(GRACE, task).await;
        }
        Ok(self.machine.stop().await?)
    }
}

/// Submits the job that was due then, under an id that is always the same for it.
async fn scheduled(engine: &Engine, schedule: &Schedule, due: DateTime<Utc>) -> Result<(), JobError> {
    #[derive(Deserialize)]
    struct Input {
        kind: String,
        parameters: Value,
    }
    let wrong = |error: serde_json::Error| JobError::Failed(error.to_string());
    let Input { kind, parameters } = Input::deserialize(&schedule.input).map_err(wrong)?;
    let id = JobId::started(Timestamp::EPOCH.plus_millis(due.timestamp_millis()), &schedule.name);
    engine.submit(Some(id), &kind, parameters).await.map(drop)
}

/// The engine of a process that has the key of a machine or data folder: it vouches for the jobs that it submits, and
/// verifies the vouchers of those that it works on.
#[must_use]
pub fn own_engine(site: Site, tables: &Tables, key: &AccessKey) -> Engine {
    let vouching = Vouching::signed(key.derive("vouchers of jobs"));
    let kinds = |trust| nextbasket_jobs::kinds(tables, trust);
    Engine::new(site, kinds(Trust::Open)).vouching(vouching, kinds(Trust::Machine))
}

/// Where the machine's jobs run.
///
/// # Errors
/// [`Failure`] if the template has no place for jobs, or the system no random numbers.
pub fn site(machine: &Machine) -> Result<Site, Failure> {
    let JobsPlace { operations, bucket } = jobs_place()?;
    Ok(Site {
        dynamodb: Client::new(machine.sdk_config()),
        operations,
        objects: Objects::new(aws_sdk_s3::Client::from_conf(machine.s3_config()), bucket),
        clock: Clock::system(),
        random: Random::system().map_err(|error| Failure::other(format!("no random numbers: {error}")))?,
    })
}

/// The names of the operations table and of the jobs' bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsPlace {
    /// The table.
    pub operations: String,
    /// The bucket.
    pub bucket: String,
}

/// The names of the operations table and of the jobs' bucket, as the template gives them to the functions.
///
/// # Errors
/// [`Failure`] if the template cannot be read or has none.
pub fn jobs_place() -> Result<JobsPlace, Failure> {
    let environments = environments()?;
    let named = |variable: &str| {
        let none = || Failure::other(format!("no function of the template has {variable}"));
        environments.get(variable).cloned().ok_or_else(none)
    };
    Ok(JobsPlace { operations: named("OPERATIONS_TABLE")?, bucket: named("JOBS_BUCKET")? })
}

/// The tables' names, as the template gives them to the functions.
///
/// # Errors
/// [`Failure`] if the template cannot be read.
pub fn table_names() -> Result<TableNames, Failure> {
    let environments = environments()?;
    Ok(TableNames::from_lookup(|variable| environments.get(variable).cloned()))
}

/// The variables of all functions of the template.
fn environments() -> Result<BTreeMap<String, String>, Failure> {
    let template = Template::parse(TEMPLATE, STACK).map_err(Failure::other)?;
    Ok(template.functions.into_iter().flat_map(|function| function.environment).collect())
}

fn http_functions(
    tables: &Tables,
    engine: Engine,
    submitted: Arc<Notify>,
) -> Result<HashMap<String, HttpFunction>, Failure> {
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    let clock = Clock::system();
    let random = Random::system().map_err(|error| Failure::other(format!("no random numbers: {error}")))?;
    let purchases = Arc::new(purchases::State::new(service.clone(), tables, clock.clone())?);
    let products = Arc::new(products::State::new(service.clone(), tables, clock.clone())?);
    let recommendations = Arc::new(recommendations::State::new(service.clone(), tables, clock, random)?);
    let jobs = Arc::new(jobs::State::new(service, engine, tables, jobs::Driver::Workers(submitted))?);
    let functions: [(&str, HttpFunction); 4] = [
        (
            "jobs",
            handler(move |event| {
                let state = jobs.clone();
                async move { jobs::handle(&state, event).await }
            }),
        ),
        (
            "purchases",
            handler(move |event| {
                let state = purchases.clone();
                async move { purchases::handle(&state, event).await }
            }),
        ),
        (
            "products",
            handler(move |event| {
                let state = products.clone();
                async move { products::handle(&state, event).await }
            }),
        ),
        (
            "recommendations",
            handler(move |event| {
                let state = recommendations.clone();
                async move { recommendations::handle(&state, event).await }
            }),
        ),
    ];
    Ok(functions.into_iter().map(|(name, function)| (name.to_owned(), function)).collect())
}

fn stream_functions(tables: &Tables) -> Result<[(&'static str, StreamFunction); 1], Failure> {
    let state = Arc::new(purchase_history::State::new(Metrics::off(), tables, Clock::system())?);
    let consumer: StreamFunction = handler(move |event| {
        let state = state.clone();
        async move { purchase_history::handle(&state, event).await }
    });
    Ok([("purchase-history", consumer)])
}
