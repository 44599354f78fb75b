//! Telling uploads to stop.

use tokio::sync::watch;

/// Whoever holds this can tell uploads to stop. Dropping it does not.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells uploads to stop. Clones share it.
#[derive(Debug, Clone)]
pub struct StopSignal(Option<watch::Receiver<bool>>);

impl Stopper {
    /// A signal that is not set, and what sets it.
    #[must_use]
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), StopSignal(Some(receiver)))
    }

    /// Tells the uploads to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl StopSignal {
    /// A signal that is never set.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Returns when it is set.
    pub async fn wait(&self) {
        if let Some(stop) = &self.0
            && stop.clone().wait_for(|stopped| *stopped).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
