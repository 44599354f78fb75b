//! The template, deployed on this machine: its tables, functions, stream mappings, schedules and job workers.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use chrono::{DateTime, Utc};
use nextbasket_console::Console;
use nextbasket_console::metrics::Recorder;
use nextbasket_domain::{Clock, Random, Timestamp};
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::pool::{self, Stop};
use nextbasket_job_engine::{Engine, JobError, JobId, Site, Vouching};
use nextbasket_machine::folder::{MissingFolder, Role};
use nextbasket_machine::gateway::Pages;
use nextbasket_machine::schedules::Starter;
use nextbasket_machine::streams::{EventSourceMapping, MappingPace};
use nextbasket_machine::template::{Schedule, Template};
use nextbasket_machine::{
    AccessKey, ConnectionLimits, HttpFunction, Machine, MachineOptions, StreamFunction, handler,
};
use nextbasket_objects::Bucket;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use recommendations::reason_texts::ReasonTexts;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Failure;
use crate::console;

/// The template that is deployed is the one that is run here.
pub(crate) const TEMPLATE: &str = include_str!("../../template.yaml");

/// The first part of the tables' names here.
pub(crate) const STACK: &str = "nextbasket";

/// How many batches a server works on at the same time.
pub(crate) const SERVER_WORKERS: u32 = 8;

/// How long a stop waits for the batches to save their checkpoints.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct DeploymentOptions {
    /// The data folder; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// What to do if the data folder does not exist.
    pub missing: MissingFolder,
    pub listen: SocketAddr,
    pub dynamodb_listen: SocketAddr,
    pub s3_listen: SocketAddr,
    /// How many batches of jobs it works on at the same time; 0 leaves them to others.
    pub workers: u32,
    /// A folder with the shop's own texts of reasons.
    pub reason_texts: Option<PathBuf>,
    /// Whether the console may change items of tables.
    pub writable: bool,
}

impl DeploymentOptions {
    /// On any free port of loopback, with the data in this folder (`None`: in memory).
    #[must_use]
    pub fn on_any_port(data: Option<PathBuf>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            data,
            missing: MissingFolder::Create,
            listen: any,
            dynamodb_listen: any,
            s3_listen: any,
            workers: SERVER_WORKERS,
            reason_texts: None,
            writable: false,
        }
    }
}

pub struct LocalDeployment {
    machine: Machine,
    address: SocketAddr,
    console: Console,
    recorder: Arc<Recorder>,
    mappings: Vec<EventSourceMapping>,
    tables: Tables,
    submitted: Arc<Notify>,
    pool: Option<WorkerPool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamProgress {
    pub delivered: u64,
    /// All records to deliver, including those; `None` if it is unknown.
    pub total: Option<u64>,
}

struct WorkerPool {
    stop: Arc<Stop>,
    task: JoinHandle<()>,
}

impl LocalDeployment {
    /// Starts the database, the HTTP API and the stream mappings. Other commands find it once it has started.
    pub async fn start(options: DeploymentOptions) -> Result<Self, Failure> {
        let workers = options.workers;
        let mut deployment = Self::start_without_mappings(options).await?;
        deployment.start_mappings().await?;
        if workers > 0 {
            deployment.work_on_jobs(workers)?;
            deployment.keep_schedules()?;
        }
        deployment.announce(Role::Server { works_on_jobs: workers > 0 })?;
        Ok(deployment)
    }

    /// As [`start`](Self::start), but the streams wait until [`start_mappings`](Self::start_mappings), and other commands do not find
    /// it before [`announce`](Self::announce).
    pub async fn start_without_mappings(options: DeploymentOptions) -> Result<Self, Failure> {
        let texts = reason_texts(options.reason_texts.as_deref())?;
        let data = options.data.clone();
        let mut machine = Machine::start(MachineOptions {
            template: TEMPLATE.to_owned(),
            stack_name: STACK.to_owned(),
            data: options.data,
            missing: options.missing,
            dynamodb_listen: options.dynamodb_listen,
            s3_listen: options.s3_listen,
            http_listen: Some(options.listen),
            limits: ConnectionLimits::default(),
        })
        .await?;
        let tables = Tables::new(Client::new(machine.sdk_config()), table_names()?);
        let submitted = Arc::new(Notify::new());
        // Jobs over HTTP may come from anybody, so no process vouches for them.
        let engine = Engine::new(job_site(&machine)?, nextbasket_job_kinds::kinds(&tables, None));
        let texts_of_console = reason_texts(options.reason_texts.as_deref())?;
        let recorder = Recorder::new(Clock::system());
        console::watch_units(&recorder, &machine);
        let console = console::on_machine(
            &machine,
            data.as_deref(),
            &tables,
            &engine,
            texts_of_console,
            options.writable,
            &recorder,
        )?;
        let functions = http_functions(
            Service { auth: AuthMode::Iam, metrics: recorder.metrics() },
            &tables,
            engine,
            jobs_api::Driver::Workers(submitted.clone()),
            texts,
        )?;
        let pages = Pages { router: Some(console.router()), admission: None };
        let address = machine.gateway_with(options.listen, &functions, pages).await?;
        Ok(Self { machine, address, console, recorder, mappings: Vec::new(), tables, submitted, pool: None })
    }

    /// Tells other commands of the folder where to find this one.
    pub fn announce(&self, role: Role) -> Result<(), Failure> {
        Ok(self.machine.announce(self.address, role)?)
    }

    /// Works on all jobs until the deployment is stopped, also on those that an earlier process left unfinished.
    pub fn work_on_jobs(&mut self, workers: u32) -> Result<(), Failure> {
        let engine = machine_engine(job_site(&self.machine)?, &self.tables, self.machine.key());
        let (stop, submitted) = (Arc::new(Stop::default()), self.submitted.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { pool::serve(&engine, workers, &stopped, &submitted).await });
        self.pool = Some(WorkerPool { stop, task });
        Ok(())
    }

    /// Submits what the template's schedules say, as its state machine would.
    fn keep_schedules(&mut self) -> Result<(), Failure> {
        let engine = Engine::new(job_site(&self.machine)?, nextbasket_job_kinds::kinds(&self.tables, None));
        let submitted = self.submitted.clone();
        let starter: Starter = Arc::new(move |schedule, due| {
            let (engine, submitted) = (engine.clone(), submitted.clone());
            Box::pin(async move {
                match scheduled(&engine, &schedule, due).await {
                    Err(error) if error.is_transient() => return Err(error.to_string()),
                    // It would be refused again.
                    Err(error) => {
                        tracing::error!(schedule = schedule.name, %error, "a scheduled job was not submitted");
                    }
                    Ok(()) => submitted.notify_one(),
                }
                Ok(())
            })
        });
        let clock = Clock::system();
        let now = move || DateTime::from_timestamp_millis(clock.now().as_millis()).unwrap_or_default();
        self.machine.schedules(Arc::new(now), starter).map_err(Failure::other)
    }

    /// Starts the stream mappings, from where they ended the last time. A command that writes much starts them after
    /// its writes: a history is then folded once for some thousand changes.
    pub async fn start_mappings(&mut self) -> Result<(), Failure> {
        for (function, consumer) in stream_functions(&self.tables, self.recorder.metrics())? {
            let mapping = self.machine.mapping(function, consumer, MappingPace::default()).await?;
            console::watch_stream(&self.recorder, mapping.clone());
            self.mappings.push(mapping);
        }
        Ok(())
    }

    /// Forgets what the functions measured so far.
    pub fn forget_measurements(&self) {
        self.recorder.forget();
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The console's address, with the secret that gives access to it.
    #[must_use]
    pub fn console_link(&self) -> String {
        self.console.session.link(self.address)
    }

    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Waits until everything written so far has gone through the stream mappings; `progress` is called now and then
    /// with how far they have come.
    pub async fn drain(&self, progress: impl Fn(StreamProgress)) -> Result<(), Failure> {
        for mapping in &self.mappings {
            let before = mapping.progress().delivered;
            let total = mapping.behind().await.map(|behind| before + behind);
            let drained = mapping.drain();
            tokio::pin!(drained);
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                tokio::select! {
                    result = &mut drained => break result?,
                    _ = tick.tick() => progress(StreamProgress { delivered: mapping.progress().delivered, total }),
                }
            }
        }
        Ok(())
    }

    /// Stops everything; nothing that was acknowledged is lost.
    pub async fn stop(self) -> Result<(), Failure> {
        if let Some(WorkerPool { stop, task }) = self.pool {
            stop.stop();
            let _ = tokio::time::timeout(GRACE, task).await;
        }
        Ok(self.machine.stop().await?)
    }
}

/// The built-in texts of reasons, or the shop's own from a folder.
pub(crate) fn reason_texts(folder: Option<&Path>) -> Result<ReasonTexts, Failure> {
    let texts = folder.map_or_else(ReasonTexts::built_in, ReasonTexts::with_folder);
    texts.map_err(|error| Failure::other(format!("--reason-texts: {error}")))
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
pub fn machine_engine(site: Site, tables: &Tables, key: &AccessKey) -> Engine {
    Engine::new(site, nextbasket_job_kinds::kinds(tables, None)).vouching(vouching_by(key))
}

/// How the processes that have this key vouch for jobs.
#[must_use]
pub fn vouching_by(key: &AccessKey) -> Vouching {
    Vouching::signed(key.derive("vouchers of jobs"))
}

/// The table and bucket of the machine's jobs.
pub fn job_site(machine: &Machine) -> Result<Site, Failure> {
    let JobsResources { operations, bucket } = jobs_resources()?;
    let objects = Bucket::new(aws_sdk_s3::Client::from_conf(machine.s3_config()), bucket);
    Ok(Site::new(Client::new(machine.sdk_config()), operations, objects, random()?))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsResources {
    pub operations: String,
    pub bucket: String,
}

pub fn random() -> Result<Random, Failure> {
    Random::system().map_err(|error| Failure::other(format!("no random numbers: {error}")))
}

/// The names of the operations table and of the jobs' bucket, as the template gives them to the functions.
pub fn jobs_resources() -> Result<JobsResources, Failure> {
    let environments = environments()?;
    let named = |variable: &str| {
        let none = || Failure::other(format!("template.yaml: no function has the variable {variable}"));
        environments.get(variable).cloned().ok_or_else(none)
    };
    Ok(JobsResources { operations: named("OPERATIONS_TABLE")?, bucket: named("JOBS_BUCKET")? })
}

/// The tables' names, as the template gives them to the functions.
pub fn table_names() -> Result<TableNames, Failure> {
    let environments = environments()?;
    Ok(TableNames::from_lookup(|variable| environments.get(variable).cloned()))
}

/// The variables of all functions of the template.
fn environments() -> Result<BTreeMap<String, String>, Failure> {
    let template = Template::parse(TEMPLATE, STACK).map_err(Failure::other)?;
    Ok(variables(template))
}

pub(crate) fn variables(template: Template) -> BTreeMap<String, String> {
    template.functions.into_iter().flat_map(|function| function.environment).collect()
}

/// A function's handler with its state.
macro_rules! served {
    ($state:expr, $handle:path) => {{
        let state = Arc::new($state);
        handler(move |event| {
            let state = state.clone();
            async move { $handle(&state, event).await }
        })
    }};
}

/// The functions behind the HTTP API, by their binaries.
pub(crate) fn http_functions(
    service: Service,
    tables: &Tables,
    engine: Engine,
    driver: jobs_api::Driver,
    texts: ReasonTexts,
) -> Result<HashMap<String, HttpFunction>, Failure> {
    let (clock, random) = (Clock::system(), random()?);
    let purchases = purchases::State::new(service.clone(), tables, clock.clone(), random.clone())?;
    let products = products::State::new(service.clone(), tables, clock.clone())?;
    let recommendations =
        recommendations::State::new(service.clone(), tables, clock, random)?.with_texts(texts);
    let jobs = jobs_api::State::new(service, engine, tables, driver)?;
    let functions: [(&str, HttpFunction); 4] = [
        ("jobs-api", served!(jobs, jobs_api::handle)),
        ("purchases", served!(purchases, purchases::handle)),
        ("products", served!(products, products::handle)),
        ("recommendations", served!(recommendations, recommendations::handle)),
    ];
    Ok(functions.into_iter().map(|(name, function)| (name.to_owned(), function)).collect())
}

fn stream_functions(
    tables: &Tables,
    metrics: Metrics,
) -> Result<[(&'static str, StreamFunction); 1], Failure> {
    let state = purchase_history::State::new(metrics, tables, Clock::system())?;
    Ok([("purchase-history", served!(state, purchase_history::handle))])
}
