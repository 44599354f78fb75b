//! The progress of one step of a command, on standard error: a bar on a terminal, otherwise a line now and then.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stdio::errln;

/// How often a line is printed where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

const TEMPLATE: &str = "{prefix:<22} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";
const BYTES_TEMPLATE: &str =
    "{prefix:<22} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}, {msg} records";

pub struct StepProgress {
    bar: ProgressBar,
    what: Cow<'static, str>,
    started: Instant,
    of_bytes: bool,
    /// Without a terminal: when a line was printed last.
    plain: Option<Mutex<Instant>>,
}

impl StepProgress {
    /// A step of `total` units.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>, total: u64) -> Self {
        Self::shown_as(TEMPLATE, what.into(), total)
    }

    /// A step that reads this many bytes.
    #[must_use]
    pub fn of_bytes(what: impl Into<Cow<'static, str>>, total: u64) -> Self {
        let step = Self::shown_as(BYTES_TEMPLATE, what.into(), total);
        step.bar.set_message("0");
        Self { of_bytes: true, ..step }
    }

    fn shown_as(template: &str, what: Cow<'static, str>, total: u64) -> Self {
        let plain = (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now()));
        let target =
            if plain.is_some() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_prefix(what.clone());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, what, started: Instant::now(), of_bytes: false, plain }
    }

    /// Sets the number of units done. A total that is exceeded was only an estimate.
    pub fn set(&self, done: u64) {
        if self.bar.length().is_some_and(|total| total < done) {
            self.bar.set_length(done);
        }
        self.bar.set_position(done);
        self.print_now_and_then();
    }

    /// Sets the number of bytes and of records that were read.
    pub fn set_bytes(&self, bytes: u64, records: u64) {
        self.bar.set_message(HumanCount(records).to_string());
        self.set(bytes);
    }

    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    pub fn increment(&self) {
        self.bar.inc(1);
        self.print_now_and_then();
    }

    fn print_now_and_then(&self) {
        let Some(last) = &self.plain else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_INTERVAL {
            *last = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            let elapsed = self.started.elapsed();
            if self.of_bytes {
                let (read, left) = (HumanBytes(done), time_left(done, all, elapsed));
                let (what, all, records) = (&self.what, HumanBytes(all), self.bar.message());
                errln!("{what}: {read} of {all}, {records} records{left}");
            } else {
                errln!("{}: {done} of {all}{}", self.what, pace(done, all, elapsed));
            }
        }
    }

    /// How long the step has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the step without a line.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }

    /// Ends the step before it is complete.
    pub fn stop(self, reason: &str) {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let result = if self.of_bytes {
            format!("{reason} at {} of {}", HumanBytes(done), HumanBytes(all))
        } else {
            format!("{reason} at {done} of {all}")
        };
        self.finish(result);
    }

    /// Ends the step with its result.
    pub fn finish(self, result: impl Into<Cow<'static, str>>) {
        let result = result.into();
        self.bar.finish_and_clear();
        if self.plain.is_some() {
            errln!("{}: {result}", self.what);
        } else {
            errln!("{:<22} {result}", self.what);
        }
    }
}

/// Such as `, 120/s, 2 minutes left`; empty while nothing is done.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn pace(done: u64, all: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    if done == 0 {
        return String::new();
    }
    format!(", {rate:.0}/s{}", time_left(done, all, elapsed))
}

/// Such as `, 2 minutes left`; empty while nothing is done.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn time_left(done: u64, all: u64, elapsed: Duration) -> String {
    if done == 0 {
        return String::new();
    }
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = Duration::from_secs_f64((all.saturating_sub(done) as f64 / rate).min(1e9));
    format!(", {} left", HumanDuration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_never_done_than_there_is_in_all() {
        let step = StepProgress::new("write", 7_125);
        let shown = |step: &StepProgress| (step.bar.position(), step.bar.length());
        step.set(7_000);
        assert_eq!(shown(&step), (7_000, Some(7_125)));
        step.set(9_754);
        assert_eq!(shown(&step), (9_754, Some(9_754)));
    }

    #[test]
    fn a_plain_line_has_the_pace_and_the_time_left() {
        assert_eq!(pace(300, 900, Duration::from_secs(3)), ", 100/s, 6 seconds left");
        assert_eq!(pace(900, 900, Duration::from_secs(3)), ", 300/s, 0 seconds left");
        assert_eq!(pace(0, 900, Duration::from_secs(3)), "");
    }
}
