//! Thousands of histories of clients that share a lease, over a network that loses and delays, checked against a
//! specification; and mistakes planted to see that the check finds them.
//!
//! A history that fails is printed with its seed. `SEED=17 cargo test -p nextbasket-locks --test linearizability shipped`
//! runs one seed alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]
#![allow(unreachable_pub, reason = "the modules of one test binary")]

mod checker;
mod client;
#[path = "../common/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its share")]
mod common;
mod gate;
mod history;
mod model;
mod planted;
mod seeded;
mod simulation;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use nextbasket_testkit::TestStack;
use tokio::task::JoinSet;

use checker::{Violation, check};
use client::Conduct;
use history::{History, Outcome};
use simulation::{Lab, run};

const RUNS: u64 = 1_000;
/// How many runs go on at the same time.
const LANES: usize = 8;
/// Within how many runs a planted mistake must be found.
const FOUND_WITHIN: u64 = 100;

/// Runs the seeds until one violates something. What happened how often, and the violation.
async fn explore(
    conduct: Conduct,
    seeds: Range<u64>,
) -> (BTreeMap<&'static str, u64>, Option<(History, Violation)>) {
    let stack = TestStack::start().await;
    common::create_operations(&stack.dynamodb()).await;
    let lab = Arc::new(Lab::new(&stack, LANES).await);
    let mut tally = BTreeMap::new();
    let mut running = JoinSet::new();
    let mut free: Vec<usize> = (0..LANES).collect();
    let mut seeds = seeds.into_iter();
    loop {
        while let Some(lane) = free.pop() {
            let Some(seed) = seeds.next() else { break };
            let lab = Arc::clone(&lab);
            running.spawn(async move { (lane, run(&lab, lane, conduct, seed).await) });
        }
        let Some(history) = running.join_next().await else { return (tally, None) };
        let (lane, history) = history.unwrap();
        free.push(lane);
        if let Err(violation) = check(&history) {
            running.abort_all();
            return (tally, Some((history, violation)));
        }
        for op in &history.ops {
            *tally.entry(name(op.outcome)).or_default() += 1;
        }
        for (what, times) in history.tally {
            *tally.entry(what).or_default() += times;
        }
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held { fence: 1, .. } => "first acquisitions",
        Outcome::Held { .. } => "further acquisitions",
        Outcome::Busy(_) => "busy",
        Outcome::Renewed { .. } => "renewals",
        Outcome::Released => "releases",
        Outcome::Taken(_) => "taken over",
        Outcome::WasReleased => "released by another process",
        Outcome::Gone => "gone",
        Outcome::Shown(_) | Outcome::Counted(_) => "looks",
        Outcome::Unknown => "unknown outcomes",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_history_of_the_shipped_leases_is_linearizable_and_has_one_holder_at_a_time() {
    let seed = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let seeds = seed.map_or(0..RUNS, |seed| seed..seed + 1);
    let (tally, violation) = explore(Conduct::Shipped, seeds).await;
    if let Some((history, violation)) = violation {
        panic!("{violation}\n{history}");
    }
    println!("{tally:#?}");
    // That the histories were of the kind that goes wrong.
    for (what, least) in [
        ("further acquisitions", 1_000),
        ("busy", 1_000),
        ("renewals", 1_000),
        ("releases", 500),
        ("taken over", 100),
        ("released by another process", 5),
        ("unknown outcomes", 1_000),
        ("crashed", 1_000),
        ("took up its lease", 500),
        ("lost its request", 1_000),
        ("lost its answer", 1_000),
        ("has its answer broken off", 500),
        ("was applied late", 1_000),
        ("found the server at fault", 1_000),
    ] {
        let times = tally.get(what).copied().unwrap_or(0);
        assert!(seed.is_some() || times >= least, "{what}: {times} times in {RUNS} runs");
    }
    assert_eq!(tally.get("gone"), None, "no lease's item is ever deleted");
}

/// Expects a violation, and tells of which kind.
async fn found(conduct: Conduct) -> Violation {
    let (_, violation) = explore(conduct, 0..FOUND_WITHIN).await;
    let Some((history, violation)) = violation else {
        panic!("{conduct:?} was not found in {FOUND_WITHIN} runs");
    };
    println!("found with seed {}: {violation}", history.seed);
    violation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_deletes_the_item_is_found() {
    found(Conduct::DeletingRelease).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acquisition_without_a_condition_is_found() {
    found(Conduct::UnconditionalAcquire).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_ignores_the_fence_is_found() {
    found(Conduct::FencelessRenew).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_undoes_a_later_one_is_found() {
    found(Conduct::LateRenew).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_counts_twice_is_found() {
    found(Conduct::RepeatedRenew).await;
}
