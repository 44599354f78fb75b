//! Jobs from their submission to their end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::time::Duration;

use common::{Parameters, Place, all};
use nextbasket_job_engine::engine::Step;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Aggregate, Assign, Job, JobError, JobId, JobState, Rates};
use serde_json::json;

async fn run(place: &Place, parameters: &Parameters) -> Job {
    let engine = place.engine();
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    drive(&engine, &job.job_id, 8, &Stop::default()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_counts_once_whatever_the_order_the_width_and_the_aggregation() {
    let place = Place::start().await;
    for assign in [Assign::InOrder, Assign::Random, Assign::Balanced, Assign::Priority] {
        for (width, aggregate) in [(1, Aggregate::Serial), (4, Aggregate::Parallel)] {
            let parameters =
                Parameters { assign, width, aggregate, batches: 21, pages: 2, ..Parameters::default() };
            let job = run(&place, &parameters).await;
            assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
            assert_eq!(place.counted(&job.job_id).await, all(21, 2));
            let order: String = (0..21).map(|batch| format!("{batch},")).collect();
            assert_eq!(job.result, Some(json!({ "order": [order] })), "results are put together in order");
            assert_eq!(job.total.processed, 42);
            let stage = job.stage().unwrap();
            assert_eq!((stage.done, stage.failed, stage.of), (21, 0, Some(42)));
            assert_eq!((stage.assign, stage.width, stage.aggregate), (assign, width, aggregate));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_go_out_in_the_order_that_was_asked_for_and_no_wider() {
    for (assign, order) in [
        (Assign::InOrder, vec![0, 1, 2, 3, 4, 5]),
        (Assign::Balanced, vec![2, 5, 1, 4, 0, 3]),
        (Assign::Priority, vec![1, 3, 5, 0, 2, 4]),
    ] {
        let place = Place::start().await;
        let parameters = Parameters { assign, width: 1, pages: 1, ..Parameters::default() };
        run(&place, &parameters).await;
        assert_eq!(*place.tally.begun.lock().unwrap(), order, "{assign:?}");
        assert_eq!(place.tally.most_at_once.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_shows_its_stages_its_progress_its_log_and_what_it_refused() {
    let place = Place::start().await;
    let faults = [(1, "transient".to_owned())].into();
    let job = run(&place, &Parameters { faults, ..Parameters::default() }).await;
    let engine = place.engine();
    let view = engine.show(&job.job_id).await.unwrap();
    assert_eq!(view.job.state, JobState::Succeeded);
    assert_eq!(view.job.total.refused, 4);
    assert_eq!(view.log.len(), 2, "{:?}", view.log);
    assert_eq!(view.log[0].line, "batch 1 of stage add: attempt 1: not now");
    let refused = engine.refused(&job.job_id).await.unwrap();
    let mut pages = Vec::new();
    for key in refused {
        let content = String::from_utf8(engine.site().objects.get(&key).await.unwrap()).unwrap();
        for line in content.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["reason"], "it is a page of batch 2");
            pages.push(line["refused"]["page"].as_u64().unwrap());
        }
    }
    assert_eq!(pages, [1, 2, 3, 4]);
    assert_eq!(place.counted(&job.job_id).await, all(6, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_for_good_ends_the_job_unless_that_is_tolerated() {
    let place = Place::start().await;
    let faults: std::collections::BTreeMap<u32, String> = [(3, "failed".to_owned())].into();
    let job = run(&place, &Parameters { faults: faults.clone(), ..Parameters::default() }).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.failure.as_deref(), Some("batch 3 of stage add has failed: it is broken"));

    let job =
        run(&place, &Parameters { faults: faults.clone(), tolerated: 17.0, ..Parameters::default() }).await;
    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(job.result, Some(json!({ "order": ["0,1,2,4,5,"] })), "the rest is kept");
    let view = place.engine().show(&job.job_id).await.unwrap();
    assert_eq!((view.failures.len(), view.failures[0].batch), (1, 3));
    assert_eq!(view.failures[0].reason, "it is broken");

    let job = run(&place, &Parameters { faults, tolerated: 16.0, ..Parameters::default() }).await;
    assert_eq!(job.state, JobState::Failed, "one of six is more than 16 %");
    let failure = job.failure.unwrap();
    assert_eq!(failure, "stage add: 1 of 6 batches failed, 16 % are tolerated; batch 3: it is broken");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_every_batch_would_meet_stops_the_job_at_once_with_one_message() {
    let place = Place::start().await;
    let faults = [(0, "systemic".to_owned())].into();
    let parameters = Parameters {
        faults,
        assign: Assign::InOrder,
        width: 1,
        batches: 50,
        tolerated: 100.0,
        ..Parameters::default()
    };
    let job = run(&place, &parameters).await;
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.failure.as_deref(), Some("no permission"));
    assert_eq!(*place.tally.begun.lock().unwrap(), [0], "no other batch was begun");
    assert!(place.engine().active().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_stops_at_a_checkpoint() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters =
        Parameters { batches: 4, width: 4, pages: 1000, page_millis: 5, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let driving = {
        let (engine, id) = (engine.clone(), job.job_id.clone());
        tokio::spawn(async move { drive(&engine, &id, 8, &Stop::default()).await })
    };
    while place.counted(&job.job_id).await.len() < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.cancel(&job.job_id).await.unwrap();
    let ended = driving.await.unwrap().unwrap().unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    let counted: u32 = place.counted(&job.job_id).await.values().sum();
    assert_eq!(u64::from(counted), ended.total.processed, "what was done is what is said");
    assert!(counted < 4000);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_with_one_lock_run_one_after_the_other() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters = Parameters { lock: Some("table/t".to_owned()), ..Parameters::default() };
    let first = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let second = engine.submit(None, "tally", parameters.value()).await.unwrap();
    assert!(matches!(engine.plan(&first.job_id).await.unwrap(), Step::Work(_)));
    let holder = format!("job/{}", first.job_id);
    assert_eq!(
        engine.plan(&second.job_id).await.unwrap(),
        Step::Locked { name: "table/t".to_owned(), holder }
    );
    let stop = Stop::default();
    let (one, other) =
        tokio::join!(drive(&engine, &second.job_id, 2, &stop), drive(&engine, &first.job_id, 2, &stop));
    let (second, first) = (one.unwrap().unwrap(), other.unwrap().unwrap());
    assert_eq!((first.state, second.state), (JobState::Succeeded, JobState::Succeeded));
    assert!(first.ended_at.unwrap() <= second.started_at.unwrap());
    let lock = nextbasket_locks::LeaseKey::lock("table/t").unwrap();
    let record = engine.site().leases().show(&lock).await.unwrap().unwrap();
    assert!(record.released);
    assert_eq!(record.fence, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_an_ended_job_has_left_does_not_hold_up_the_next_one() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters = Parameters { lock: Some("table/t".to_owned()), ..Parameters::default() };
    let first = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let ended = drive(&engine, &first.job_id, 2, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded);
    // As if its planner had been killed after the end of the job and before the release of the lock.
    let lock = nextbasket_locks::LeaseKey::lock("table/t").unwrap();
    let holder = format!("job/{}", first.job_id);
    let request = nextbasket_locks::LeaseRequest { holder, length: Duration::from_secs(300), note: None };
    let left = engine.site().leases().try_acquire(&lock, &request).await.unwrap();
    assert!(matches!(left, nextbasket_locks::Attempt::Held(_)));
    let second = engine.submit(None, "tally", parameters.value()).await.unwrap();
    assert!(matches!(engine.plan(&second.job_id).await.unwrap(), Step::Work(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_between_stages_goes_on_when_its_time_has_come() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters = Parameters { passes: 3, batches: 2, pages: 1, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let stop = Stop::default();
    let driving = drive(&engine, &job.job_id, 2, &stop);
    let forwarding = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            place.forward(Duration::from_secs(30));
        }
    };
    let ended =
        tokio::select! { ended = driving => ended.unwrap().unwrap(), () = forwarding => unreachable!() };
    assert_eq!(ended.state, JobState::Succeeded);
    assert_eq!(place.counted(&job.job_id).await, all(2, 3));
    assert_eq!(ended.result, Some(json!({ "order": ["0,1,", "0,1,", "0,1,"] })));
}

#[tokio::test]
async fn wrong_jobs_are_refused_by_the_field_and_the_same_job_twice_is_one() {
    let place = Place::start().await;
    let engine = place.engine();
    let refused = |parameters| {
        let engine = engine.clone();
        async move { engine.submit(None, "tally", parameters).await.unwrap_err().to_string() }
    };
    assert_eq!(refused(json!({ "width": 0 })).await, "parameters.width: must be at least 1");
    let unknown = refused(json!({ "wide": 1 })).await;
    assert!(unknown.starts_with("parameters.wide: unknown field `wide`"), "{unknown}");
    let wrong = refused(json!({ "rates": { "read": "fast" } })).await;
    assert!(wrong.starts_with("parameters.rates.read: invalid type: string"), "{wrong}");
    let large = refused(json!({ "lock": "x".repeat(70_000) })).await;
    assert_eq!(large, "parameters: must have at most 65536 bytes");
    let error = engine.submit(None, "talley", json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "kind of job \"talley\" not found");

    let id = || JobId::parse("mine-1").ok();
    let parameters = Parameters::default().value();
    let once = engine.submit(id(), "tally", parameters.clone()).await.unwrap();
    let again = engine.submit(id(), "tally", parameters).await.unwrap();
    assert_eq!(once, again);
    let other = engine.submit(id(), "tally", json!({ "pages": 1 })).await.unwrap_err();
    assert_eq!(
        other.to_string(),
        "job \"mine-1\" exists, with another kind or other parameters. Give another id."
    );
    assert_eq!(engine.active().await.unwrap(), [once.job_id]);
    let unknown = JobId::parse("nobody").unwrap();
    assert!(matches!(engine.plan(&unknown).await, Err(JobError::Unknown(_))));
    assert!(matches!(engine.cancel(&unknown).await, Err(JobError::Unknown(_))));
}

#[tokio::test]
async fn an_estimate_says_units_time_and_cost() {
    let place = Place::start().await;
    let rates = Rates { read: Some(1000.0), write: Some(500.0) };
    let parameters = Parameters { rates, ..Parameters::default() };
    let estimate = place.engine().estimate("tally", &parameters.value()).await.unwrap();
    assert_eq!(estimate.items, Some(24));
    assert_eq!(estimate.seconds, Some(4000.0), "the slower of 1,000 s of reading and 4,000 s of writing");
    assert!((estimate.cost_usd - 1.375).abs() < 1e-9);
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let place = Place::start().await;
    let engine = place.engine();
    let mut ids = Vec::new();
    for _ in 0..5 {
        place.forward(Duration::from_millis(10));
        ids.push(engine.submit(None, "tally", Parameters::default().value()).await.unwrap().job_id);
    }
    ids.reverse();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = engine.list(2, after.as_ref()).await.unwrap();
        assert!(page.jobs.len() <= 2);
        listed.extend(page.jobs.into_iter().map(|job| job.job_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
}
