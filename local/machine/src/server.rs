//! Servers on loopback until they are stopped: on threads of their own, or as a task of the runtime that is there.

use std::fmt::Display;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::listen::{ListenError, Listening};

/// How long a stop waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// Is over when a server is to take no more requests.
pub(crate) type Stopped = BoxFuture<'static, ()>;

/// A server on a runtime of its own. Dropping it stops it as [`ServerThreads::stop`] does.
pub(crate) struct ServerThreads {
    address: SocketAddr,
    /// The server's name in sentences.
    server: &'static str,
    running: Option<(Runtime, ServerTask)>,
}

/// What a server's threads are called, and how many of them serve.
pub(crate) struct Threads {
    pub(crate) name: &'static str,
    pub(crate) count: usize,
    /// The server's name in sentences.
    pub(crate) server: &'static str,
}

impl ServerThreads {
    /// Serves on a bound listener. `no_thread` makes the error if the operating system refuses a thread.
    pub(crate) fn start<E, R, F>(
        threads: &Threads,
        listening: Listening,
        no_thread: impl FnOnce(std::io::Error) -> E,
        serve: impl FnOnce(TcpListener, Stopped) -> F,
    ) -> Result<Self, E>
    where
        E: From<ListenError>,
        R: Display,
        F: IntoFuture<Output = Result<(), R>, IntoFuture: Send + 'static>,
    {
        let &Threads { name, count, server } = threads;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let address = listening.address();
        let entered = runtime.enter();
        let task = ServerTask::start(server, listening, serve)?;
        drop(entered);
        Ok(Self { address, server, running: Some((runtime, task)) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running requests finish, for up to five seconds.
    pub(crate) async fn stop(&mut self) {
        let _ended = tokio::task::spawn_blocking(self.halt()).await;
    }

    /// Stops it, blocking the thread that calls this.
    fn halt(&mut self) -> impl FnOnce() + Send + use<> {
        let (running, requests) = (self.running.take(), format!("requests to {}", self.server));
        move || {
            if let Some((runtime, task)) = running {
                runtime.block_on(task.stop(&requests));
            }
        }
    }
}

impl Drop for ServerThreads {
    fn drop(&mut self) {
        if self.running.is_some() {
            // On a thread of its own: asynchronous code may be what drops it, and that cannot wait for a runtime.
            let _panicked = thread::spawn(self.halt()).join();
        }
    }
}

/// A server as a task. Dropping it cuts off what is under way.
pub(crate) struct ServerTask {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl ServerTask {
    /// Serves on a bound listener; `server` is its name in messages.
    pub(crate) fn start<R, F>(
        server: &'static str,
        listening: Listening,
        serve: impl FnOnce(TcpListener, Stopped) -> F,
    ) -> Result<Self, ListenError>
    where
        R: Display,
        F: IntoFuture<Output = Result<(), R>, IntoFuture: Send + 'static>,
    {
        let address = listening.address();
        let listener = listening.into_tokio()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            let _sender_dropped = stopped.await;
        };
        let serving = serve(listener, Box::pin(stopped)).into_future();
        let task = tokio::spawn(async move {
            if let Err(e) = serving.await {
                tracing::error!(error = %e, "{server} ended");
            }
        });
        Ok(Self { address, stop: Some(stop), task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections and lets what is under way finish, for up to five seconds.
    pub(crate) async fn stop(mut self, requests: &str) {
        if let Some(stop) = self.stop.take() {
            let _gone = stop.send(());
        }
        if tokio::time::timeout(GRACE, &mut self.task).await.is_err() {
            tracing::warn!("{requests} were cut off");
        }
    }
}

impl Drop for ServerTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}
