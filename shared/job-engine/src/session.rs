//! One process's part in a running job: its lock, its share of the rates, whether to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nextbasket_domain::Random;
use nextbasket_locks::{Keeper, Lease, LeaseError, LeaseKey};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Site;
use crate::error::JobError;
use crate::job::Job;
use crate::limit::Limits;
use crate::stage::Rates;
use crate::store::Store;

/// How long a job's lock holds without being renewed. Longer than any pause between two stages.
pub const LOCK_LEASE: Duration = Duration::from_secs(5 * 60);

/// How often a process looks whether the job is to stop, and says that it is there.
const BEAT: Duration = Duration::from_secs(2);
/// How much longer the interval becomes for each worker that runs at the same time as a function, beyond the first
/// 500: all of them read the same item.
const BEAT_EACH: Duration = Duration::from_millis(4);

/// How many beats a process may miss before the others take over its share of the rates.
const MISSED: u32 = 5;

/// How a process shares the rates of a stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// One of so many workers of the stage that run at the same time: what a function of a state machine knows.
    OneOf(u32),
    /// So many workers of this process, and those that other processes say they have.
    Workers(u32),
}

/// One process's part in a running job. Clones are the same part.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    site: Site,
    job: Job,
    limits: Limits,
    stop: AtomicBool,
    process: String,
    lock: Option<Keeper>,
    /// Ends the beat when it is dropped.
    beat: Mutex<Option<DropGuard>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("job", &self.0.job.job_id).finish_non_exhaustive()
    }
}

impl Session {
    /// Takes part in the job as it is now. `None` if the job's lock is not its own any more: it has to be planned
    /// again.
    pub async fn join(site: &Site, job: Job, share: Share) -> Result<Option<Self>, JobError> {
        let lock = match held_lock(site, &job) {
            Some(mut lease) => match lease.renew().await {
                Ok(()) => Some(lease.keep()),
                Err(LeaseError::Lost(_)) => return Ok(None),
                Err(LeaseError::Table(error)) => return Err(error.into()),
            },
            None => None,
        };
        let rates = job.stage().map(|stage| stage.rates).unwrap_or_default();
        let limits = Limits::new(rates, first_share(share));
        let process = process_name(&site.random);
        let stop = AtomicBool::new(job.is_ending());
        let inner = Inner { site: site.clone(), job, limits, stop, process, lock, beat: Mutex::new(None) };
        let session = Self(Arc::new(inner));
        if let Share::Workers(workers) = share {
            session.share_rates(rates, workers).await?;
        }
        let left = CancellationToken::new();
        *session.beat() = Some(left.clone().drop_guard());
        let beat = beat(Arc::downgrade(&session.0), rates, share);
        tokio::spawn(async move { left.run_until_cancelled(beat).await });
        Ok(Some(session))
    }

    /// The job as it was when the process joined.
    pub fn job(&self) -> &Job {
        &self.0.job
    }

    /// The process's part of the rates.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The process's name, unique.
    pub fn process(&self) -> &str {
        &self.0.process
    }

    /// The number of workers that the job may have in all.
    pub(crate) fn width(&self) -> u32 {
        self.0.job.stage().map_or(1, |stage| stage.width)
    }

    /// Whether work is to stop at the next checkpoint: the job was cancelled, has failed or ended, has lost its lock,
    /// or this process was told to.
    pub fn must_stop(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
            || self.0.lock.as_ref().is_some_and(|lock| lock.lost_now().is_some())
    }

    /// Stops work at the next checkpoint.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    /// Says that the process is not there any more. One that does not say so is missed after a while.
    pub async fn leave(&self) -> Result<(), JobError> {
        self.beat().take();
        if has_rates(self.0.job.stage().map(|stage| stage.rates).unwrap_or_default()) {
            Store::new(&self.0.site).absent(&self.0.job.job_id, &self.0.process).await?;
        }
        Ok(())
    }

    fn beat(&self) -> MutexGuard<'_, Option<DropGuard>> {
        self.0.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many workers this process has and takes their part of the rates.
    async fn share_rates(&self, rates: Rates, workers: u32) -> Result<(), JobError> {
        if !has_rates(rates) {
            return Ok(());
        }
        let store = Store::new(&self.0.site);
        let missed = (BEAT * MISSED).as_millis();
        let until = self.0.site.clock.now().plus_millis(i64::try_from(missed).unwrap_or(i64::MAX));
        store.present(&self.0.job.job_id, &self.0.process, workers, until).await?;
        let all = store.workers(&self.0.job.job_id).await?.max(workers);
        self.0.limits.set_share(rates, f64::from(workers) / f64::from(all.max(1)));
        Ok(())
    }
}

fn first_share(share: Share) -> f64 {
    match share {
        Share::OneOf(all) => 1.0 / f64::from(all.max(1)),
        Share::Workers(_) => 1.0,
    }
}

fn has_rates(rates: Rates) -> bool {
    rates.read.is_some() || rates.write.is_some()
}

/// Looks again and again whether to stop. An error is looked over: the next beat tries again, and batches that
/// cannot reach the table end by themselves.
async fn beat(inner: std::sync::Weak<Inner>, rates: Rates, share: Share) {
    let pause = match share {
        Share::OneOf(width) => BEAT.max(BEAT_EACH.saturating_mul(width)),
        Share::Workers(_) => BEAT,
    };
    loop {
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        let session = Session(inner);
        match Store::new(&session.0.site).load(&session.0.job.job_id).await {
            Ok(job) if job.is_ending() => session.stop(),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot look at the job"),
        }
        if let Share::Workers(workers) = share
            && let Err(error) = session.share_rates(rates, workers).await
        {
            tracing::warn!(%error, "cannot share the rates");
        }
    }
}

/// The lock that the job holds, as its own record knows it.
pub(crate) fn held_lock(site: &Site, job: &Job) -> Option<Lease> {
    let held = job.lock.as_ref()?;
    let key = LeaseKey::lock(&held.name).ok()?;
    Some(site.leases().resume(&key, held.owner.clone(), held.fence, LOCK_LEASE))
}

/// A name for this process, for people and unique.
pub(crate) fn process_name(random: &Random) -> String {
    let host = std::env::var("HOSTNAME").or_else(|_| std::env::var("AWS_LAMBDA_FUNCTION_NAME"));
    let host = host.unwrap_or_else(|_| "process".to_owned());
    format!("{host}/{}/{:08x}", std::process::id(), random.draw() >> 32)
}
