//! Jobs whose processes are killed, join, leave, and lose answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Parameters, Place, all};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Assign, JobState, Rates};
use nextbasket_testkit::Fault;

/// Longer than any claim, with the skew of clocks.
const CLAIMS_EXPIRE: Duration = Duration::from_secs(90);

/// A small generator (SplitMix64), so that a seed replays the kills.
fn draw(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_again_and_again_does_every_page_once_and_few_twice() {
    for mut seed in [1, 2, 3] {
        let place = Place::start().await;
        let parameters =
            Parameters { batches: 8, pages: 12, width: 4, page_millis: 1, ..Parameters::default() };
        let engine = place.engine();
        let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
        let first = seed;
        let mut kills = 0;
        let ended = loop {
            let stop = Stop::default();
            let driving = drive(&engine, &job.job_id, 4, &stop);
            let life = Duration::from_millis(40 + draw(&mut seed) % 150);
            let life = life.max(nextbasket_testkit::jobs::grace(&engine, &job.job_id).await);
            // Dropped in the middle of whatever it does.
            match tokio::time::timeout(life, driving).await {
                Ok(ended) => break ended.unwrap().unwrap(),
                Err(_) => kills += 1,
            }
            place.forward(CLAIMS_EXPIRE);
            assert!(kills < 200, "seed {first}: it does not get on");
        };
        assert_eq!(ended.state, JobState::Succeeded, "seed {first}: {:?}", ended.failure);
        assert!(kills > 0, "seed {first}: it was never killed");
        assert_eq!(place.counted(&job.job_id).await, all(8, 12), "seed {first}, {kills} kills");
        assert_eq!(ended.total.processed, 96, "seed {first}");
        let begun = place.tally.pages_begun.load(Ordering::Relaxed);
        assert!(begun <= 96 + 4 * kills, "seed {first}: {begun} pages were begun with {kills} kills");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_has_lost_its_batch_fails_neither_the_batch_nor_the_job() {
    for stale in ["stale-failed", "stale-systemic"] {
        let place = Place::start().await;
        let faults = [(0, stale), (1, "patient")].map(|(batch, fault)| (batch, fault.to_owned()));
        let parameters = Parameters {
            batches: 2,
            width: 1,
            assign: Assign::InOrder,
            faults: faults.into(),
            ..Parameters::default()
        };
        let engine = place.engine();
        let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
        let stop = Stop::default();
        let (frozen, other) = tokio::join!(drive(&engine, &job.job_id, 1, &stop), async {
            while place.tally.begun.lock().unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            place.forward(CLAIMS_EXPIRE);
            drive(&engine, &job.job_id, 1, &stop).await
        });
        for ended in [frozen, other] {
            let ended = ended.unwrap().unwrap();
            assert_eq!(ended.state, JobState::Succeeded, "{stale}: {:?}", ended.failure);
        }
        assert_eq!(place.counted(&job.job_id).await, all(2, 4), "{stale}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_join_and_leave_a_running_job() {
    let place = Place::start().await;
    let parameters = Parameters { batches: 30, pages: 5, width: 6, page_millis: 3, ..Parameters::default() };
    let engine = place.engine();
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let (stays, leaves, joins) = (Stop::default(), Stop::default(), Stop::default());
    let (one, two, three, ()) = tokio::join!(
        drive(&engine, &job.job_id, 2, &stays),
        drive(&engine, &job.job_id, 2, &leaves),
        async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            drive(&engine, &job.job_id, 2, &joins).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            leaves.stop();
        },
    );
    let ended = one.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Succeeded);
    assert!(two.unwrap().is_none_or(|job| job.state == JobState::Succeeded));
    assert_eq!(three.unwrap().unwrap().state, JobState::Succeeded);
    assert_eq!(place.counted(&job.job_id).await, all(30, 5));
    assert_eq!(place.tally.pages_begun.load(Ordering::Relaxed), 150, "nobody did another's page");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_is_throttled_or_conflicts_is_made_all_the_same() {
    let place = Place::start().await;
    let proxy = place.stack.proxy().await;
    let engine = place.engine_with(proxy.dynamodb());
    for n in 0..40_u64 {
        // The first calls of each submission fail in one way or another.
        let fault = match n % 5 {
            0 => Fault::Throttle,
            1 => Fault::Cancel("TransactionConflict"),
            2 => Fault::Cancel("ThrottlingError"),
            3 => Fault::DropAfter,
            _ => Fault::ServerError,
        };
        proxy.inject("TransactWriteItems", 1..=1 + n % 4, fault);
        proxy.inject("GetItem", 1..=1, Fault::Throttle);
        let job = engine.submit(None, "tally", Parameters::default().value()).await.unwrap();
        let known = engine.job(&job.job_id).await.unwrap();
        assert_eq!((known.job_id, known.state), (job.job_id, JobState::Waiting), "submission {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_throttles_and_errors_of_the_table_change_nothing() {
    let place = Place::start().await;
    let proxy = place.stack.proxy().await;
    let engine = place.engine_with(proxy.dynamodb());
    let parameters = Parameters { batches: 4, pages: 10, width: 2, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    proxy.inject("TransactWriteItems", 4..=4, Fault::DropAfter);
    proxy.inject("TransactWriteItems", 7..=18, Fault::DropAfter);
    proxy.inject("TransactWriteItems", 22..=30, Fault::Throttle);
    proxy.inject("UpdateItem", 3..=6, Fault::DropAfter);
    proxy.inject("UpdateItem", 8..=9, Fault::ServerError);
    proxy.inject("GetItem", 4..=5, Fault::DropBefore);
    let forwarding = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            place.forward(Duration::from_secs(5));
        }
    };
    let stop = Stop::default();
    let ended = tokio::select! {
        ended = drive(&engine, &job.job_id, 2, &stop) => ended.unwrap().unwrap(),
        () = forwarding => unreachable!(),
    };
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.failure);
    assert_eq!(place.counted(&job.job_id).await, all(4, 10));
    assert_eq!(ended.total.processed, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_the_rate_of_a_job() {
    let place = Place::start().await;
    let engine = place.engine();
    // A transaction of two small writes costs at least two units.
    let rates = Rates { write: Some(100.0), read: None };
    let parameters = Parameters { batches: 12, pages: 10, width: 4, rates, ..Parameters::default() };
    let job = engine.submit(None, "tally", parameters.value()).await.unwrap();
    let begun = std::time::Instant::now();
    let stop = Stop::default();
    let (one, _) = tokio::join!(drive(&engine, &job.job_id, 2, &stop), drive(&engine, &job.job_id, 2, &stop));
    let ended = one.unwrap().unwrap();
    let (units, seconds) = (ended.total.write_units, begun.elapsed().as_secs_f64());
    assert!(units >= 240.0, "{units} units for 120 transactions of two writes");
    // What may be saved up at the start, the first beats of the second process, and the debt at the end.
    assert!(units / seconds < 200.0, "{units} units in {seconds:.2} s");
}
