//! What is left of a job when it has ended: nothing that only a running job needs, whatever its end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{Parameters, Place};
use nextbasket_job_engine::engine::{Cancelled, Step, Worked};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::session::{Session, Share};
use nextbasket_job_engine::{
    BatchPlan, Engine, Estimate, Job, JobError, JobId, JobState, Kind, Kinds, Next, Outcome, Planning,
    Redaction, Refusal, Site, StagePlan, Trust, Work, WorkError, kind,
};
use nextbasket_objects::Bucket;
use nextbasket_testkit::Fault;
use serde::Deserialize;
use serde_json::{Value, json};

/// The job's objects, without the prefix that they share.
async fn objects(engine: &Engine, id: &JobId) -> Vec<String> {
    let prefix = id.object_key("");
    let keys = engine.site().objects.list(&prefix).await.unwrap();
    keys.iter().map(|key| key[prefix.len()..].to_owned()).collect()
}

/// All items of the operations table, as text.
async fn items(place: &Place) -> Vec<BTreeMap<String, String>> {
    let scan = place.stack.dynamodb().scan().table_name(place.stack.operations()).consistent_read(true);
    let items = scan.send().await.unwrap().items.unwrap();
    let text = |value: &AttributeValue| format!("{value:?}");
    items.iter().map(|item| item.iter().map(|(name, value)| (name.clone(), text(value))).collect()).collect()
}

/// The sort keys of the job's items, without those of its log.
async fn sort_keys(place: &Place, id: &JobId) -> Vec<String> {
    let of_job = format!("job#{id}");
    let mut keys: Vec<String> = items(place)
        .await
        .iter()
        .filter(|item| item["pk"].contains(&of_job) && !item["sk"].contains("log/"))
        .map(|item| item["sk"].clone())
        .collect();
    keys.sort();
    keys
}

async fn assert_clean(place: &Place, job: &Job, failed: usize) {
    let engine = place.engine();
    let left = objects(&engine, &job.job_id).await;
    assert!(left.iter().all(|name| name.starts_with("refused/")), "{:?}: {left:?}", job.state);
    let left = sort_keys(place, &job.job_id).await;
    let kept = |key: &&String| key.contains("\"plan\"") || key.contains("failed/");
    assert_eq!(left.iter().filter(kept).count(), left.len(), "{:?}: {left:?}", job.state);
    assert_eq!(left.iter().filter(|key| key.contains("failed/")).count(), failed, "{left:?}");
    let item = items(place).await;
    let item =
        item.iter().find(|item| item["pk"] == "S(\"jobs\")" && item["sk"].contains(job.job_id.as_str()));
    for name in ["jobKey", "ending", "voucher", "cancelling", "failing", "leftovers"] {
        assert!(!item.unwrap().contains_key(name), "{name}: {item:?}");
    }
    assert!(!engine.active().await.unwrap().contains(&job.job_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_leaves_nothing_but_its_refused_items_whatever_its_end() {
    let place = Place::start().await;
    let engine = place.engine();
    let fault = |kind: &str| [(3, kind.to_owned())].into();
    for (parameters, state, failed) in [
        (Parameters::default(), JobState::Succeeded, 0),
        (Parameters { passes: 3, ..Parameters::default() }, JobState::Succeeded, 0),
        (Parameters { faults: fault("failed"), ..Parameters::default() }, JobState::Failed, 1),
        (
            Parameters { faults: fault("failed"), tolerated: 16.0, ..Parameters::default() },
            JobState::Failed,
            1,
        ),
        (
            Parameters { faults: fault("failed"), tolerated: 20.0, ..Parameters::default() },
            JobState::Succeeded,
            1,
        ),
        (Parameters { faults: fault("systemic"), ..Parameters::default() }, JobState::Failed, 0),
    ] {
        let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
        let (stop, running) = (Stop::default(), place.engine());
        let forwarding = async {
            loop {
                // A job of several passes waits a minute between them.
                tokio::time::sleep(Duration::from_millis(100)).await;
                if parameters.passes > 1 {
                    place.forward(Duration::from_secs(20));
                }
            }
        };
        let ended = tokio::select! {
            ended = drive(&running, &job.job_id, 4, &stop) => ended.unwrap().unwrap(),
            () = forwarding => unreachable!(),
        };
        assert_eq!(ended.state, state, "{:?}", ended.failure);
        assert_clean(&place, &ended, failed).await;
        let progress: u64 = place.counted(&job.job_id).await.values().map(|&pages| u64::from(pages)).sum();
        assert_eq!(ended.total.processed, progress, "what was done is counted before the batches go");
        assert_eq!(ended, engine.job(&job.job_id).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_ends_once_nobody_has_a_claim_and_leaves_nothing() {
    let place = Place::start().await;
    let engine = place.engine();
    let slow = Parameters { page_millis: 200, pages: 50, ..Parameters::default() };
    let id = engine.submit(None, "tally", slow.value()).await.unwrap().job_id;
    let (stop, other) = (Stop::default(), place.engine());
    let working = async { drive(&other, &id, 3, &stop).await.unwrap().unwrap() };
    let cancelling = async {
        while place.counted(&id).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        engine.cancel(&id).await.unwrap()
    };
    let (ended, cancelled) = tokio::join!(working, cancelling);
    assert!(matches!(cancelled, Cancelled::Stopping(_)), "{cancelled:?}");
    assert_eq!(ended.state, JobState::Cancelled);
    assert_clean(&place, &ended, 0).await;

    // A worker that died has its claim until that expires: it might only have been asleep.
    let id = engine.submit(None, "tally", slow.value()).await.unwrap().job_id;
    let killed = drive(&other, &id, 3, &stop);
    assert!(tokio::time::timeout(Duration::from_secs(2), killed).await.is_err());
    assert!(matches!(engine.cancel(&id).await.unwrap(), Cancelled::Stopping(_)));
    assert!(matches!(engine.plan(&id).await.unwrap(), Step::Wait(_)));
    assert!(!objects(&engine, &id).await.is_empty());
    place.forward(Duration::from_secs(90));
    let Step::Ended(ended) = engine.plan(&id).await.unwrap() else { panic!("it has no claims left") };
    assert_eq!(ended.state, JobState::Cancelled);
    assert_clean(&place, &ended, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_comes_late_leaves_nothing_behind() {
    let place = Place::start().await;
    let engine = place.engine();
    let id = engine.submit(None, "tally", Parameters::default().value()).await.unwrap().job_id;
    let Step::Work(step) = engine.plan(&id).await.unwrap() else { panic!("there is work") };
    let task = engine.tasks(&step).await.unwrap().remove(0);
    let job = engine.job(&id).await.unwrap();
    let session = Session::join(engine.site(), job, Share::Workers(1)).await.unwrap().unwrap();
    assert!(matches!(engine.cancel(&id).await.unwrap(), Cancelled::Ended(_)));
    // Its process has not heard of the end.
    assert_eq!(engine.work(task, &session, None).await.unwrap(), Worked::Stopped);
    assert!(objects(&engine, &id).await.is_empty());
    assert!(place.counted(&id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planner_that_dies_while_it_ends_a_job_is_continued_by_the_next() {
    let place = Place::start().await;
    let s3 = place.stack.s3_proxy().await;
    let site = place.engine().site().clone();
    let objects_of = Bucket::new(s3.s3(), place.stack.bucket("JobsBucket"));
    let kinds = || Kinds::default().with(common::SharedTally(place.tally.clone()));
    let dying = Engine::new(Site { objects: objects_of, ..site }, kinds());
    let engine = place.engine();
    for (faults, state) in
        [(BTreeMap::new(), JobState::Succeeded), ([(3, "failed".to_owned())].into(), JobState::Failed)]
    {
        let parameters = Parameters { faults, ..Parameters::default() };
        let id = dying.submit(None, "tally", parameters.value()).await.unwrap().job_id;
        s3.inject("POST ?delete", 1..=u64::MAX, Fault::Delay(Duration::from_secs(600)));
        let (stop, killed) = (Stop::default(), async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let ending = items(&place).await;
                if ending.iter().any(|item| item.contains_key("ending")) {
                    // Long enough for the removal to begin.
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    return;
                }
            }
        });
        tokio::select! {
            ended = drive(&dying, &id, 4, &stop) => panic!("{ended:?}"),
            () = killed => {}
        }
        s3.heal();
        let job = engine.job(&id).await.unwrap();
        assert_eq!((job.state, &job.result), (JobState::Running, &None), "its end is not reported yet");
        assert!(!objects(&engine, &id).await.is_empty());
        assert!(matches!(engine.plan(&id).await.unwrap(), Step::Wait(_)), "the dead planner's right holds");
        place.forward(Duration::from_secs(90));
        // Asked for now, a cancellation changes nothing any more.
        let Cancelled::Before(ended) = engine.cancel(&id).await.unwrap() else { panic!("it was decided") };
        assert_eq!(ended.state, state);
        assert_eq!(ended.result.is_some(), state == JobState::Succeeded);
        assert_clean(&place, &ended, usize::from(state == JobState::Failed)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_jobs_that_nobody_drives_any_more_are_continued_when_another_job_ends() {
    let place = Place::start().await;
    let s3 = place.stack.s3_proxy().await;
    let objects_of = Bucket::new(s3.s3(), place.stack.bucket("JobsBucket"));
    let kinds = Kinds::default().with(common::SharedTally(place.tally.clone()));
    let denied = Engine::new(Site { objects: objects_of, ..place.engine().site().clone() }, kinds);
    let engine = place.engine();
    let parameters = Parameters::default().value();

    s3.inject("POST ?delete", 1..=u64::MAX, Fault::Deny);
    let id = denied.submit(None, "tally", parameters.clone()).await.unwrap().job_id;
    let uncleaned = drive(&denied, &id, 4, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(uncleaned.state, JobState::Succeeded, "its work is done");
    let log = engine.show(&id).await.unwrap().log;
    assert!(
        log.iter().any(|line| line.line.contains("could not be removed, which is tried again later")),
        "{log:?}"
    );
    assert!(!objects(&engine, &id).await.is_empty());

    // Of another, the execution that drove it was stopped from outside, weeks ago.
    let abandoned = engine.submit(None, "tally", parameters.clone()).await.unwrap().job_id;
    assert!(matches!(engine.plan(&abandoned).await.unwrap(), Step::Work(_)));
    let waiting = engine.submit(None, "tally", parameters.clone()).await.unwrap().job_id;
    place.forward(Duration::from_secs(29 * 24 * 60 * 60));
    let other = engine.submit(None, "tally", parameters.clone()).await.unwrap().job_id;
    drive(&engine, &other, 4, &Stop::default()).await.unwrap().unwrap();
    assert_clean(&place, &uncleaned, 0).await;
    assert_eq!(engine.job(&abandoned).await.unwrap().state, JobState::Running);

    place.forward(Duration::from_secs(2 * 24 * 60 * 60));
    let other = engine.submit(None, "tally", parameters).await.unwrap().job_id;
    drive(&engine, &other, 4, &Stop::default()).await.unwrap().unwrap();
    for id in [abandoned, waiting] {
        let job = engine.job(&id).await.unwrap();
        assert_eq!(job.failure.as_deref(), Some("nobody has worked on the job for 30 days"));
        assert_clean(&place, &job, 0).await;
    }
}

/// A kind that looks for somebody, and says whom where it must not.
struct Search;

#[derive(Deserialize)]
struct SearchParameters {
    whom: String,
    how: String,
}

impl Kind for Search {
    type Task = SearchParameters;

    fn name(&self) -> &'static str {
        "search"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<SearchParameters, Refusal> {
        kind::parameters(parameters)
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        redaction.whole(parameters.get_mut("whom"));
    }

    async fn estimate(&self, _: &Site, _: &SearchParameters) -> Result<Estimate, JobError> {
        Ok(Estimate::default())
    }

    async fn plan(&self, planning: &Planning<'_>, task: &SearchParameters) -> Result<Next, JobError> {
        match (task.how.as_str(), planning.job.stage()) {
            ("plan", _) => Err(JobError::Failed(format!("no {} here", task.whom))),
            (_, None) => {
                let batches = vec![BatchPlan::new(json!({ "whom": task.whom }))];
                Ok(Next::Stage(StagePlan::new("search", json!({ "by": task.whom }), batches)))
            }
            _ => Ok(Next::Done(json!({ "found": task.whom, "times": 1 }))),
        }
    }

    async fn work(&self, work: &mut Work, task: SearchParameters) -> Result<Outcome, WorkError> {
        let said = format!("no user \"{}\"", task.whom);
        match task.how.as_str() {
            "failed" => Err(WorkError::Failed(said)),
            "systemic" => Err(WorkError::Systemic(said)),
            "transient" if work.checkpoint::<bool>()?.is_none() => {
                work.save(&true).await?;
                Err(WorkError::Transient(said))
            }
            _ => Outcome::done(&task.whom),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_an_ended_job_names_nobody_and_still_tells_the_job_from_others() {
    let place = Place::start().await;
    let engine = Engine::new(place.engine().site().clone(), Kinds::default().with(Search));
    for how in ["well", "failed", "systemic", "transient", "plan"] {
        let asked = json!({ "whom": "ada@example.org", "how": how });
        let id = JobId::parse(how).unwrap();
        engine.submit(Some(id.clone()), "search", asked.clone()).await.unwrap();
        let ended = drive(&engine, &id, 1, &Stop::default()).await.unwrap().unwrap();
        assert_eq!(ended.parameters, json!({ "whom": "…", "how": how }));
        let view = engine.show(&id).await.unwrap();
        match how {
            "well" | "transient" => assert_eq!(ended.result, Some(json!({ "found": "…", "times": 1 }))),
            "plan" => assert_eq!(ended.failure.as_deref(), Some("no … here")),
            _ => assert!(ended.failure.as_deref().unwrap().ends_with("no user \"…\""), "{ended:?}"),
        }
        if how == "failed" {
            assert_eq!(view.failures[0].reason, "no user \"…\"");
        }
        let all = items(&place).await;
        assert!(!format!("{all:?}").contains("ada@"), "{how}: {all:#?}");
        assert!(!engine.site().objects.list("").await.unwrap().iter().any(|key| key.contains(how)));

        // The same question again is the same job; another one is not.
        assert_eq!(engine.submit(Some(id.clone()), "search", asked).await.unwrap(), ended);
        let other = json!({ "whom": "bob@example.org", "how": how });
        let refused = engine.submit(Some(id), "search", other).await.unwrap_err().to_string();
        assert!(refused.contains("exists, with another kind or other parameters"), "{refused}");
    }
}
