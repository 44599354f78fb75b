//! The cost of watching a job, the exactness of its counts, and the data that a following job leaves behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use common::{Parameters, Place, all};
use nextbasket_job_engine::engine::{Cancelled, Step};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::store::BatchState;
use nextbasket_job_engine::{JobId, JobState};
use nextbasket_testkit::Fault;

/// One query every half second, as the command makes, may cost at most five read units per second.
const UNITS_OF_A_LOOK: f64 = 2.5;

/// The number of batches that are done before the job is left alone.
const WATCHED: u32 = 1_600;

/// The keys of all items that belong to the job.
async fn items_of(place: &Place, job: &JobId) -> BTreeSet<String> {
    let mut pages = place
        .stack
        .dynamodb()
        .scan()
        .table_name(place.stack.operations())
        .consistent_read(true)
        .filter_expression("begins_with(pk, :job)")
        .expression_attribute_values(":job", AttributeValue::S(format!("job#{job}")))
        .into_paginator()
        .items()
        .send();
    let mut keys = BTreeSet::new();
    while let Some(item) = pages.next().await {
        let item = item.unwrap();
        keys.insert(format!("{}/{}", item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap()));
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_ten_thousand_batches_is_watched_for_five_read_units_a_second() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters = Parameters { batches: 10_000, pages: 0, width: 64, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap().job_id;
    let stop = Stop::default();
    let proxy = place.stack.proxy().await;
    let watched = place.engine_with(proxy.dynamodb());
    let watching = async {
        let mut last = 0;
        while last < WATCHED {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let _ = proxy.take_capacity();
            let seen = watched.progress(&job).await.unwrap();
            let look = proxy.take_capacity().read();
            assert!(look <= UNITS_OF_A_LOOK, "a look cost {look} read units");
            let shown = watched.show(&job).await.unwrap();
            let show = proxy.take_capacity().read();
            assert!(show <= 2.0 * UNITS_OF_A_LOOK, "GET /jobs/ID cost {show} read units");
            let (Some(seen), Some(shown)) = (seen.stage(), shown.job.stage()) else { continue };
            assert!(seen.done >= last && shown.done >= seen.done, "{} after {last}", seen.done);
            last = seen.done;
            // Planning reads no batches either while work goes on.
            let step = watched.plan(&job).await.unwrap();
            assert!(matches!(step, Step::Work(_) | Step::Wait(_)), "{step:?}");
            let plan = proxy.take_capacity().read();
            assert!(plan <= 2.0 * UNITS_OF_A_LOOK, "a plan cost {plan} read units");
        }
        stop.stop();
    };
    let (left, ()) = tokio::join!(drive(&engine, &job, 64, &stop), watching);
    assert!(left.unwrap().is_none(), "it was stopped");
    let batches = engine.batches(&job, 0).await.unwrap();
    let done = batches.iter().filter(|batch| batch.state == BatchState::Done).count();
    let counted = engine.progress(&job).await.unwrap().stage().unwrap().done;
    assert_eq!(u32::try_from(done).unwrap(), counted);
    let partitions: BTreeSet<String> = items_of(&place, &job)
        .await
        .into_iter()
        .filter(|key| key.contains("/batch/"))
        .map(|key| key.split('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(partitions.len(), 16, "{partitions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counts_are_exact_whatever_answer_is_lost_and_whatever_conflicts() {
    let place = Place::start().await;
    let proxy = place.stack.proxy().await;
    let engine = place.engine_with(proxy.dynamodb());
    let faults = [(1, "transient".to_owned()), (3, "failed".to_owned())].into();
    let parameters =
        Parameters { batches: 6, pages: 3, width: 2, tolerated: 50.0, faults, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap().job_id;
    for (calls, fault) in [
        (3..=3, Fault::DropAfter),
        (5..=5, Fault::Cancel("TransactionConflict")),
        (8..=8, Fault::Truncate),
        (9..=9, Fault::Cancel("ThrottlingError")),
        (12..=13, Fault::DropAfter),
        (16..=16, Fault::ServerError),
        (19..=20, Fault::Cancel("TransactionConflict")),
        (22..=23, Fault::DropAfter),
    ] {
        proxy.inject("TransactWriteItems", calls, fault);
    }
    let forwarding = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            place.forward(Duration::from_secs(5));
        }
    };
    let stop = Stop::default();
    let ended = tokio::select! {
        ended = drive(&engine, &job, 2, &stop) => ended.unwrap().unwrap(),
        () = forwarding => unreachable!(),
    };
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    let stage = ended.stage().unwrap();
    assert_eq!((stage.done, stage.failed), (5, 1));
    let mut counted = all(6, 3);
    counted.insert(3, 1);
    assert_eq!(place.counted(&job).await, counted);
    assert_eq!(ended.total.processed, 16);
    let failures = engine.show(&job).await.unwrap().failures;
    assert_eq!((failures.len(), failures[0].batch, failures[0].reason.as_str()), (1, 3, "it is broken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_on_and_on_leaves_no_more_after_ten_passes_than_after_three() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters =
        Parameters { passes: 11, supersedes: true, batches: 3, pages: 1, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap().job_id;
    let mut left = Vec::new();
    let stop = Stop::default();
    for pass in 0..10 {
        // One pass, up to the pause after it.
        loop {
            place.forward(Duration::from_secs(120));
            let Step::Work(step) = engine.plan(&job).await.unwrap() else { continue };
            assert_eq!(step.stage, pass);
            break;
        }
        let working = drive(&engine, &job, 3, &stop);
        tokio::pin!(working);
        loop {
            tokio::select! {
                _ = &mut working => panic!("it has ended"),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            if engine.job(&job).await.unwrap().waits_until.is_some() {
                break;
            }
        }
        let objects = engine.site().objects.list(&format!("jobs/{job}/stage-")).await.unwrap();
        let stages = engine.job(&job).await.unwrap().stages.len();
        let items = items_of(&place, &job).await;
        let batches = items.iter().filter(|key| key.contains("/batch/")).count();
        left.push((
            objects.len(),
            stages,
            batches,
            items.iter().filter(|key| key.contains("/count/")).count() <= 6,
        ));
    }
    assert_eq!(left[9], left[2], "{left:?}");
    assert_eq!(left[9].1, 1, "the job knows its newest pass alone");
    assert_eq!(left[9].2, 6, "the batches of two passes are there at most");
    let driving = drive(&engine, &job, 3, &stop);
    let forwarding = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            place.forward(Duration::from_secs(60));
        }
    };
    let ended =
        tokio::select! { ended = driving => ended.unwrap().unwrap(), () = forwarding => unreachable!() };
    assert_eq!(ended.state, JobState::Succeeded);
    assert_eq!(ended.total.processed, 33, "what the passes have done is kept");
    assert_eq!(place.counted(&job).await, all(3, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_works_on_ends_at_once_when_it_is_cancelled_and_gives_its_lock_back() {
    let place = Place::start().await;
    let engine = place.engine();
    let parameters = Parameters {
        lock: Some("table/t".to_owned()),
        batches: 4,
        pages: 100,
        page_millis: 5,
        ..Parameters::default()
    };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap().job_id;
    let stop = Stop::default();
    let (left, ()) = tokio::join!(drive(&engine, &job, 4, &stop), async {
        while place.counted(&job).await.len() < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.stop();
    });
    assert!(left.unwrap().is_none());
    let counted: u32 = place.counted(&job).await.values().sum();
    let shown = engine.progress(&job).await.unwrap();
    assert_eq!(shown.stage().unwrap().progress.processed, u64::from(counted), "a stop is counted at once");
    let Cancelled::Ended(ended) = engine.cancel(&job).await.unwrap() else { panic!("it waits") };
    assert_eq!((ended.state, ended.total.processed), (JobState::Cancelled, u64::from(counted)));
    let lock = nextbasket_locks::LeaseKey::lock("table/t").unwrap();
    assert!(engine.site().leases().show(&lock).await.unwrap().unwrap().released);
    // Cancelled a second time, it has already ended and stays as it is.
    let Cancelled::Before(again) = engine.cancel(&job).await.unwrap() else { panic!("it ended again") };
    assert_eq!(again, ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_ended_is_not_marked_by_a_cancellation() {
    let place = Place::start().await;
    let engine = place.engine();
    let job = engine.submit(None, "tally", Parameters::default().value()).await.unwrap().job_id;
    let ended = drive(&engine, &job, 4, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded);
    let Cancelled::Before(known) = engine.cancel(&job).await.unwrap() else { panic!("it ended again") };
    assert_eq!((known.state, known.cancelling, known.ended_at), (JobState::Succeeded, false, ended.ended_at));
    // A caller that read the job before its end does not change it either.
    assert!(nextbasket_job_engine::store::Store::new(engine.site()).cancel(&job).await.unwrap().is_some());
    let after = engine.job(&job).await.unwrap();
    assert_eq!((after.cancelling, after.revision), (false, ended.revision));
}

#[tokio::test]
async fn a_job_that_another_version_began_fails_and_is_not_done_a_second_time() {
    let place = Place::start().await;
    let engine = place.engine();
    let job = engine.submit(None, "tally", Parameters::default().value()).await.unwrap().job_id;
    assert!(matches!(engine.plan(&job).await.unwrap(), Step::Work(_)));
    // The job as that version would have left it: without a layout, and in no list.
    let key = |pk: &str, sk: &str| {
        std::collections::HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
            ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
        ])
    };
    let dynamodb = place.stack.dynamodb();
    let update = dynamodb.update_item().table_name(place.stack.operations());
    let update =
        update.set_key(Some(key("jobs", job.as_str()))).update_expression("REMOVE layout, leftovers");
    update.send().await.unwrap();
    let at = engine.job(&job).await.unwrap().created_at.as_millis();
    let listed = key("jobs-by-time", &format!("{at:016x}/{job}"));
    let delete = dynamodb.delete_item().table_name(place.stack.operations()).set_key(Some(listed));
    delete.send().await.unwrap();
    assert!(engine.list(10, None).await.unwrap().jobs.is_empty());
    assert_eq!(engine.show(&job).await.unwrap().job.state, JobState::Running);
    let Step::Ended(ended) = engine.plan(&job).await.unwrap() else { panic!("it goes on") };
    assert_eq!(ended.state, JobState::Failed);
    let failure = ended.failure.unwrap();
    assert!(failure.starts_with("it was started by another version of nextbasket"), "{failure}");
    assert!(engine.active().await.unwrap().is_empty());
}

#[tokio::test]
async fn jobs_are_listed_by_the_time_of_their_submission_whatever_their_ids() {
    let place = Place::start().await;
    let engine = place.engine();
    let mut submitted = Vec::new();
    for id in ["zebra", "0001", "nightly", "Apple", "a-schedule"] {
        place.forward(Duration::from_millis(10));
        let id = JobId::parse(id).unwrap();
        submitted.push(engine.submit(Some(id), "tally", Parameters::default().value()).await.unwrap().job_id);
    }
    submitted.reverse();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = engine.list(2, after.as_ref()).await.unwrap();
        listed.extend(page.jobs.into_iter().map(|job| job.job_id));
        let Some(next) = page.next else { break };
        // A position survives its text form, and no other text is accepted.
        let text = serde_json::to_string(&next).unwrap();
        after = Some(serde_json::from_str(&text).unwrap());
    }
    assert_eq!(listed, submitted);
    for wrong in ["\"zebra\"", "\"xyz/zebra\"", "\"0000000000000000/a b\""] {
        assert!(
            serde_json::from_str::<nextbasket_job_engine::store::JobsPosition>(wrong).is_err(),
            "{wrong}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_planning_needs_may_be_away_for_a_while_and_only_then_the_job_fails() {
    for (unanswered, state) in [(3, JobState::Succeeded), (u32::MAX, JobState::Failed)] {
        let place = Place::start().await;
        let engine = place.engine();
        let parameters = Parameters { unanswered, batches: 1, ..Parameters::default() };
        let job = engine.submit(None, "tally", parameters.value()).await.unwrap().job_id;
        let (mut waits, mut tries) = (0, 0);
        loop {
            match engine.plan(&job).await.unwrap() {
                Step::Wait(pause) => {
                    assert!(pause <= Duration::from_secs(60));
                    waits += 1;
                    // Asking earlier than the pause allows is not another attempt.
                    let before = place.tally.unanswered.load(std::sync::atomic::Ordering::Relaxed);
                    assert!(matches!(engine.plan(&job).await.unwrap(), Step::Wait(_)));
                    tries = place.tally.unanswered.load(std::sync::atomic::Ordering::Relaxed);
                    assert_eq!(before, tries);
                    place.forward(pause + Duration::from_millis(1));
                }
                Step::Work(_) => {
                    drive(&engine, &job, 2, &Stop::default()).await.unwrap().unwrap();
                }
                Step::Ended(ended) => {
                    assert_eq!(ended.state, state, "{:?}", ended.failure);
                    break;
                }
                Step::Locked { .. } => panic!("there is no lock"),
            }
        }
        if state == JobState::Failed {
            assert_eq!((waits, tries), (19, 19));
            let failure = engine.job(&job).await.unwrap().failure.unwrap();
            let expected = "planning the first stage failed 20 times: s3://orders: unavailable: SlowDown";
            assert_eq!(failure, expected);
        } else {
            assert_eq!(waits, 3);
        }
    }
}
