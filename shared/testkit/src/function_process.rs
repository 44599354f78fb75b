//! A function's own binary, run against a Lambda Runtime API on loopback.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as Segments, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use nextbasket_machine::lambda::FunctionError;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// How often a waiting invocation looks whether the process still lives.
const LOOK: Duration = Duration::from_millis(20);
const LONGEST_LAG: Duration = Duration::from_secs(10);

/// A running function process. It is killed, by its id, when this is dropped.
pub struct FunctionProcess {
    child: Mutex<Child>,
    api: Arc<RuntimeApi>,
    server: JoinHandle<()>,
    logs: Arc<Mutex<Vec<String>>>,
    timeout: Duration,
}

/// What the function answers; `Runtime.ExitError` when the process ended, `Sandbox.Timedout` when it took too long.
type InvocationResult = Result<Value, FunctionError>;

#[derive(Default)]
struct RuntimeApi {
    serial: AtomicU64,
    waiting: Mutex<VecDeque<Invocation>>,
    arrived: Notify,
    under_way: Mutex<BTreeMap<String, oneshot::Sender<InvocationResult>>>,
    init_error: Mutex<Option<FunctionError>>,
}

struct Invocation {
    id: String,
    event: Vec<u8>,
    deadline: u128,
    answer: oneshot::Sender<InvocationResult>,
}

impl FunctionProcess {
    /// Starts `executable` with this environment and nothing of the test's own.
    pub async fn spawn(executable: impl AsRef<Path>, environment: &BTreeMap<String, String>) -> Self {
        let executable = executable.as_ref();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let api = Arc::new(RuntimeApi::default());
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&api));
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the runtime API") });
        let mut child = Command::new(executable)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", executable.display()));
        let logs = Arc::default();
        collect(child.stdout.take(), Arc::clone(&logs));
        collect(child.stderr.take(), Arc::clone(&logs));
        FunctionProcess { child: Mutex::new(child), api, server, logs, timeout: Duration::from_secs(30) }
    }

    /// The same with another timeout for its invocations; 30 seconds otherwise.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Invokes the function with an event and waits for its answer. One is under way at a time, as in a sandbox.
    ///
    /// # Errors
    /// [`FunctionError`] when the function fails, ends or takes too long; then it is killed, as Lambda does.
    pub async fn invoke(&self, event: &Value) -> InvocationResult {
        let deadline = SystemTime::now() + self.timeout;
        let (answer, mut answered) = oneshot::channel();
        let id = format!("00000000-0000-0000-0000-{:012}", self.api.serial.fetch_add(1, Ordering::Relaxed));
        let event = serde_json::to_vec(event).expect("JSON");
        let millis = deadline.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        self.api.waiting.lock().unwrap().push_back(Invocation { id, event, deadline: millis, answer });
        self.api.arrived.notify_one();
        loop {
            if let Ok(answer) = tokio::time::timeout(LOOK, &mut answered).await {
                return answer.unwrap_or_else(|_| {
                    Err(FunctionError::new("Runtime.Unknown", "the invocation was dropped"))
                });
            }
            if let Some(e) = self.api.init_error.lock().unwrap().clone() {
                return Err(e);
            }
            if let Some(status) = self.child.lock().unwrap().try_wait().expect("the process's state") {
                return Err(FunctionError::new("Runtime.ExitError", format!("the process ended: {status}")));
            }
            if SystemTime::now() > deadline {
                self.child.lock().unwrap().kill().expect("the process can be killed");
                return Err(FunctionError::new(
                    "Sandbox.Timedout",
                    format!("timed out after {:?}", self.timeout),
                ));
            }
        }
    }

    /// What it has written to stdout and stderr so far, line by line.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.logs.lock().unwrap().clone()
    }

    /// Waits until one of its lines contains the text: lines are collected by threads, which may lag behind an answer.
    ///
    /// # Panics
    /// If there is no such line after ten seconds.
    pub async fn says(&self, text: &str) {
        let started = Instant::now();
        while !self.logs().iter().any(|line| line.contains(text)) {
            assert!(started.elapsed() < LONGEST_LAG, "{text:?} is not among {:#?}", self.logs());
            tokio::time::sleep(LOOK).await;
        }
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }
}

impl Drop for FunctionProcess {
    fn drop(&mut self) {
        self.server.abort();
        let mut child = self.child.lock().unwrap();
        // It may have ended by itself.
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

fn collect(output: Option<impl Read + Send + 'static>, logs: Arc<Mutex<Vec<String>>>) {
    let output = BufReader::new(output.expect("the output is piped"));
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            logs.lock().unwrap().push(line);
        }
    });
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response<Body> {
    let invocation = loop {
        let arrived = api.arrived.notified();
        let first = api.waiting.lock().unwrap().pop_front();
        match first {
            Some(invocation) => break invocation,
            None => arrived.await,
        }
    };
    api.under_way.lock().unwrap().insert(invocation.id.clone(), invocation.answer);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.id)
        .header("lambda-runtime-deadline-ms", invocation.deadline.to_string())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:local:000000000000:function:function")
        .header("lambda-runtime-trace-id", format!("Root=1-{}", invocation.id))
        .body(Body::from(invocation.event))
        .expect("a response")
}

async fn response(
    State(api): State<Arc<RuntimeApi>>,
    Segments(id): Segments<String>,
    body: Bytes,
) -> StatusCode {
    let answer = match serde_json::from_slice(&body) {
        Ok(value) => Ok(value),
        Err(e) => Err(FunctionError::new("Runtime.InvalidJson", e.to_string())),
    };
    settle(&api, &id, answer)
}

async fn error(
    State(api): State<Arc<RuntimeApi>>,
    Segments(id): Segments<String>,
    body: Bytes,
) -> StatusCode {
    settle(&api, &id, Err(parse_error(&body)))
}

async fn init_error(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> StatusCode {
    *api.init_error.lock().unwrap() = Some(parse_error(&body));
    StatusCode::ACCEPTED
}

fn settle(api: &RuntimeApi, id: &str, answer: InvocationResult) -> StatusCode {
    match api.under_way.lock().unwrap().remove(id) {
        Some(waiting) => {
            // Nobody waits any more after a timeout.
            let _late = waiting.send(answer);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

fn parse_error(body: &[u8]) -> FunctionError {
    let body: Value = serde_json::from_slice(body).unwrap_or(json!({}));
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    FunctionError::new(text("errorType"), text("errorMessage"))
}
