//! Ctrl-C and SIGTERM, handled once for the whole process.
//!
//! The first signal stops those parts that can stop cleanly ([`until_stopped`]); a command without such a part is
//! ended at once. A second signal always ends the process at once.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::Failure;

/// Which signal asked the command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Stopping {
    /// The exit code of a process that this signal ends: 128 plus the signal's number, as in shells.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl Stopping {
    /// The result of a command that has no end of its own: SIGTERM is its normal end, and Ctrl-C still has its exit
    /// code.
    ///
    /// # Errors
    /// [`Failure::Stopped`] after Ctrl-C.
    pub fn as_end(self) -> Result<(), Failure> {
        match self {
            Self::Interrupt => Err(Failure::Stopped { by: self, said: String::new() }),
            Self::Terminate => Ok(()),
        }
    }
}

static FIRST: LazyLock<watch::Sender<Option<Stopping>>> = LazyLock::new(|| watch::channel(None).0);
/// The number of parts of the command that stop cleanly.
static ORDERLY: AtomicUsize = AtomicUsize::new(0);
/// The number of parts of the command that handle signals themselves.
static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

/// Increments the counter for as long as it lives.
struct Counted(&'static AtomicUsize);

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

/// While it lives, signals have no effect here: the caller passes them on.
#[must_use]
pub struct Elsewhere(#[allow(dead_code, reason = "held for its end")] Counted);

/// Leaves the handling of signals to the caller.
pub fn elsewhere() -> Elsewhere {
    Elsewhere(Counted::new(&ELSEWHERE))
}

/// Waits for the first signal. While a caller waits, the process is not ended by that signal.
pub async fn until_stopped() -> Stopping {
    let _counted = Counted::new(&ORDERLY);
    let mut first = FIRST.subscribe();
    let stopping = first.wait_for(Option::is_some).await;
    stopping.ok().and_then(|stopping| *stopping).unwrap_or(Stopping::Terminate)
}

/// Starts to listen. The future completes when a signal has arrived for which no part of the command stops cleanly.
///
/// # Errors
/// [`Failure`] if the operating system does not allow it.
pub fn listen() -> Result<impl Future<Output = Stopping>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
    let (unhandled, mut told) = watch::channel(None);
    // A task of its own, so that a second signal is handled whatever the command does.
    tokio::spawn(async move {
        loop {
            let stopping = tokio::select! {
                _ = interrupt.recv() => Stopping::Interrupt,
                _ = terminate.recv() => Stopping::Terminate,
            };
            if ELSEWHERE.load(Ordering::SeqCst) > 0 {
                continue;
            }
            if FIRST.borrow().is_some() {
                std::process::exit(i32::from(stopping.exit_code()));
            }
            if ORDERLY.load(Ordering::SeqCst) == 0 {
                unhandled.send_replace(Some(stopping));
            }
            FIRST.send_replace(Some(stopping));
        }
    });
    Ok(async move {
        match told.wait_for(Option::is_some).await.ok().and_then(|stopping| *stopping) {
            Some(stopping) => stopping,
            None => std::future::pending().await,
        }
    })
}
