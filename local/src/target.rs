//! What an operator's command works on: a data folder, AWS, or other endpoints.

mod elsewhere;
mod probe;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use nextbasket_domain::{Clock, Random, digest};
use nextbasket_job_engine::Site;
use nextbasket_locks::Leases;
use nextbasket_machine::AccessKey;
use nextbasket_machine::s3::s3_config_from;
use nextbasket_objects::Bucket;
use nextbasket_tables::Tables;

use crate::Failure;
use crate::folder_session::{FolderSession, OtherProcesses};
use crate::folder_sharing::IfMissing;
use crate::local_deployment::{JobsResources, jobs_resources, random, table_names};
use crate::profiles::credentials_of;
use crate::setup::OperationsTable;
pub(crate) use elsewhere::Elsewhere;

#[derive(Debug, Clone, Args)]
pub struct TargetOptions {
    /// The data folder, unless an endpoint, region or profile is given; created by commands that fill one
    #[arg(long, value_name = "DIR", default_value = "nextbasket-data", global = true)]
    pub data: PathBuf,
    /// Work on this DynamoDB endpoint, such as http://127.0.0.1:8000
    #[arg(long, value_name = "URL", global = true, value_parser = url)]
    pub endpoint: Option<String>,
    /// Work on this S3 endpoint
    #[arg(long, value_name = "URL", global = true, value_parser = url)]
    pub s3_endpoint: Option<String>,
    /// Work on AWS, in this region
    #[arg(long, value_name = "REGION", global = true)]
    pub region: Option<String>,
    /// Work on AWS, with the credentials and the region of this profile, whatever the environment says
    #[arg(long, value_name = "PROFILE", global = true)]
    pub profile: Option<String>,
    /// The table of locks, jobs and upload claims [default: nextbasket-operations]
    #[arg(long, value_name = "TABLE", global = true)]
    pub operations: Option<String>,
    /// The bucket of the jobs' plans and results, on AWS: the stack's output JobsBucketName
    #[arg(long, value_name = "BUCKET", global = true)]
    pub bucket: Option<String>,
    /// Keep the state of jobs, locks and uploads in this folder, in place of the table and bucket; jobs then only read
    /// tables
    #[arg(long, value_name = "DIR", global = true, conflicts_with_all = ["operations", "bucket"])]
    pub state: Option<PathBuf>,
}

/// Where the tables are, for people.
#[derive(Debug, Clone)]
pub enum TargetPlace {
    Folder(PathBuf),
    /// AWS or other endpoints: which ones, and with whose credentials.
    Elsewhere(String),
}

impl Default for TargetPlace {
    fn default() -> Self {
        Self::Folder(PathBuf::new())
    }
}

impl fmt::Display for TargetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "data folder {}", folder.display()),
            Self::Elsewhere(place) => f.write_str(place),
        }
    }
}

/// The state of jobs, locks and uploads in a folder of this machine.
struct StateFolder {
    session: FolderSession,
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
}

/// What jobs need and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Missing {
    OperationsTable,
    /// Nobody has said which bucket: deployed ones have names of their own.
    BucketName,
    Bucket,
}

/// An open data folder, or clients of AWS or of other endpoints.
pub struct Target {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub s3: aws_sdk_s3::Client,
    /// `None` for a data folder.
    pub lambda: Option<aws_sdk_lambda::Client>,
    pub operations: String,
    bucket: String,
    /// What jobs need and is not there.
    missing: Option<Missing>,
    /// Where the state is, if it is elsewhere than the tables.
    state: Option<StateFolder>,
    /// The options that lead here, for messages.
    pub options: String,
    pub tables: Tables,
    pub random: Random,
    pub place: TargetPlace,
    /// For files about what a command did: the data folder, or an empty path, the working folder.
    pub folder: PathBuf,
    /// `None` if the target is elsewhere than in a data folder.
    pub session: Option<FolderSession>,
}

impl TargetOptions {
    pub(crate) fn is_data_folder(&self) -> bool {
        [&self.endpoint, &self.s3_endpoint, &self.region, &self.profile].iter().all(|option| option.is_none())
    }

    /// Opens the data folder, or makes clients of AWS or of other endpoints.
    ///
    /// # Errors
    /// [`Failure`] if the folder cannot be opened, there are no credentials, or an endpoint cannot be reached.
    pub async fn open(&self, if_missing: IfMissing) -> Result<Target, Failure> {
        if self.is_data_folder() { self.open_folder(if_missing).await } else { self.open_elsewhere().await }
    }

    async fn open_folder(&self, if_missing: IfMissing) -> Result<Target, Failure> {
        if self.state.is_some() {
            let problem = "is for AWS and other endpoints: a data folder keeps the state of its own jobs";
            return Err(Failure::Usage(format!("--state: {problem}")));
        }
        let JobsResources { operations, bucket } = jobs_resources()?;
        let session = FolderSession::open(&self.data, if_missing).await?;
        let (dynamodb, s3) = folder_clients(&session)?;
        Ok(Target {
            tables: Tables::new(dynamodb.clone(), table_names()?),
            dynamodb,
            s3,
            lambda: None,
            operations: self.operations.clone().unwrap_or(operations),
            bucket: self.bucket.clone().unwrap_or(bucket),
            missing: None,
            state: None,
            options: self.as_options(),
            random: random()?,
            place: TargetPlace::Folder(self.data.clone()),
            folder: self.data.clone(),
            session: Some(session),
        })
    }

    async fn open_elsewhere(&self) -> Result<Target, Failure> {
        let Elsewhere { dynamodb, s3, lambda, place, .. } = self.elsewhere().await?;
        let JobsResources { operations, bucket } = jobs_resources()?;
        let mut operations = self.operations.clone().unwrap_or(operations);
        let bucket_name = self.bucket.clone().or(self.s3_endpoint.is_some().then_some(bucket));
        let bucket = bucket_name.clone().unwrap_or_default();
        let mut missing = None;
        let mut state = None;
        match &self.state {
            Some(folder) => {
                operations = self.name_of_state();
                // The tables are reached before a folder is created.
                probe::operations_table(&dynamodb, &operations).await?;
                state = Some(StateFolder::open(folder, &operations).await?);
            }
            None => {
                let there = probe::operations_table(&dynamodb, &operations);
                let (there, has_bucket) = tokio::join!(there, probe::bucket(&s3, bucket_name.as_deref()));
                if !there? {
                    missing = Some(Missing::OperationsTable);
                } else if bucket_name.is_none() {
                    missing = Some(Missing::BucketName);
                } else if !has_bucket? {
                    missing = Some(Missing::Bucket);
                }
            }
        }
        Ok(Target {
            tables: Tables::new(dynamodb.clone(), table_names()?),
            dynamodb,
            s3,
            lambda: Some(lambda),
            operations,
            bucket,
            missing,
            state,
            options: self.as_options(),
            random: random()?,
            place: TargetPlace::Elsewhere(place),
            folder: PathBuf::new(),
            session: None,
        })
    }

    /// The options that lead to this target.
    pub(crate) fn as_options(&self) -> String {
        let data = self.is_data_folder().then(|| self.data.display().to_string());
        let state = self.state.as_ref().map(|state| state.display().to_string());
        let options = [
            ("data", &data),
            ("endpoint", &self.endpoint),
            ("s3-endpoint", &self.s3_endpoint),
            ("region", &self.region),
            ("profile", &self.profile),
            ("operations", &self.operations),
            ("bucket", &self.bucket),
            ("state", &state),
        ];
        let given = options.iter().filter_map(|(name, value)| Some(format!(" --{name} {}", value.as_ref()?)));
        given.collect()
    }

    /// The name of the operations table in a folder of state: one for each target, so that no job is resumed with the
    /// tables of another.
    fn name_of_state(&self) -> String {
        let target = [&self.endpoint, &self.s3_endpoint, &self.region, &self.profile];
        format!("jobs-at-{}", digest(format!("{target:?}"), 8))
    }
}

impl Target {
    /// The DynamoDB of the operations table.
    ///
    /// # Errors
    /// [`Failure::Usage`] if there is no operations table.
    pub fn operations_dynamodb(&self) -> Result<&aws_sdk_dynamodb::Client, Failure> {
        match (&self.state, &self.missing) {
            (Some(state), _) => Ok(&state.dynamodb),
            (None, Some(Missing::OperationsTable)) => Err(self.missing(
                &format!("table \"{}\" not found", self.operations),
                "jobs, locks and uploads keep their state in it",
            )),
            (None, _) => Ok(&self.dynamodb),
        }
    }

    fn missing(&self, problem: &str, why: &str) -> Failure {
        Failure::Usage(format!(
            "{problem} at {}: {why}. Create it with `nextbasket setup`, name another one with --operations or \
             --bucket, or, for commands that only read tables, keep the state on this machine with --state DIR",
            self.place
        ))
    }

    /// # Errors
    /// [`Failure::Usage`] if there is no operations table.
    pub fn leases(&self) -> Result<Leases, Failure> {
        let dynamodb = self.operations_dynamodb()?.clone();
        Ok(Leases::new(dynamodb, self.operations.clone(), Clock::system(), self.random.clone()))
    }

    /// The table and bucket of jobs.
    ///
    /// # Errors
    /// [`Failure::Usage`] if there is no operations table, or if the bucket of jobs has to be named and is not.
    pub fn job_site(&self) -> Result<Site, Failure> {
        self.operations_dynamodb()?;
        match self.missing {
            Some(Missing::BucketName) => {
                let problem = "name the bucket of jobs, the stack's output JobsBucketName, or keep the state of \
                               commands that only read on this machine with --state DIR";
                return Err(Failure::Usage(format!("--bucket is missing: {problem}")));
            }
            Some(Missing::Bucket) => {
                let problem = format!("bucket \"{}\" not found", self.bucket);
                return Err(self.missing(&problem, "jobs keep their plans and results in it"));
            }
            _ => {}
        }
        let own = self.state.as_ref().map_or(&self.s3, |state| &state.s3);
        let objects = Bucket::new(own.clone(), self.bucket.clone()).with_files_of(self.s3.clone());
        let site = Site::new(self.dynamodb.clone(), self.operations.clone(), objects, self.random.clone());
        Ok(Site {
            operations_dynamodb: self.state.as_ref().map(|state| state.dynamodb.clone()),
            profiles: Some(credentials_of),
            ..site
        })
    }

    #[must_use]
    pub fn other_processes(&self) -> OtherProcesses {
        match (&self.session, &self.state) {
            (Some(session), _) => session.other_processes(),
            (None, None) => OtherProcesses::Unknown,
            // A server that has this folder open works on its own jobs.
            (None, Some(state)) => match state.session.other_processes() {
                OtherProcesses::None => OtherProcesses::None,
                _ => OtherProcesses::Commands,
            },
        }
    }

    /// The key of the folder where the jobs' state is; `None` if that is elsewhere.
    #[must_use]
    pub fn key(&self) -> Option<&AccessKey> {
        self.session.as_ref().or(self.state.as_ref().map(|state| &state.session)).map(FolderSession::key)
    }

    /// Does the work like [`FolderSession::bulk_load`].
    pub async fn bulk_load<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        match &self.session {
            Some(session) => session.bulk_load(work).await,
            None => Ok(work.await),
        }
    }

    /// Stops what was started, and returns the command's result, like [`FolderSession::close`].
    ///
    /// # Errors
    /// The [`Failure`] of the command, or of a folder that cannot be closed cleanly.
    pub async fn close<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        match self.session.or(self.state.map(|state| state.session)) {
            Some(session) => session.close(result).await,
            None => result,
        }
    }
}

impl StateFolder {
    async fn open(folder: &Path, operations: &str) -> Result<Self, Failure> {
        let session = FolderSession::open(folder, IfMissing::Create).await?;
        let (dynamodb, s3) = folder_clients(&session)?;
        match (OperationsTable { client: &dynamodb, name: operations }).make_plain().await {
            Ok(()) => Ok(Self { session, dynamodb, s3 }),
            Err(failure) => session.close(Err(failure)).await,
        }
    }
}

/// The holder of leases that this process acquires, for people: host and process.
#[must_use]
pub fn holder() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or(std::env::var("HOSTNAME").ok());
    let host = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    format!("{}/{}", host.as_deref().unwrap_or("localhost"), std::process::id())
}

fn folder_clients(
    session: &FolderSession,
) -> Result<(aws_sdk_dynamodb::Client, aws_sdk_s3::Client), Failure> {
    let (dynamodb, s3) = match session {
        FolderSession::Attached { attachment, .. } => {
            let server = &attachment.server;
            let s3 = server.s3.ok_or_else(|| {
                Failure::other(format!(
                    "{server} runs an earlier version, which has no S3 endpoint: stop and start it again"
                ))
            })?;
            let config = |address| attachment.config(address);
            (config(server.dynamodb), s3_config_from(&config(s3)))
        }
        FolderSession::Own { deployment, .. } => {
            (deployment.machine().sdk_config().clone(), deployment.machine().s3_config())
        }
    };
    Ok((aws_sdk_dynamodb::Client::new(&dynamodb), aws_sdk_s3::Client::from_conf(s3)))
}

fn url(text: &str) -> Result<String, String> {
    match text.parse::<hyper::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => {
            Ok(text.to_owned())
        }
        _ => Err("expected a URL, such as http://127.0.0.1:8000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url() {
        assert!(url("http://127.0.0.1:8000").is_ok());
        for text in ["127.0.0.1:8000", "localhost", "s3://bucket", ""] {
            assert!(url(text).is_err(), "{text:?}");
        }
    }
}
