//! Runs schedules of faults, and replays one from its seed.

#![allow(clippy::print_stdout, reason = "it is what the command is for")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use nextbasket_fault_schedules::Scenario;
use nextbasket_fault_schedules::runner::{Machines, Tally};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs seeded schedules of faults over handlers, jobs, locks and uploads.
#[derive(Debug, Parser)]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many schedules, each with the next seed.
    #[arg(long, default_value_t = 1)]
    schedules: u64,
    /// One scenario; without it all take turns.
    #[arg(long)]
    scenario: Option<Scenario>,
    /// Prints each call of a schedule.
    #[arg(long)]
    trace: bool,
    /// Continues after a failure.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (mut machines, mut tally) = (Machines::default(), Tally::default());
    let (begun, mut failed) = (Instant::now(), Vec::new());
    for (done, seed) in (1..=options.schedules).zip(options.seed..) {
        let scenario = options.scenario.unwrap_or_else(|| Scenario::of(seed));
        let began = Instant::now();
        let report = machines.run(seed, scenario, None, options.trace);
        report.lines.iter().for_each(|line| print!("{line}"));
        tally.add(&report, began);
        if let Err(violation) = &report.outcome {
            println!("seed {seed}, {}: {violation}\nreplay: {}", scenario.name(), report.replay());
            failed.push(seed);
            if !options.keep_going {
                break;
            }
        }
        if done % 1_000 == 0 {
            let rate = done as f64 / begun.elapsed().as_secs_f64();
            println!(
                "{done} of {} schedules, {rate:.1} a second, {} failed",
                options.schedules,
                failed.len()
            );
        }
    }
    println!("{}", tally.text());
    let seconds = begun.elapsed().as_secs_f64();
    println!("{} schedules in {seconds:.0} s, {} failed", tally.schedules(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
