//! A kind of job for tests: its batches do what its parameters say.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::time::Duration;

use futures::future::BoxFuture;
use nextbasket_batch::work::Go;
use nextbasket_batch::{
    BatchPlan, Engine, Estimate, JobError, Kind, Kinds, Next, Outcome, Planning, Refusal, Site, StagePlan,
    Work, WorkError, kind,
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

/// Its parameters.
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
    fn name(&self) -> &'static str {
        "trial"
    }

    fn check(&self, parameters: &Value) -> Result<(), Refusal> {
        kind::parameters::<Parameters>(parameters).map(drop)
    }

    fn lock(&self, parameters: &Value) -> Option<String> {
        kind::parameters::<Parameters>(parameters).ok()?.lock
    }

    fn estimate<'a>(&'a self, _: &'a Site, _: &'a Value) -> BoxFuture<'a, Result<Estimate, JobError>> {
        Box::pin(async { Ok(Estimate { items: Some(7), ..Estimate::default() }) })
    }

    fn plan<'a>(&'a self, planning: &'a Planning<'a>) -> BoxFuture<'a, Result<Next, JobError>> {
        Box::pin(async move {
            let parameters: Parameters = kind::parameters(&planning.job.parameters)?;
            let stage = planning.stages();
            if stage >= parameters.stages {
                let mut done = Vec::new();
                for stage in 0..stage {
                    done.push(planning.batches(stage).await?.len());
                }
                return Ok(Next::Done(json!({ "batches": done })));
            }
            let waited = planning.job.waits_until.is_some();
            if stage > 0 && parameters.wait_seconds > 0 && !waited {
                return Ok(Next::Wait(Duration::from_secs(parameters.wait_seconds)));
            }
            let batches = (0..parameters.batches).map(|n| BatchPlan::new(json!({ "number": n }))).collect();
            let mut plan = StagePlan::new(&format!("stage {stage}"), json!({ "by": "number" }), batches);
            (plan.width, plan.tolerated) = (parameters.width, parameters.tolerated);
            Ok(Next::Stage(plan))
        })
    }

    fn work<'a>(&'a self, work: &'a mut Work) -> BoxFuture<'a, Result<Outcome, WorkError>> {
        Box::pin(async move {
            let parameters: Parameters = work.parameters()?;
            if parameters.hopeless {
                return Err(WorkError::Systemic("nobody may write here".to_owned()));
            }
            let number = work.task().batch;
            if parameters.failing.contains(&number) {
                return Err(WorkError::Failed(format!("batch {number} is bad")));
            }
            let mut at: u32 = work.checkpoint()?.unwrap_or(0);
            if parameters.stumbling && at == 0 {
                work.save(&1).await?;
                return Err(WorkError::Transient("once".to_owned()));
            }
            while at < parameters.steps {
                tokio::time::sleep(Duration::from_millis(parameters.pause_millis)).await;
                at += 1;
                work.progress.processed += 1;
                if work.save(&at).await? == Go::Stop && at < parameters.steps {
                    return Ok(Outcome::Stopped);
                }
            }
            Outcome::done(&number)
        })
    }
}
