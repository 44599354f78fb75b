//! The stand-ins started together, as `serve` and the tests use them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use tokio::task::JoinHandle;

use crate::access::{AccessKey, KeyError, open_key_file};
use crate::door::ConnectionLimits;
use crate::dynamodb::{self, DynamoDb, DynamoDbError, REGION, Storage, TableSetupError};
use crate::folder::{
    DATABASE, Folder, FolderError, FolderHost, MissingFolder, OBJECTS, Role, running_server,
};
use crate::gateway::{Gateway, GatewayError, GatewayOptions, Pages};
use crate::invoke::{HttpFunction, StreamFunction};
use crate::lambda::{self, Functions};
use crate::listen::{ListenError, Listening};
use crate::s3::{Expiring, S3, S3Error, s3_config};
use crate::schedules::{ExpressionError, Now, Schedules, Starter};
use crate::server::ServerTask;
use crate::streams::{self, EventSourceMapping, MappingPace, MappingParts, StreamError, Wake};
use crate::template::{Template, TemplateError};

/// Where the parts listen whose address nobody chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How often old stream records are looked for.
const UPKEEP: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Clone)]
pub struct MachineOptions {
    pub template: String,
    /// Name of the stack, the first part of the tables' and buckets' names.
    pub stack_name: String,
    /// The data folder; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// What to do if the data folder does not exist.
    pub missing: MissingFolder,
    /// Where DynamoDB listens; port 0 takes any free one.
    pub dynamodb_listen: SocketAddr,
    /// Where S3 listens; port 0 takes any free one.
    pub s3_listen: SocketAddr,
    /// Where the HTTP front end is to listen, which [`Machine::gateway`] starts. It is bound before a folder is
    /// created, so that a port that is in use is noticed first.
    pub http_listen: Option<SocketAddr>,
    /// How long clients may take at each port, and how many there may be.
    pub limits: ConnectionLimits,
}

impl MachineOptions {
    /// Everything in memory, any free port.
    #[must_use]
    pub fn in_memory(template: impl Into<String>, stack_name: impl Into<String>) -> Self {
        MachineOptions {
            template: template.into(),
            stack_name: stack_name.into(),
            data: None,
            missing: MissingFolder::Create,
            dynamodb_listen: ANY_PORT,
            s3_listen: ANY_PORT,
            http_listen: None,
            limits: ConnectionLimits::default(),
        }
    }
}

/// A running machine: DynamoDB and S3 with the template's tables and buckets, and what was added to it.
pub struct Machine {
    template: Template,
    folder: Option<Folder>,
    key: AccessKey,
    limits: ConnectionLimits,
    /// The requested address of the HTTP front end, and the listener there.
    http: Option<(SocketAddr, Listening)>,
    dynamodb: DynamoDb,
    s3: S3,
    sdk_config: SdkConfig,
    gateways: Vec<Gateway>,
    lambdas: Vec<ServerTask>,
    mappings: Vec<EventSourceMapping>,
    schedules: Option<Schedules>,
    wake: Wake,
    upkeep: Option<JoinHandle<()>>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(upkeep) = self.upkeep.take() {
            upkeep.abort();
        }
        self.mappings.iter().for_each(EventSourceMapping::halt);
    }
}

impl Machine {
    /// Opens the data folder, starts DynamoDB and S3 and makes the template's tables and buckets.
    pub async fn start(options: MachineOptions) -> Result<Self, MachineError> {
        let template = Template::parse(&options.template, &options.stack_name)?;
        // This comes first, so that a port that is in use leaves no new folder behind. If the folder's own server
        // uses it, the error says so.
        let taken = |error: MachineError| match options.data.as_deref().map(running_server) {
            Some(Ok(Some(server))) => {
                let (path, server) = (options.data.clone().unwrap_or_default(), Some(Box::new(server)));
                MachineError::Folder(FolderError::InUse { path, server })
            }
            _ => error,
        };
        let http = options.http_listen.map(|address| Listening::on(address).map(|on| (address, on)));
        let http = http.transpose().map_err(|error| taken(MachineError::Http(error)))?;
        let dynamodb_listening = Listening::on(options.dynamodb_listen)
            .map_err(|error| taken(DynamoDbError::from(error).into()))?;
        let s3_listening =
            Listening::on(options.s3_listen).map_err(|error| taken(S3Error::from(error).into()))?;
        let (data, missing, limits) = (options.data, options.missing, options.limits);
        let (folder, key) = blocking(move || {
            let folder = data.map(|data| Folder::open(&data, missing)).transpose()?;
            let key = match &folder {
                Some(folder) => open_key_file(folder.path())?,
                None => AccessKey::random(),
            };
            Ok::<_, MachineError>((folder, key))
        })
        .await?;
        let storage = match &folder {
            Some(folder) => Storage::File(folder.path().join(DATABASE)),
            None => Storage::Memory,
        };
        // Opening a large file and starting a runtime both block.
        let signing = key.clone();
        let dynamodb =
            blocking(move || DynamoDb::serve(storage, dynamodb_listening, &signing, limits, dynamodb::SWEEP))
                .await?;
        let (objects, buckets) = (folder.as_ref().map(|f| f.path().join(OBJECTS)), template.buckets.clone());
        let signing = key.clone();
        let s3 = blocking(move || {
            let s3 = S3::serve(objects.as_deref(), s3_listening, &signing, limits)?;
            buckets.iter().try_for_each(|bucket| s3.create_bucket(&bucket.name))?;
            Ok::<_, S3Error>(s3)
        })
        .await?;
        let sdk_config = dynamodb::sdk_config(&dynamodb.endpoint_url(), &key);
        dynamodb::create_tables(&aws_sdk_dynamodb::Client::new(&sdk_config), &template.tables).await?;
        if let Some(folder) = &folder {
            folder.complete()?;
        }
        let expiring = s3.expiring(&template.buckets);
        let upkeep = folder
            .as_ref()
            .map(|folder| tokio::spawn(upkeep(folder.path().to_owned(), template.clone(), expiring)));
        Ok(Machine {
            template,
            folder,
            key,
            limits,
            http,
            dynamodb,
            s3,
            sdk_config,
            gateways: Vec::new(),
            lambdas: Vec::new(),
            mappings: Vec::new(),
            schedules: None,
            wake: Wake::default(),
            upkeep,
        })
    }

    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The database, for its address and its bulk loading.
    #[must_use]
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.dynamodb
    }

    #[must_use]
    pub fn s3(&self) -> &S3 {
        &self.s3
    }

    /// The key that signs calls to DynamoDB, S3 and Lambda here.
    #[must_use]
    pub fn key(&self) -> &AccessKey {
        &self.key
    }

    /// Configuration for S3 clients of this machine, with buckets in the path.
    #[must_use]
    pub fn s3_config(&self) -> aws_sdk_s3::Config {
        s3_config(&self.s3.endpoint_url(), &self.key)
    }

    /// Configuration for DynamoDB and stream clients of this machine.
    #[must_use]
    pub fn sdk_config(&self) -> &SdkConfig {
        &self.sdk_config
    }

    /// What a function's process would find in its environment here: the template's variables, and those that lead
    /// an SDK client to this machine. `name` is the function's logical id or its binary.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let mut environment = self.template.function(name)?.environment.clone();
        environment.extend(self.access().map(|(key, value)| (key.to_owned(), value)));
        Some(environment)
    }

    /// The environment variables that point an SDK client to this machine.
    #[must_use]
    pub fn access(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", self.key.id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.key.secret().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint_url()),
            ("AWS_ENDPOINT_URL_S3", self.s3.endpoint_url()),
        ]
    }

    /// Serves the template's routes on `address`, a loopback address, until the machine stops. `functions` holds the
    /// handlers by logical id or binary. Answers the address that it listens on.
    pub async fn gateway(
        &mut self,
        address: SocketAddr,
        functions: &HashMap<String, HttpFunction>,
    ) -> Result<SocketAddr, GatewayError> {
        self.gateway_with(address, functions, Pages::default()).await
    }

    /// As [`gateway`](Self::gateway), with pages beside the template's routes.
    pub async fn gateway_with(
        &mut self,
        address: SocketAddr,
        functions: &HashMap<String, HttpFunction>,
        pages: Pages,
    ) -> Result<SocketAddr, GatewayError> {
        let settings = GatewayOptions {
            wake: Some(self.wake.clone()),
            limits: self.limits,
            pages,
            ..GatewayOptions::default()
        };
        let listening = match self.http.take_if(|(asked, _)| *asked == address) {
            Some((_, listening)) => listening,
            None => Listening::on(address)?,
        };
        let gateway = Gateway::serve(&self.template, functions, listening, settings)?;
        let address = gateway.address();
        self.gateways.push(gateway);
        Ok(address)
    }

    /// Serves Lambda's `Invoke` for these functions on a port of its own until the machine stops. Answers the address,
    /// for a client made from [`dynamodb::sdk_config`] with it as its endpoint.
    pub async fn lambda(&mut self, functions: Functions) -> Result<SocketAddr, ListenError> {
        let lambda = lambda::serve(functions, ANY_PORT, self.key.clone(), self.limits)?;
        let address = lambda.address();
        self.lambdas.push(lambda);
        Ok(address)
    }

    /// Runs the template's mapping to a function, by logical id or binary, until the machine stops.
    pub async fn mapping(
        &mut self,
        function: &str,
        handler: StreamFunction,
        pace: MappingPace,
    ) -> Result<EventSourceMapping, StreamError> {
        let missing = || StreamError::NoMapping { function: function.to_owned() };
        let target = self.template.function(function).ok_or_else(missing)?;
        let mapping =
            self.template.mappings.iter().find(|m| m.function == target.logical_id).ok_or_else(missing)?;
        let table = self.template.table(&mapping.table).ok_or_else(missing)?;
        let started = EventSourceMapping::start(MappingParts {
            client: aws_sdk_dynamodbstreams::Client::new(&self.sdk_config),
            mapping: mapping.clone(),
            table: table.clone(),
            function: target.clone(),
            handler,
            folder: self.folder.as_ref().map(|folder| folder.path().to_owned()),
            database: self.folder.as_ref().map(|folder| folder.path().join(DATABASE)),
            pace,
            wake: self.wake.clone(),
        })
        .await?;
        self.mappings.push(started.clone());
        Ok(started)
    }

    /// Starts what the template's schedules say, with `starter`, until the machine stops.
    pub fn schedules(&mut self, now: Now, starter: Starter) -> Result<(), ExpressionError> {
        let folder = self.folder.as_ref().map(Folder::path);
        self.schedules = Some(Schedules::start(&self.template.schedules, folder, now, starter)?);
        Ok(())
    }

    /// Wakes this machine's mappings. Its gateways do so themselves after every request that may have written.
    #[must_use]
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Tells other processes where this one answers HTTP requests. Without a data folder there is nobody to tell.
    pub fn announce(&self, http: SocketAddr, role: Role) -> Result<(), FolderError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        folder.announce(&FolderHost {
            pid: std::process::id(),
            http,
            dynamodb: self.dynamodb.address(),
            s3: Some(self.s3.address()),
            role,
        })
    }

    /// Withdraws the announcement, lets running requests and batches finish and closes the storage.
    ///
    /// # Errors
    /// [`FolderError::Io`] when the announcement cannot be removed; everything is stopped all the same.
    pub async fn stop(mut self) -> Result<(), FolderError> {
        self.schedules = None;
        let withdrawn = self.folder.as_ref().map_or(Ok(()), Folder::withdraw);
        for gateway in std::mem::take(&mut self.gateways) {
            gateway.stop().await;
        }
        for mapping in std::mem::take(&mut self.mappings) {
            mapping.stop().await;
        }
        for lambda in std::mem::take(&mut self.lambdas) {
            lambda.stop("invocations").await;
        }
        if let Some(upkeep) = self.upkeep.take() {
            // It uses the files of the folder.
            upkeep.abort();
            let _ = upkeep.await;
        }
        self.s3.stop().await;
        self.dynamodb.stop().await;
        withdrawn
    }
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, MachineError>
where
    T: Send + 'static,
    E: Send + 'static,
    MachineError: From<E>,
{
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| MachineError::Crashed(e.to_string()))?;
    Ok(done?)
}

/// Lets go of stream records that no mapping needs any more, and of objects that have expired; the folder would otherwise
/// hold every change ever made.
async fn upkeep(folder: PathBuf, template: Template, expiring: Expiring) {
    let mut hours = tokio::time::interval(UPKEEP);
    loop {
        hours.tick().await;
        let (folder, template) = (folder.clone(), template.clone());
        let trimmed = tokio::task::spawn_blocking(move || trim(&folder, &template, SystemTime::now())).await;
        if let Ok(Err(e)) = trimmed {
            tracing::warn!(error = %e, "old stream records could not be removed");
        }
        let expiring = expiring.clone();
        match tokio::task::spawn_blocking(move || expiring.remove(SystemTime::now())).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(files)) => tracing::debug!(files, "expired objects were removed"),
            Ok(Err(e)) => tracing::warn!(error = %e, "expired objects could not be removed"),
        }
    }
}

fn trim(folder: &Path, template: &Template, now: SystemTime) -> rusqlite::Result<()> {
    for table in template.tables.iter().filter(|table| table.stream.is_some()) {
        let mappings = template.mappings.iter().filter(|mapping| mapping.table == table.logical_id);
        // A mapping that has not begun needs all of them.
        let done: Option<Vec<u128>> = mappings.map(|mapping| streams::kept(folder, &mapping.name)).collect();
        if let Some(done) = done.and_then(|done| done.into_iter().min()) {
            dynamodb::trim(&folder.join(DATABASE), &table.name, done, now)?;
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    DynamoDb(#[from] DynamoDbError),
    /// The data folder's access key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The HTTP front end cannot listen at its address.
    #[error("HTTP API: {0}")]
    Http(#[source] ListenError),
    #[error(transparent)]
    Table(#[from] TableSetupError),
    #[error(transparent)]
    S3(#[from] S3Error),
    /// A thread of the machine's own ended with a panic.
    #[error("a thread of the local machine panicked: {0}")]
    Crashed(String),
}

#[cfg(test)]
mod tests;
