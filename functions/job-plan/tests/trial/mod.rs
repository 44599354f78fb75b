//! A kind of job for tests: its batches do what its parameters say.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::time::Duration;

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{
    BatchPlan, Engine, Estimate, JobError, Kind, Kinds, Next, Outcome, Planning, Refusal, Site, StagePlan,
    Trust, Work, WorkError, kind,
};
use nextbasket_testkit::TestStack;
use serde::Deserialize;
use serde_json::{Value, json};

/// An engine on this stack that knows the one kind `trial`, behind another DynamoDB client if one is given.
pub(crate) fn engine(stack: &TestStack, dynamodb: Option<aws_sdk_dynamodb::Client>) -> Engine {
    let dynamodb = dynamodb.unwrap_or_else(|| stack.dynamodb());
    let site = Site { dynamodb, ..stack.site() };
    Engine::new(site, Kinds::default().with(Trial))
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Parameters {
    stages: u32,
    batches: u32,
    /// Checkpoints of a batch, one after each pause.
    steps: u32,
    pause_millis: u64,
    width: u32,
    tolerated: f64,
    lock: Option<String>,
    /// These batches fail for good.
    failing: Vec<u32>,
    /// Each batch fails once in a way that passes.
    stumbling: bool,
    /// Every batch meets what every other one would meet.
    hopeless: bool,
    /// Waits so long before each stage but the first.
    wait_seconds: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            stages: 1,
            batches: 1,
            steps: 1,
            pause_millis: 0,
            width: 8,
            tolerated: 0.0,
            lock: None,
            failing: Vec::new(),
            stumbling: false,
            hopeless: false,
            wait_seconds: 0,
        }
    }
}

#[derive(Debug)]
struct Trial;

impl Kind for Trial {
    type Task = Parameters;

    fn name(&self) -> &'static str {
        "trial"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<Parameters, Refusal> {
        kind::parameters(parameters)
    }

    fn lock(&self, task: &Parameters) -> Option<String> {
        task.lock.clone()
    }

    async fn estimate(&self, _: &Site, _: &Parameters) -> Result<Estimate, JobError> {
        Ok(Estimate { items: Some(7), ..Estimate::default() })
    }

    async fn plan(&self, planning: &Planning<'_>, task: &Parameters) -> Result<Next, JobError> {
        let stage = planning.stages();
        if stage >= task.stages {
            let mut done = Vec::new();
            for stage in 0..stage {
                done.push(planning.batches(stage).await?.len());
            }
            return Ok(Next::Done(json!({ "batches": done })));
        }
        let waited = planning.job.waits_until.is_some();
        if stage > 0 && task.wait_seconds > 0 && !waited {
            return Ok(Next::Wait(Duration::from_secs(task.wait_seconds)));
        }
        let batches = (0..task.batches).map(|n| BatchPlan::new(json!({ "number": n }))).collect();
        let mut plan = StagePlan::new(&format!("stage {stage}"), json!({ "by": "number" }), batches);
        (plan.width, plan.tolerated) = (task.width, task.tolerated);
        Ok(Next::Stage(plan))
    }

    async fn work(&self, work: &mut Work, task: Parameters) -> Result<Outcome, WorkError> {
        if task.hopeless {
            return Err(WorkError::Systemic("nobody may write here".to_owned()));
        }
        let number = work.task().batch;
        if task.failing.contains(&number) {
            return Err(WorkError::Failed(format!("batch {number} is bad")));
        }
        let mut at: u32 = work.checkpoint()?.unwrap_or(0);
        if task.stumbling && at == 0 {
            work.save(&1).await?;
            return Err(WorkError::Transient("once".to_owned()));
        }
        while at < task.steps {
            tokio::time::sleep(Duration::from_millis(task.pause_millis)).await;
            at += 1;
            work.progress.processed += 1;
            if work.save(&at).await? == Go::Stop && at < task.steps {
                return Ok(Outcome::Stopped);
            }
        }
        Outcome::done(&number)
    }
}
