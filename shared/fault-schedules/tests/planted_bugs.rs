//! Every planted bug is found within a number of schedules, and its seed replays.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails there"
)]

use clap::ValueEnum;
use nextbasket_fault_schedules::runner::Machines;
use nextbasket_fault_schedules::{Bug, Endpoints, run};

/// Within how many schedules a bug has to be found.
const SCHEDULES: u64 = 600;

/// The first seed that finds the bug, and the check that failed.
fn found(machines: &mut Machines, bug: Bug) -> (u64, String) {
    for seed in 0..SCHEDULES {
        let report = machines.run(seed, bug.scenario(), Some(bug), false);
        if let Err(violation) = report.outcome {
            return (seed, violation.to_string());
        }
    }
    panic!("{bug:?} was not found in {SCHEDULES} schedules");
}

#[test]
fn every_planted_bug_is_found_and_without_it_the_same_seeds_pass() {
    let mut machines = Machines::default();
    for &bug in Bug::value_variants() {
        let (seed, violation) = found(&mut machines, bug);
        println!("{bug:?}: seed {seed} of {}: {violation}", bug.scenario().name());
        for seed in seed.saturating_sub(3)..=seed {
            let report = machines.run(seed, bug.scenario(), None, false);
            assert!(report.outcome.is_ok(), "{bug:?}: seed {seed} fails without it: {:?}", report.outcome);
        }
    }
}

#[test]
fn a_seed_that_fails_fails_again_in_the_same_way() {
    let mut machines = Machines::default();
    for bug in [Bug::FenceIgnored, Bug::CheckpointUnguarded] {
        let (seed, violation) = found(&mut machines, bug);
        let mut digests = Vec::new();
        for _ in 0..20 {
            let endpoints = Endpoints::start();
            let report = run(seed, bug.scenario(), Some(bug), &endpoints, false);
            let again = report.outcome.err().map(|violation| violation.to_string());
            assert_eq!(again.as_deref(), Some(violation.as_str()), "{bug:?}, seed {seed}");
            digests.push(report.digest);
        }
        digests.dedup();
        assert_eq!(digests.len(), 1, "{bug:?}, seed {seed}: calls came in other orders: {digests:?}");
    }
}
