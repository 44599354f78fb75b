//! Workers on one machine: the loop that a state machine runs on AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use nextbasket_domain::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::engine::{Step, WorkStep, Worked};
use crate::error::JobError;
use crate::job::{Job, JobId};
use crate::session::{Session, Share};
use crate::stage::BatchTask;
use crate::store::BatchState;

/// The longest pause before the pool looks again.
const POLL: Duration = Duration::from_secs(1);
/// How often an error that may pass is looked over in a row.
const MOST_ERRORS: u32 = 20;

/// Tells a pool to stop: its batches save their checkpoints and stop, and the job can go on later.
#[derive(Debug, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Stops.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Sleeps, less long if it is stopped meanwhile.
    pub async fn sleep(&self, pause: Duration) {
        let _ = tokio::time::timeout(pause, self.0.cancelled()).await;
    }
}

/// Works on a job with up to `workers` batches at a time until it has ended, and returns it; `None` if it was stopped
/// before. Any number of processes may do so for the same job.
///
/// # Errors
/// [`JobError`] if there is no such job, or a table or the bucket goes on not to answer.
pub async fn drive(engine: &Engine, id: &JobId, workers: u32, stop: &Stop) -> Result<Option<Job>, JobError> {
    let mut errors = 0;
    while !stop.is_stopped() {
        let pause = match step(engine, id, workers, stop).await {
            Ok(Some(Step::Ended(job))) => return Ok(Some(*job)),
            Ok(Some(Step::Wait(wait))) => wait.min(POLL),
            Ok(Some(Step::Locked { .. })) => POLL,
            Ok(Some(Step::Work(_)) | None) => Duration::ZERO,
            Err(error) if error.is_transient() && errors < MOST_ERRORS => {
                tracing::warn!(%error, job = %id, "will try again");
                errors += 1;
                stop.sleep(POLL).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        errors = 0;
        stop.sleep(pause).await;
    }
    Ok(None)
}

async fn step(engine: &Engine, id: &JobId, workers: u32, stop: &Stop) -> Result<Option<Step>, JobError> {
    let step = engine.plan(id).await?;
    let Step::Work(stage) = &step else { return Ok(Some(step)) };
    let job = engine.job(id).await?;
    let workers = workers.clamp(1, stage.width);
    let Some(session) = Session::join(engine.site(), job, Share::Workers(workers)).await? else {
        return Ok(Some(Step::Wait(Duration::ZERO)));
    };
    let result = work(engine, id, stage, workers, &session, stop).await;
    session.leave().await?;
    if let Err(error) = result {
        // Of a job that another process has ended meanwhile, the plan and the objects are gone.
        if error.is_transient() || !engine.job(id).await?.is_ending() {
            return Err(error);
        }
    }
    Ok(Some(step))
}

/// What is known of a batch that has not ended.
struct Queue {
    /// In the order in which they go out; `None` for those that have ended or are being worked on here.
    tasks: Vec<Option<BatchTask>>,
    /// The first that may be there.
    from: usize,
    /// Batches to come back to, by time.
    later: BTreeMap<(Timestamp, usize), BatchTask>,
}

impl Queue {
    fn next(&mut self, now: Timestamp) -> Option<(usize, BatchTask)> {
        if let Some((&key, _)) = self.later.first_key_value()
            && key.0 <= now
        {
            return self.later.remove(&key).map(|task| (key.1, task));
        }
        while self.from < self.tasks.len() {
            let at = self.from;
            self.from += 1;
            if let Some(task) = self.tasks.get_mut(at).and_then(Option::take) {
                return Some((at, task));
            }
        }
        None
    }
}

/// Works until all batches of the stage have ended or the work has to stop.
async fn work(
    engine: &Engine,
    id: &JobId,
    stage: &WorkStep,
    workers: u32,
    session: &Session,
    stop: &Stop,
) -> Result<(), JobError> {
    let mut tasks: Vec<Option<BatchTask>> = engine.tasks(stage).await?.into_iter().map(Some).collect();
    // Batches that have ended are skipped: to try to claim each of them would cost a write.
    let begun = if stage.ended == 0 { Vec::new() } else { engine.batches(id, stage.stage).await? };
    let ended: Vec<u32> =
        begun.into_iter().filter(|batch| batch.state != BatchState::Open).map(|batch| batch.batch).collect();
    for task in &mut tasks {
        if task.as_ref().is_some_and(|task| ended.binary_search(&task.batch).is_ok()) {
            *task = None;
        }
    }
    let queue = Arc::new(Mutex::new(Queue { tasks, from: 0, later: BTreeMap::new() }));
    // Tasks of their own, so that they use all cores; they end with this future.
    let mut running = JoinSet::new();
    for _ in 0..workers {
        running.spawn(worker(engine.clone(), session.clone(), queue.clone()));
    }
    let stopping = async {
        stop.0.cancelled().await;
        session.stop();
    };
    tokio::pin!(stopping);
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            ended = running.join_next() => match ended {
                Some(Ok(result)) => result?,
                Some(Err(error)) => return Err(JobError::Failed(format!("a worker crashed: {error}"))),
                None => return Ok(()),
            },
            () = &mut stopping, if !told => told = true,
        }
    }
}

async fn worker(engine: Engine, session: Session, queue: Arc<Mutex<Queue>>) -> Result<(), JobError> {
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = &engine.site().clock;
    let mut errors = 0;
    while !session.must_stop() {
        let Some((at, task)) = lock().next(clock.now()) else {
            if lock().later.is_empty() {
                return Ok(());
            }
            // Somebody else has the rest; their claims may expire.
            tokio::time::sleep(POLL / 4).await;
            continue;
        };
        match engine.work(task.clone(), &session, None).await {
            Ok(Worked::Ended(_)) => errors = 0,
            Ok(Worked::Later(time)) => drop(lock().later.insert((time, at), task)),
            Ok(Worked::Stopped | Worked::Systemic(_)) => return Ok(()),
            Err(error) if error.is_transient() && errors < MOST_ERRORS => {
                tracing::warn!(%error, "will try again");
                errors += 1;
                let time = clock.now().plus_millis(1000);
                lock().later.insert((time, at), task);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Works on every job that there is, as they come, until it is stopped: what a server does. `changed` is awaited
/// between looks, so that a job that was submitted here begins at once.
pub async fn serve(engine: &Engine, workers: u32, stop: &Stop, changed: &Notify) {
    let mut running = FuturesUnordered::new();
    let mut known: Vec<JobId> = Vec::new();
    loop {
        if !stop.is_stopped() {
            match engine.active().await {
                Ok(active) => {
                    for id in active {
                        if !known.contains(&id) {
                            known.push(id.clone());
                            running.push(async move { (drive(engine, &id, workers, stop).await, id) });
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot look for jobs"),
            }
        } else if running.is_empty() {
            return;
        }
        tokio::select! {
            biased;
            Some((result, id)) = running.next(), if !running.is_empty() => {
                known.retain(|known| *known != id);
                if let Err(error) = result {
                    tracing::warn!(%error, job = %id, "the job is left for now");
                    stop.sleep(POLL).await;
                }
            }
            () = changed.notified() => {}
            () = stop.sleep(POLL) => {}
        }
    }
}
