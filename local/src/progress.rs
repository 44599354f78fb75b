//! How far a command has come: a bar on a terminal, plain lines now and then otherwise. On standard error.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::out::errln;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is printed where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// A bar for one step of a command.
pub struct Progress {
    bar: ProgressBar,
    what: Cow<'static, str>,
    started: Instant,
    /// Without a terminal: when a line was printed last.
    plain: Option<Mutex<Instant>>,
}

impl Progress {
    /// A bar of `total` units; `bytes` shows them as such.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>, total: u64, bytes: bool) -> Self {
        let what = what.into();
        let plain = (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now()));
        let target =
            if plain.is_some() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_prefix(what.clone());
        let form = if bytes {
            "{prefix:<22} {bar:30} {bytes}/{total_bytes} {eta}"
        } else {
            "{prefix:<22} {bar:30} {human_pos}/{human_len} {per_sec} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, what, started: Instant::now(), plain }
    }

    /// Sets the number of units done. A total that is exceeded was only an estimate.
    pub fn set(&self, done: u64) {
        if self.bar.length().is_some_and(|total| total < done) {
            self.bar.set_length(done);
        }
        self.bar.set_position(done);
        self.now_and_then();
    }

    /// There are so many units after all.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// One more is done.
    pub fn inc(&self) {
        self.bar.inc(1);
        self.now_and_then();
    }

    fn now_and_then(&self) {
        let Some(last) = &self.plain else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            errln!("{}: {done} of {all}{}", self.what, pace(done, all, self.started.elapsed()));
        }
    }

    /// How long the step has taken so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The step is over, and nothing is to be said of it.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }

    /// The step was stopped before its end; `how` says why.
    pub fn stop(self, how: &str) {
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
        self.finish(format!("{how} at {done} of {all}"));
    }

    /// The step is over; `result` says what came of it.
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

/// `, 120/s, 2m left`: nothing as long as nothing is done.
#[allow(clippy::cast_precision_loss, reason = "to be read")]
fn pace(done: u64, all: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    if done == 0 {
        return String::new();
    }
    let left = Duration::from_secs_f64((all.saturating_sub(done) as f64 / rate).min(1e9));
    format!(", {rate:.0}/s, {} left", indicatif::HumanDuration(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_the_pace_and_the_time_left() {
        assert_eq!(pace(300, 900, Duration::from_secs(3)), ", 100/s, 6 seconds left");
        assert_eq!(pace(900, 900, Duration::from_secs(3)), ", 300/s, 0 seconds left");
        assert_eq!(pace(0, 900, Duration::from_secs(3)), "");
    }
}
