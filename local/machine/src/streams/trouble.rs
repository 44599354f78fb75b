//! Why a mapping makes no progress, for those who wait for it.

use tokio::sync::watch;

/// The last error since a record was delivered.
#[derive(Debug, Default)]
pub(crate) struct Trouble(watch::Sender<Option<Problem>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    reason: String,
    /// Whether there were so many failed attempts that nobody should wait any longer.
    lasting: bool,
}

impl Trouble {
    /// Records an error that may be transient.
    pub(crate) fn note(&self, reason: impl Into<String>) {
        self.0.send_replace(Some(Problem { reason: reason.into(), lasting: false }));
    }

    /// Records an error that has lasted.
    pub(crate) fn lasts(&self, reason: impl Into<String>) {
        self.0.send_replace(Some(Problem { reason: reason.into(), lasting: true }));
    }

    /// The trouble is over.
    pub(crate) fn ends(&self) {
        self.0.send_if_modified(|problem| problem.take().is_some());
    }

    /// The last error, if it is not over.
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.borrow().as_ref().map(|problem| problem.reason.clone())
    }

    /// Waits for an error that lasts, and returns it.
    pub(crate) async fn lasting(&self) -> String {
        let mut problems = self.0.subscribe();
        let lasting =
            problems.wait_for(|problem| problem.as_ref().is_some_and(|problem| problem.lasting)).await;
        lasting
            .ok()
            .and_then(|problem| problem.as_ref().map(|problem| problem.reason.clone()))
            .unwrap_or_default()
    }
}
