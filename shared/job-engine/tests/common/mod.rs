//! A kind of job whose every page must count exactly once, and a site with a clock that tests set forward.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use nextbasket_domain::Clock;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{
    Aggregate, Assign, BatchPlan, Engine, Estimate, JobError, Kind, Kinds, Next, Outcome, Planning, Rates,
    Refusal, Site, StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_testkit::TestStack;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Parameters of [`Tally`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Parameters {
    pub batches: u32,
    pub pages: u32,
    pub width: u32,
    pub assign: Assign,
    pub aggregate: Aggregate,
    pub tolerated: f64,
    pub rates: Rates,
    pub lock: Option<String>,
    /// Which batches fail, and how: `transient` (twice, then done), `failed`, `systemic`; or `stale-failed` and
    /// `stale-systemic`, where the first attempt fails after the second one is done, and `patient` is done after that.
    pub faults: BTreeMap<u32, String>,
    /// How many passes with a pause between them.
    pub passes: u32,
    /// Whether each pass supersedes the one before.
    pub supersedes: bool,
    /// How many times in a row planning gets no answer.
    pub unanswered: u32,
    pub page_millis: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            batches: 6,
            pages: 4,
            width: 3,
            assign: Assign::Balanced,
            aggregate: Aggregate::Parallel,
            tolerated: 0.0,
            rates: Rates::default(),
            lock: None,
            faults: BTreeMap::new(),
            passes: 1,
            supersedes: false,
            unanswered: 0,
            page_millis: 0,
        }
    }
}

impl Parameters {
    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(self).unwrap()
    }
}

/// Adds one to a counter of its batch for every page: what must not be done twice, and not be left out.
#[derive(Default)]
pub(crate) struct Tally {
    pub pages_begun: AtomicU64,
    pub at_once: AtomicU32,
    pub most_at_once: AtomicU32,
    pub attempts: std::sync::Mutex<BTreeMap<u32, u32>>,
    pub begun: std::sync::Mutex<Vec<u32>>,
    pub unanswered: AtomicU32,
    /// The second attempt at a stale batch was done.
    pub second_done: Notify,
    /// The first one has failed since.
    pub stale_ended: Notify,
}

#[derive(Clone)]
pub(crate) struct SharedTally(pub Arc<Tally>);

impl Kind for SharedTally {
    type Task = Parameters;

    fn name(&self) -> &'static str {
        "tally"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<Parameters, Refusal> {
        let task: Parameters = kind::parameters(parameters)?;
        if task.width == 0 { Err(Refusal::parameter("width", "must be at least 1")) } else { Ok(task) }
    }

    fn lock(&self, task: &Parameters) -> Option<String> {
        task.lock.clone()
    }

    async fn estimate(&self, _: &Site, task: &Parameters) -> Result<Estimate, JobError> {
        let items = Some(u64::from(task.batches * task.pages));
        let estimate = Estimate { items, read_units: 1e6, write_units: 2e6, ..Estimate::default() };
        Ok(estimate.at(task.rates))
    }

    async fn plan(&self, planning: &Planning<'_>, task: &Parameters) -> Result<Next, JobError> {
        if self.0.unanswered.fetch_add(1, Ordering::Relaxed) < task.unanswered {
            return Err(JobError::Unavailable("s3://orders: unavailable: SlowDown".to_owned()));
        }
        let done = planning.stages();
        if done == task.passes {
            let mut sums = Vec::new();
            for stage in if task.supersedes { done - 1 } else { 0 }..done {
                let merged = planning.merged(stage, |left, right| Ok([left, right].concat())).await?;
                sums.push(String::from_utf8(merged.unwrap_or_default()).unwrap());
            }
            return Ok(Next::Done(json!({ "order": sums })));
        }
        if done > 0 && planning.job.waits_until.is_none() {
            return Ok(Next::Wait(Duration::from_secs(60)));
        }
        let batches = (0..task.batches).map(|batch| BatchPlan {
            input: json!({ "batch": batch, "pages": task.pages }),
            weight: u64::from(batch % 3),
            priority: i64::from(batch % 2),
            of: Some(u64::from(task.pages)),
        });
        let split = json!({ "by": "size", "batches": task.batches });
        Ok(Next::Stage(StagePlan {
            assign: task.assign,
            width: task.width,
            aggregate: task.aggregate,
            tolerated: task.tolerated,
            rates: task.rates,
            supersedes: task.supersedes && done > 0,
            ..StagePlan::new("add", split, batches.collect())
        }))
    }

    async fn work(&self, work: &mut Work, task: Parameters) -> Result<Outcome, WorkError> {
        let running = self.0.at_once.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most_at_once.fetch_max(running, Ordering::Relaxed);
        let outcome = self.add(work, &task).await;
        self.0.at_once.fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}

impl SharedTally {
    async fn add(&self, work: &mut Work, task: &Parameters) -> Result<Outcome, WorkError> {
        let batch = work.task().batch;
        self.0.begun.lock().unwrap().push(batch);
        let attempt = {
            let mut attempts = self.0.attempts.lock().unwrap();
            let attempt = attempts.entry(batch).or_default();
            *attempt += 1;
            *attempt
        };
        let mut page = work.checkpoint::<u32>()?.unwrap_or(0);
        while page < task.pages {
            self.0.pages_begun.fetch_add(1, Ordering::Relaxed);
            if page == 1 {
                match task.faults.get(&batch).map(String::as_str) {
                    Some("transient") if attempt <= 2 => {
                        return Err(WorkError::Transient("not now".to_owned()));
                    }
                    Some("failed") => return Err(WorkError::Failed("it is broken".to_owned())),
                    Some("systemic") => return Err(WorkError::Systemic("no permission".to_owned())),
                    Some("patient") => self.0.stale_ended.notified().await,
                    Some(stale @ ("stale-failed" | "stale-systemic")) if attempt == 1 => {
                        self.0.second_done.notified().await;
                        self.0.stale_ended.notify_one();
                        let reason = "its input is gone".to_owned();
                        return Err(match stale {
                            "stale-failed" => WorkError::Failed(reason),
                            _ => WorkError::Systemic(reason),
                        });
                    }
                    _ => {}
                }
            }
            if task.page_millis > 0 {
                tokio::time::sleep(Duration::from_millis(task.page_millis)).await;
            }
            let update = Update::builder()
                .table_name(&work.site().operations)
                .key("pk", AttributeValue::S("tally".to_owned()))
                .key("sk", AttributeValue::S(format!("{}/{batch}", work.job().job_id)))
                .update_expression("ADD pages :one")
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
                .build()
                .unwrap();
            page += 1;
            work.progress.processed += 1;
            let _permit = work.limits().write.ready().await;
            if batch == 2 {
                work.refuse(&json!({ "page": page }), "it is a page of batch 2");
            }
            let write = TransactWriteItem::builder().update(update).build();
            if work.save_with(&page, vec![write]).await? == Go::Stop && page < task.pages {
                return Ok(Outcome::Stopped);
            }
        }
        if task.faults.get(&batch).is_some_and(|fault| fault.starts_with("stale")) {
            self.0.second_done.notify_one();
        }
        Ok(Outcome::Done(format!("{batch},").into_bytes()))
    }
}

/// Where tests run their jobs.
pub(crate) struct Place {
    pub stack: TestStack,
    pub tally: Arc<Tally>,
    ahead: Arc<AtomicI64>,
}

impl Place {
    pub(crate) async fn start() -> Self {
        Self { stack: TestStack::start().await, tally: Arc::default(), ahead: Arc::default() }
    }

    /// Sets the clock forward, as if so much time had passed.
    pub(crate) fn forward(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(self.stack.dynamodb())
    }

    pub(crate) fn engine_with(&self, dynamodb: aws_sdk_dynamodb::Client) -> Engine {
        let ahead = self.ahead.clone();
        let clock = Clock::new(move || Clock::system().now().plus_millis(ahead.load(Ordering::Relaxed)));
        let site = Site { dynamodb, clock, ..self.stack.site() };
        Engine::new(site, Kinds::default().with(SharedTally(self.tally.clone())))
    }

    /// How often pages were counted, by batch.
    pub(crate) async fn counted(&self, job: &nextbasket_job_engine::JobId) -> BTreeMap<u32, u32> {
        let output = self
            .stack
            .dynamodb()
            .query()
            .table_name(self.stack.operations())
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", AttributeValue::S("tally".to_owned()))
            .expression_attribute_values(":sk", AttributeValue::S(format!("{job}/")))
            .consistent_read(true)
            .send()
            .await
            .unwrap();
        output
            .items()
            .iter()
            .map(|item| {
                let batch = item["sk"].as_s().unwrap().rsplit('/').next().unwrap().parse().unwrap();
                (batch, item["pages"].as_n().unwrap().parse().unwrap())
            })
            .collect()
    }
}

/// So many batches, each of so many pages.
pub(crate) fn all(batches: u32, pages: u32) -> BTreeMap<u32, u32> {
    (0..batches).map(|batch| (batch, pages)).collect()
}
