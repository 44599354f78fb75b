//! How far a command has come: a bar on a terminal, plain lines now and then otherwise. On standard error.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar for one step of a command.
pub struct Progress {
    bar: ProgressBar,
    what: &'static str,
    plain: bool,
}

impl Progress {
    /// A bar of `total` units; `bytes` shows them as such.
    #[must_use]
    pub fn new(what: &'static str, total: u64, bytes: bool) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target).with_prefix(what);
        let form = if bytes {
            "{prefix:<22} {bar:30} {bytes}/{total_bytes} {eta}"
        } else {
            "{prefix:<22} {bar:30} {human_pos}/{human_len} {per_sec} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, what, plain }
    }

    /// So many units are done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// There are so many units after all.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// One more is done.
    pub fn inc(&self) {
        self.bar.inc(1);
    }

    /// The step is over; `result` says what came of it.
    pub fn finish(self, result: impl Into<Cow<'static, str>>) {
        let result = result.into();
        self.bar.finish_and_clear();
        if self.plain {
            eprintln!("{}: {result}", self.what);
        } else {
            eprintln!("{:<22} {result}", self.what);
        }
    }
}
