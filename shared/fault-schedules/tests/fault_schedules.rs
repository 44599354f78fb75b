//! As many schedules as fit into a time limit, at least one of each scenario.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails there")]

use std::time::{Duration, Instant};

use clap::ValueEnum;
use nextbasket_fault_schedules::Scenario;
use nextbasket_fault_schedules::runner::{Machines, Tally};

/// The time limit in seconds, if the environment sets no other.
const SECONDS: u64 = 150;

fn given(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn whatever_fails_meanwhile_all_is_as_it_should_be_in_the_end() {
    let budget = Duration::from_secs(given("NEXTBASKET_SCHEDULE_SECONDS", SECONDS));
    let first = given("NEXTBASKET_SCHEDULE_SEED", 0);
    let (mut machines, mut tally) = (Machines::default(), Tally::default());
    let begun = Instant::now();
    for seed in first.. {
        let began = Instant::now();
        let report = machines.run(seed, Scenario::of(seed), None, false);
        tally.add(&report, began);
        if let Err(violation) = &report.outcome {
            panic!("seed {seed}, {}: {violation}\nreplay: {}", report.scenario.name(), report.replay());
        }
        let all = tally.schedules() >= Scenario::value_variants().len() as u64;
        if all && begun.elapsed() >= budget {
            break;
        }
    }
    println!("{}", tally.text());
    println!("{} schedules from seed {first} in {:?}", tally.schedules(), begun.elapsed());
}
