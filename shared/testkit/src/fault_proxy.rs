//! A proxy in front of a DynamoDB or an S3 endpoint that makes faults, counts calls and measures capacity.
//!
//! DynamoDB's operations are named as in its API: `PutItem`. A request to S3 is named by its method and a part of its
//! path and query: `PUT results/` are all puts to paths that hold `results/`, `POST ?uploads` begins an upload, and
//! `GET` alone are all gets.
//!
//! A request may also name its own fault, in the header [`FAULT_HEADER`]; rules then do not apply to it.

mod capacity;
mod forward;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nextbasket_machine::AccessKey;
use tokio::task::JoinHandle;

pub use capacity::Capacity;

/// The header in which a request names its own fault: the [name](Fault::name) of one.
pub const FAULT_HEADER: &str = "x-nextbasket-fault";

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Answered with `ProvisionedThroughputExceededException`, by S3 with `SlowDown`, and not applied.
    Throttle,
    /// Answered with 500 and not applied.
    ServerError,
    /// Answered with `AccessDeniedException`, by S3 with `AccessDenied`, and not applied.
    Deny,
    /// A `TransactWriteItems` is cancelled with this reason for its first write, such as `TransactionConflict`, and not
    /// applied.
    Cancel(&'static str),
    /// The connection ends; not applied.
    DropBefore,
    /// Applied, then the connection ends without an answer.
    DropAfter,
    /// Applied, and half of the answer arrives.
    Truncate,
    /// Applied after a while.
    Delay(Duration),
    /// Of a `BatchWriteItem` or `BatchGetItem`, half of each table's items are done and the others come back as
    /// unprocessed; of one, none is done.
    Unprocessed,
    /// A `GetItem` or `BatchGetItem` that is not strongly consistent finds nothing, as on a replica that lags behind.
    Missed,
}

impl Fault {
    /// A delay and a cancellation depend on their values and have no name.
    const NAMED: [(Self, &'static str); 8] = [
        (Self::Throttle, "throttle"),
        (Self::ServerError, "server-error"),
        (Self::Deny, "deny"),
        (Self::DropBefore, "drop-before"),
        (Self::DropAfter, "drop-after"),
        (Self::Truncate, "truncate"),
        (Self::Unprocessed, "unprocessed"),
        (Self::Missed, "missed"),
    ];

    /// The name for [`FAULT_HEADER`].
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(fault, _)| fault == self).map(|(_, name)| *name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(_, known)| *known == name).map(|(fault, _)| fault)
    }
}

/// A running proxy. It is gone when this is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
    server: JoinHandle<()>,
}

pub(crate) struct ProxyState {
    upstream: String,
    client: forward::Client,
    /// The endpoint's access key: calls that are changed here are signed again with it.
    key: AccessKey,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    calls: BTreeMap<String, u64>,
    rules: Vec<Rule>,
    capacity: Capacity,
}

struct Rule {
    operation: String,
    /// How many of the operation's calls have come since the rule was made.
    seen: u64,
    calls: RangeInclusive<u64>,
    fault: Fault,
}

/// Whether a rule's operation means this one.
fn means(asked: &str, operation: &str) -> bool {
    if asked == "*" || asked == operation {
        return true;
    }
    let Some((method, target)) = operation.split_once(' ') else { return false };
    let (asked_method, part) = asked.split_once(' ').unwrap_or((asked, ""));
    asked_method == method && target.contains(part)
}

impl FaultProxy {
    /// Listens on a free port in front of `upstream`, such as `http://127.0.0.1:8000`, which requires this key.
    pub async fn start(upstream: &str, key: &AccessKey) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(ProxyState {
            upstream: upstream.to_owned(),
            client: forward::client(),
            key: key.clone(),
            book: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a TCP connection");
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| forward::answer(Arc::clone(&state), request));
                    // A dropped connection ends here with an error, as it should.
                    let _dropped =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        FaultProxy { address, state, server }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Configuration for SDK clients that go through the proxy.
    #[must_use]
    pub fn sdk_config(&self) -> aws_config::SdkConfig {
        nextbasket_machine::dynamodb::sdk_config(&self.url(), &self.state.key)
    }

    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk_config())
    }

    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(nextbasket_machine::s3::s3_config(&self.url(), &self.state.key))
    }

    /// Makes the fault at some of the operation's next calls: `1..=1` is the next one, `2..=3` the two after it.
    /// `*` stands for any operation. Calls that a client makes again count, too.
    pub fn inject(&self, operation: &str, calls: RangeInclusive<u64>, fault: Fault) {
        let mut book = self.state.book.lock().unwrap();
        book.rules.push(Rule { operation: operation.to_owned(), seen: 0, calls, fault });
    }

    pub fn heal(&self) {
        self.state.book.lock().unwrap().rules.clear();
    }

    /// How often an operation was called; `*` counts all.
    #[must_use]
    pub fn calls(&self, operation: &str) -> u64 {
        let book = self.state.book.lock().unwrap();
        book.calls.iter().filter(|(name, _)| means(operation, name)).map(|(_, calls)| calls).sum()
    }

    /// What calls have consumed since the last time this was asked. Clients need not ask for it themselves.
    #[must_use]
    pub fn take_capacity(&self) -> Capacity {
        std::mem::take(&mut self.state.book.lock().unwrap().capacity)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl ProxyState {
    /// Counts a call and gives its fault, if there is one for it.
    fn count(&self, operation: &str) -> Option<Fault> {
        let mut book = self.book.lock().unwrap();
        *book.calls.entry(operation.to_owned()).or_default() += 1;
        let mut fault = None;
        for rule in book.rules.iter_mut().filter(|rule| means(&rule.operation, operation)) {
            rule.seen += 1;
            if fault.is_none() && rule.calls.contains(&rule.seen) {
                fault = Some(rule.fault.clone());
            }
        }
        fault
    }
}
