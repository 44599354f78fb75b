//! Telling uploads to stop.

use tokio::sync::watch;

/// Whoever holds this can tell uploads to stop. Dropping it does not.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Whether uploads are to stop. Clones share it.
#[derive(Debug, Clone)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stopper {
    /// A stop that has not come, and who can make it come.
    #[must_use]
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(Some(receiver)))
    }

    /// Tells the uploads to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// A stop that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Whether it has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        self.0.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Returns when it comes.
    pub async fn wait(&self) {
        if let Some(stop) = &self.0
            && stop.clone().wait_for(|stopped| *stopped).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
