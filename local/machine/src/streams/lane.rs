//! One lane of a shard: gathers batches and has one of them under way.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::delivery::Delivery;
use super::record::Delivered;
use crate::template::StreamMapping;

/// Lambda's limit for an invocation's event, 6 MB; the rest is room for what is not counted.
const LARGEST_EVENT: usize = 5 * 1024 * 1024;

/// Pages that wait in front of a lane before the reader waits, too.
const QUEUE: usize = 2;

pub(super) fn start(delivery: Arc<Delivery>) -> (mpsc::Sender<Vec<Delivered>>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let lane = Lane { delivery, receiver, waiting: Vec::new().into_iter() };
    (sender, tokio::spawn(lane.run()))
}

struct Lane {
    delivery: Arc<Delivery>,
    receiver: mpsc::Receiver<Vec<Delivered>>,
    /// What is left of the page that was received last.
    waiting: std::vec::IntoIter<Delivered>,
}

impl Lane {
    async fn run(mut self) {
        let shared = Arc::clone(&self.delivery.shared);
        loop {
            let batch = tokio::select! {
                batch = self.batch() => batch,
                () = shared.stopped() => None,
            };
            let Some(batch) = batch else { return };
            self.delivery.deliver(batch).await;
        }
    }

    /// The next batch: full, or what came within the window.
    async fn batch(&mut self) -> Option<Vec<Delivered>> {
        while self.waiting.len() == 0 {
            self.waiting = self.receiver.recv().await?.into_iter();
        }
        let StreamMapping { batching_window, batch_size, .. } = self.delivery.shared.mapping;
        let window = Instant::now() + batching_window;
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            while batch.len() < batch_size {
                let Some(next) = self.waiting.as_slice().first() else { break };
                bytes += next.bytes;
                if bytes > LARGEST_EVENT && !batch.is_empty() {
                    return Some(batch);
                }
                batch.extend(self.waiting.next());
            }
            if batch.len() >= batch_size {
                return Some(batch);
            }
            let more = match self.receiver.try_recv() {
                Ok(more) => Some(more),
                Err(_) => timeout_at(window, self.receiver.recv()).await.ok().flatten(),
            };
            match more {
                Some(more) => self.waiting = more.into_iter(),
                None => return Some(batch),
            }
        }
    }
}
