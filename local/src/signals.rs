//! Ctrl-C and SIGTERM, handled once for the whole process.
//!
//! The first signal stops those parts that can stop cleanly ([`until_stopped`]); a command without such a part is
//! ended at once. A second signal always ends the process at once.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The signal that asked the command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminationSignal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl TerminationSignal {
    /// The exit code of a process that this signal ends: 128 plus the signal's number, as in shells.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

static FIRST: LazyLock<watch::Sender<Option<TerminationSignal>>> = LazyLock::new(|| watch::channel(None).0);
/// The number of parts of the command that stop cleanly.
static ORDERLY: AtomicUsize = AtomicUsize::new(0);
/// The number of parts of the command that pass signals on.
static PASSED_ON: AtomicUsize = AtomicUsize::new(0);

/// Increments the counter for as long as it lives.
#[must_use]
pub struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Leaves the handling of signals to the caller, which passes them on to its child process: while the result lives,
/// signals have no effect on this process.
pub fn pass_on() -> Counted {
    Counted::new(&PASSED_ON)
}

/// While the result lives, the first signal does not end the process: the caller has something to remove at its end, and
/// the parts that it calls look for the signal by [`until_stopped`].
pub fn stop_in_order() -> Counted {
    Counted::new(&ORDERLY)
}

/// Waits for the first signal. While a caller waits, the process is not ended by that signal.
pub async fn until_stopped() -> TerminationSignal {
    let _counted = Counted::new(&ORDERLY);
    let mut first = FIRST.subscribe();
    let stop = first.wait_for(Option::is_some).await;
    stop.ok().and_then(|stop| *stop).unwrap_or(TerminationSignal::Terminate)
}

/// Starts to listen. The future completes when a signal has arrived for which no part of the command stops cleanly.
pub fn listen() -> io::Result<impl Future<Output = TerminationSignal>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (unhandled, mut unhandled_signal) = watch::channel(None);
    // A task of its own, so that a second signal is handled whatever the command does.
    tokio::spawn(async move {
        loop {
            let stop = tokio::select! {
                _ = interrupt.recv() => TerminationSignal::Interrupt,
                _ = terminate.recv() => TerminationSignal::Terminate,
            };
            if PASSED_ON.load(Ordering::SeqCst) > 0 {
                continue;
            }
            if FIRST.borrow().is_some() {
                std::process::exit(i32::from(stop.exit_code()));
            }
            if ORDERLY.load(Ordering::SeqCst) == 0 {
                unhandled.send_replace(Some(stop));
            }
            FIRST.send_replace(Some(stop));
        }
    });
    Ok(async move {
        match unhandled_signal.wait_for(Option::is_some).await.ok().and_then(|stop| *stop) {
            Some(stop) => stop,
            None => std::future::pending().await,
        }
    })
}
