//! `lock`: leases by name, for scripts and people.

mod run;

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Subcommand};
use nextbasket_domain::{Clock, Timestamp};
use nextbasket_locks::{Attempt, Lease, LeaseError, LeaseKey, LeaseRecord, LeaseRequest, LeaseState, Leases};
use serde_json::{Value, json};

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::options::value::{duration, lease};
use crate::stdio::print_result;
use crate::target::{Target, TargetOptions, holder};

#[derive(Debug, Args)]
pub struct Lock {
    /// What to do.
    #[command(subcommand)]
    pub command: LockCommand,
    #[command(flatten)]
    pub target: TargetOptions,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// Acquire a lock, and hold it until it is released or its lease expires
    Acquire {
        #[command(flatten)]
        request: AcquireOptions,
        /// The length of the lease: without a renewal, the lock expires after it
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease)]
        lease: Duration,
    },
    /// Renew the lease of a lock that is held
    Renew {
        #[command(flatten)]
        held: Acquisition,
        /// The new length of the lease, from now on
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = lease)]
        lease: Duration,
    },
    /// Release a lock
    Release {
        #[command(flatten)]
        held: Acquisition,
    },
    /// Show who holds a lock
    Show {
        /// The lock's name
        name: String,
    },
    /// List all locks that were ever acquired
    List,
    /// Run a command under a lock, and stop it if the lock is lost
    ///
    /// The command's environment contains NEXTBASKET_LOCK_NAME, NEXTBASKET_LOCK_OWNER and NEXTBASKET_LOCK_FENCE.
    /// `lock run` exits with the command's exit code, or with 4 if the lock was lost while it ran. The command runs in
    /// a process group of its own, and cannot read from the terminal. If `lock run` is killed, the command and all that
    /// it has started are ended before the lease is over.
    Run {
        #[command(flatten)]
        request: AcquireOptions,
        /// The length of the lease, if this process is killed; it is renewed after a third of it
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = lease)]
        lease: Duration,
        /// How long the command has between SIGTERM and SIGKILL
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
        grace: Duration,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

/// How a lock is acquired.
#[derive(Debug, Args)]
pub struct AcquireOptions {
    /// The lock's name: 1 to 256 bytes without control characters
    pub name: String,
    /// The holder, for people [default: host and process]
    #[arg(long, value_name = "HOLDER")]
    pub holder: Option<String>,
    /// How long to wait while another process holds it [default: no time]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub wait: Option<Duration>,
    /// A note, shown with the lock
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Trust only this machine's clock: a lock has expired if it did not change for its lease's length; needs --wait
    #[arg(long, requires = "wait")]
    pub observe: bool,
}

/// An acquisition, as `lock acquire` printed it.
#[derive(Debug, Args)]
pub struct Acquisition {
    /// The lock's name
    pub name: String,
    /// The acquisition's owner
    #[arg(long, value_name = "OWNER")]
    pub owner: String,
    /// The acquisition's fence
    #[arg(long, value_name = "N")]
    pub fence: u64,
}

/// Fails with [`Failure::Busy`] if another process holds the lock, [`Failure::LockLost`] if it is not held any more.
pub(crate) async fn run(options: &Lock) -> Result<(), Failure> {
    // Before anything is started.
    let key = key(options.command.name())?;
    // A lock may be the first thing in a folder.
    let acquires = matches!(options.command, LockCommand::Acquire { .. } | LockCommand::Run { .. });
    let if_missing = if acquires { IfMissing::Create } else { IfMissing::Fail };
    let target = options.target.open(if_missing).await?;
    let result = run_at(options, key, &target).await;
    target.close(result).await
}

async fn run_at(options: &Lock, key: Option<LeaseKey>, target: &Target) -> Result<(), Failure> {
    let leases = target.leases()?;
    let Some(key) = key else { return list(&leases, options.json).await };
    match &options.command {
        LockCommand::Acquire { request, lease } => {
            let lease = acquire(&leases, &key, request, *lease).await?;
            let (owner, fence, until) = (lease.owner(), lease.fence(), lease.expires_at());
            let value = json!({ "name": request.name, "owner": owner, "fence": fence, "expiresAt": until });
            print_result(options.json, &value, || {
                format!("owner {owner}\nfence {fence}\nheld until {until}")
            });
            Ok(())
        }
        LockCommand::Renew { held, lease } => {
            let mut lease = leases.resume(&key, held.owner.clone(), held.fence, *lease);
            lease.renew().await.map_err(|error| lost(&held.name, error))?;
            let until = lease.expires_at();
            let value = json!({ "name": held.name, "fence": held.fence, "expiresAt": until });
            print_result(options.json, &value, || format!("held until {until}"));
            Ok(())
        }
        LockCommand::Release { held } => {
            let lease = leases.resume(&key, held.owner.clone(), held.fence, Duration::from_secs(1));
            lease.release().await.map_err(|error| lost(&held.name, error))?;
            let value = json!({ "name": held.name, "fence": held.fence, "state": "free" });
            print_result(options.json, &value, || format!("{} is free.", held.name));
            Ok(())
        }
        LockCommand::Show { name } => {
            show(name, leases.show(&key).await?.as_ref(), &leases, options.json);
            Ok(())
        }
        LockCommand::List => Ok(()),
        LockCommand::Run { request, lease, grace, command } => {
            let lease = acquire(&leases, &key, request, *lease).await?;
            run::under(&request.name, lease, command, *grace).await
        }
    }
}

impl LockCommand {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Acquire { request, .. } | Self::Run { request, .. } => Some(&request.name),
            Self::Renew { held, .. } | Self::Release { held } => Some(&held.name),
            Self::Show { name } => Some(name),
            Self::List => None,
        }
    }
}

fn key(name: Option<&str>) -> Result<Option<LeaseKey>, Failure> {
    name.map(LeaseKey::lock).transpose().map_err(|error| Failure::Usage(error.to_string()))
}

async fn acquire(
    leases: &Leases,
    key: &LeaseKey,
    options: &AcquireOptions,
    length: Duration,
) -> Result<Lease, Failure> {
    let request = LeaseRequest {
        holder: options.holder.clone().unwrap_or_else(holder),
        length,
        note: options.note.clone(),
    };
    let attempt = match options.wait {
        None => leases.try_acquire(key, &request).await?,
        Some(wait) if options.observe => leases.acquire_observing(key, &request, wait).await?,
        Some(wait) => leases.acquire(key, &request, wait).await?,
    };
    match attempt {
        Attempt::Held(lease) => Ok(lease),
        Attempt::Busy(LeaseRecord { holder, fence, expires_at, .. }) => Err(Failure::Busy(format!(
            "{} is held by {holder} (fence {fence}) until {expires_at}, unless it is renewed. Wait for it with --wait.",
            options.name
        ))),
    }
}

/// A lock that is not ours any more has an exit code of its own.
fn lost(name: &str, error: LeaseError) -> Failure {
    match error {
        LeaseError::Lost(lost) => Failure::LockLost(format!("{name} is not held any more: {lost}")),
        LeaseError::Table(error) => error.into(),
    }
}

fn show(name: &str, record: Option<&LeaseRecord>, leases: &Leases, json: bool) {
    let Some(record) = record else {
        let value = json!({ "name": name, "state": "free" });
        return print_result(json, &value, || format!("{name} is free: it was never acquired."));
    };
    let (state, now) = (state(record, leases), Clock::system().now());
    print_result(json, &to_json(record, leases), || {
        let LeaseRecord { holder, owner, fence, acquired_at, expires_at, .. } = record;
        let note = record.note.iter().map(|note| format!("\nnote {note}")).collect::<String>();
        let until = match state {
            "held" => format!("held by {holder} until {expires_at} ({})", remaining(now, *expires_at)),
            "expired" => format!("expired: {holder} held it until {expires_at}"),
            _ => format!("free: {holder} released it"),
        };
        format!("{name} is {until}\nowner {owner}\nfence {fence}\nacquired {acquired_at}{note}")
    });
}

fn remaining(now: Timestamp, until: Timestamp) -> String {
    let millis = until.as_millis().saturating_sub(now.as_millis());
    if millis < 0 {
        "within the tolerance of clocks".to_owned()
    } else {
        format!("{} s left", millis / 1_000)
    }
}

async fn list(leases: &Leases, json: bool) -> Result<(), Failure> {
    let records = leases.list_locks().await?;
    let values: Vec<Value> = records.iter().map(|record| to_json(record, leases)).collect();
    print_result(json, &json!({ "items": values }), || {
        if records.is_empty() {
            return "There are no locks.".to_owned();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(["lock", "state", "fence", "holder", "until"]);
        for record in &records {
            table.add_row([
                record.name.clone().unwrap_or_default(),
                state(record, leases).to_owned(),
                record.fence.to_string(),
                record.holder.clone(),
                record.expires_at.to_string(),
            ]);
        }
        table.to_string()
    });
    Ok(())
}

fn state(record: &LeaseRecord, leases: &Leases) -> &'static str {
    match record.state(Clock::system().now(), leases.skew()) {
        LeaseState::Free => "free",
        LeaseState::Held => "held",
        LeaseState::Expired => "expired",
    }
}

fn to_json(record: &LeaseRecord, leases: &Leases) -> Value {
    json!({
        "name": record.name,
        "state": state(record, leases),
        "holder": record.holder,
        "owner": record.owner,
        "fence": record.fence,
        "acquiredAt": record.acquired_at,
        "expiresAt": record.expires_at,
        "note": record.note,
    })
}
