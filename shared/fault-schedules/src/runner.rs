//! One schedule from its seed, or many.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::journal::Journal;
use crate::{Bug, Checked, Endpoints, Scenario, Violation, World};

/// A schedule that takes longer than this in virtual time counts as one that does not end.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a schedule's stack.
const STACK: usize = 64 << 20;

/// How often it is looked whether time stands still.
const TICK: Duration = Duration::from_millis(1);

/// The number of looks without any change after which time is set forward by a millisecond: no timer is skipped then.
const STILL: u32 = 4;

/// The number of further looks after which the steps grow.
const LONG_STILL: u32 = 50;

/// So many schedules share one machine; its tables in memory would grow otherwise.
const SCHEDULES_PER_MACHINE: usize = 400;

/// The result of a schedule.
#[derive(Debug)]
pub struct Report {
    /// The seed of the schedule.
    pub seed: u64,
    /// The scenario that was run.
    pub scenario: Scenario,
    /// What did not hold, if anything.
    pub outcome: Checked,
    /// Calls that were made.
    pub calls: u64,
    /// The numbers of faults, crashes and freezes, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// A digest of everything that happened, in order.
    pub digest: String,
    /// A line for each call, if the trace was requested.
    pub lines: Vec<String>,
}

impl Report {
    /// The command that runs this schedule again.
    #[must_use]
    pub fn replay(&self) -> String {
        let Self { seed, scenario, .. } = self;
        let name = scenario.name();
        format!(
            "cargo run --profile schedules -p nextbasket-fault-schedules -- --seed {seed} --scenario {name} --trace"
        )
    }
}

/// Runs the schedule of a seed. The same seed gives the same run each time, on fresh or shared endpoints.
#[must_use]
pub fn run(
    seed: u64,
    scenario: Scenario,
    bug: Option<Bug>,
    endpoints: &Arc<Endpoints>,
    trace: bool,
) -> Report {
    let journal = Arc::new(Journal::new(trace));
    let schedule = || {
        let reading = Arc::new(AtomicUsize::new(0));
        let (started, stopped) = (reading.clone(), reading.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            // Only threads of the blocking pool are counted here: each ends with its work.
            .thread_keep_alive(Duration::ZERO)
            .on_thread_start(move || {
                started.fetch_add(1, Ordering::Relaxed);
            })
            .on_thread_stop(move || {
                stopped.fetch_sub(1, Ordering::Relaxed);
            })
            .build()
            .expect("a runtime");
        let (endpoints, journal) = (endpoints.clone(), journal.clone());
        let ticker = Ticker::start(reading);
        let ended = runtime.block_on(async move {
            let pump = pump(&journal, &ticker.ticks);
            let world = World::new(seed, endpoints, journal.clone(), bug);
            let run = tokio::time::timeout(LONGEST, Box::pin(scenario.run(&world)));
            tokio::select! {
                biased;
                ended = run => {
                    ended.unwrap_or_else(|_| Err(Violation(format!("it does not end in {LONGEST:?}"))))
                }
                () = pump => Ok(()),
            }
        });
        runtime.shutdown_background();
        ended
    };
    // Futures that are not optimised need more of a stack than a test's thread has.
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(format!("schedule {seed}")).stack_size(STACK);
        thread.spawn_scoped(scope, schedule).expect("a thread").join()
    });
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation(format!("panic: {}", text.unwrap_or_default())))
    });
    Report {
        seed,
        scenario,
        outcome,
        calls: journal.calls(),
        faults: journal.faults(),
        digest: journal.digest(),
        lines: journal.lines(),
    }
}

/// Tells in real time when to look, while a thread of its own reads a file. At any other time a look would only disturb
/// Tokio, which sets time forward by itself when nothing else is left to do.
struct Ticker {
    ticks: Arc<Notify>,
    stopped: Arc<AtomicBool>,
}

impl Ticker {
    fn start(reading: Arc<AtomicUsize>) -> Self {
        let ticker = Self { ticks: Arc::default(), stopped: Arc::default() };
        let (ticks, stopped) = (ticker.ticks.clone(), ticker.stopped.clone());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                if reading.load(Ordering::Relaxed) > 0 {
                    ticks.notify_one();
                }
            }
        });
        ticker
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Sets time forward where Tokio does not: while a thread of its own reads a file for a task that waits for time to
/// pass, such as for the rest of the file to arrive.
async fn pump(journal: &Journal, ticks: &Notify) {
    let (mut seen, mut still) = ((0, tokio::time::Instant::now()), 0);
    loop {
        ticks.notified().await;
        let now = (journal.activity(), tokio::time::Instant::now());
        still = if now == seen { still + 1 } else { 0 };
        seen = now;
        if still >= STILL {
            let step = 1 << still.saturating_sub(STILL + LONG_STILL).min(5);
            tokio::time::advance(Duration::from_millis(step)).await;
            seen.1 = tokio::time::Instant::now();
        }
    }
}

/// Endpoints that are exchanged for fresh ones now and then.
pub struct Machines {
    endpoints: Arc<Endpoints>,
    /// What was run on them: the same again would find what it left.
    used: BTreeSet<(u64, Scenario)>,
}

impl Default for Machines {
    fn default() -> Self {
        Self { endpoints: Endpoints::start(), used: BTreeSet::new() }
    }
}

impl Machines {
    /// Runs a schedule on these endpoints.
    pub fn run(&mut self, seed: u64, scenario: Scenario, bug: Option<Bug>, trace: bool) -> Report {
        if self.used.len() == SCHEDULES_PER_MACHINE || self.used.contains(&(seed, scenario)) {
            *self = Self::default();
        }
        self.used.insert((seed, scenario));
        let report = run(seed, scenario, bug, &self.endpoints, trace);
        if report.outcome.is_err() {
            // It may have left tables and items behind.
            *self = Self::default();
        }
        report
    }
}

/// The results of many schedules.
#[derive(Debug, Default)]
pub struct Tally {
    /// The numbers of schedules and calls, and the time, by scenario.
    pub scenarios: BTreeMap<Scenario, (u64, u64, Duration)>,
    /// The numbers of faults, crashes and freezes, by name.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds a schedule to the summary.
    pub fn add(&mut self, report: &Report, began: Instant) {
        let (schedules, calls, time) = self.scenarios.entry(report.scenario).or_default();
        *schedules += 1;
        *calls += report.calls;
        *time += began.elapsed();
        for (name, count) in &report.faults {
            *self.faults.entry(name).or_default() += count;
        }
    }

    /// The number of schedules.
    #[must_use]
    pub fn schedules(&self) -> u64 {
        self.scenarios.values().map(|(schedules, ..)| schedules).sum()
    }

    /// The summary as a table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{:<18}{:>10}{:>12}{:>10}\n", "scenario", "schedules", "calls", "seconds");
        for (scenario, (schedules, calls, time)) in &self.scenarios {
            let (name, seconds) = (scenario.name(), time.as_secs_f64());
            text += &format!("{name:<18}{schedules:>10}{calls:>12}{seconds:>10.1}\n");
        }
        let faults: Vec<String> = self.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        text += &format!("faults: {}\n", faults.join(", "));
        text
    }
}
