//! The open connections, and which of them makes room for the next.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

pub(super) struct Connections {
    most: usize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<ConnectionState>>>,
    /// Whether the server is waiting for a connection that may be closed.
    full: AtomicBool,
    changed: Notify,
}

pub(super) struct ConnectionState {
    connections: Arc<Connections>,
    /// Whether a whole request is being answered; if not, the server waits for the client.
    busy: AtomicBool,
    /// When the client last sent something, in milliseconds from `opened`.
    heard: AtomicU64,
    opened: Instant,
    evicted: Notify,
}

/// A connection in the list; dropping it removes it from there.
pub(super) struct Connection {
    number: u64,
    state: Arc<ConnectionState>,
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            next: AtomicU64::new(0),
            open: Mutex::default(),
            full: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<ConnectionState>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more may be accepted. One above the limit is accepted: only then is it worth closing another.
    pub(super) fn has_room(&self, open: usize) -> bool {
        let room = open <= self.most;
        self.full.store(!room, Ordering::Relaxed);
        room
    }

    /// Waits until some connection may be closed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
        self.make_room_if_over();
    }

    pub(super) fn enter(self: &Arc<Self>) -> Connection {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState {
            connections: Arc::clone(self),
            busy: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            opened: Instant::now(),
            evicted: Notify::new(),
        });
        self.open().insert(number, Arc::clone(&state));
        self.make_room_if_over();
        Connection { number, state }
    }

    fn make_room_if_over(&self) {
        if self.open().len() > self.most {
            self.make_room();
        }
    }

    /// Closes the connection whose client has been silent for the longest.
    pub(super) fn make_room(&self) {
        let open = self.open();
        let waiting = open.values().filter(|state| !state.busy.load(Ordering::Relaxed));
        if let Some(longest) = waiting.min_by_key(|state| state.last_heard()) {
            longest.evicted.notify_one();
        }
    }
}

impl ConnectionState {
    fn last_heard(&self) -> Instant {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.opened.checked_add(heard).unwrap_or(self.opened)
    }

    /// Called when the client has sent something.
    pub(super) fn heard(&self) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(millis, Ordering::Relaxed);
    }

    /// Called when the client has sent a whole request.
    pub(super) fn answering(&self) {
        self.busy.store(true, Ordering::Relaxed);
    }

    /// Called when the client has its answer; the server now waits for its next request.
    pub(super) fn answered(&self) {
        self.heard();
        self.busy.store(false, Ordering::Relaxed);
        if self.connections.full.load(Ordering::Relaxed) {
            self.connections.changed.notify_one();
        }
    }
}

impl Connection {
    pub(super) fn state(&self) -> Arc<ConnectionState> {
        Arc::clone(&self.state)
    }

    /// Waits until this connection has to be closed.
    pub(super) async fn evicted(&self) {
        self.state.evicted.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.connections.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_evicted(connection: &Connection) -> bool {
        connection.evicted().now_or_never().is_some()
    }

    #[test]
    fn who_has_been_waited_for_the_longest_makes_room_and_who_is_answered_does_not() {
        let connections = Arc::new(Connections::new(3));
        let busy = connections.enter();
        busy.state().answering();
        let idle = connections.enter();
        std::thread::sleep(Duration::from_millis(5));
        let half_open = connections.enter();
        std::thread::sleep(Duration::from_millis(5));
        idle.state().heard();
        let next = connections.enter();
        let evicted = [&busy, &idle, &half_open, &next].map(is_evicted);
        assert_eq!(evicted, [false, false, true, false]);
        drop(half_open);
        assert!(connections.has_room(3));
        assert!(!connections.has_room(4));
        idle.state().answering();
        next.state().answering();
        let last = connections.enter();
        assert!(is_evicted(&last), "nobody else may go");
    }
}
