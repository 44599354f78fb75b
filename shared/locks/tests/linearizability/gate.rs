//! An HTTP endpoint that hands each request to its run's schedule, which decides what becomes of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nextbasket_machine::access::{AccessKey, sign};
use nextbasket_machine::dynamodb::REGION;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Why a connection ends without a whole answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut")]
pub struct Cut;

type Body = BoxBody<Bytes, Cut>;

/// A request that has arrived, and is not applied yet.
pub struct Arrival {
    /// The client's number.
    pub from: usize,
    pub request: Sent,
    /// Takes what the client gets to see; without one it sees the connection end.
    pub answer: oneshot::Sender<Answer>,
}

/// A request's head and body.
#[derive(Clone)]
pub struct Sent {
    headers: HeaderMap,
    body: Bytes,
}

/// An answer of the endpoint.
#[derive(Clone)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    broken: bool,
}

impl Answer {
    /// The same, breaking off in the middle.
    pub fn broken(self) -> Self {
        Self { broken: true, ..self }
    }

    /// A server at fault, which has applied nothing.
    pub fn at_fault() -> Self {
        let headers = [(hyper::header::CONTENT_TYPE, "application/x-amz-json-1.0".parse().unwrap())];
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: headers.into_iter().collect(),
            body: Bytes::from(r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError"}"#),
            broken: false,
        }
    }
}

type Runs = Arc<Mutex<HashMap<usize, mpsc::UnboundedSender<Arrival>>>>;

pub struct Gate {
    address: SocketAddr,
    runs: Runs,
    upstream: String,
    key: AccessKey,
    client: hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>,
    server: JoinHandle<()>,
}

impl Gate {
    pub async fn start(upstream: String, key: AccessKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let runs = Runs::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&runs)));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Self { address, runs, upstream, key, client, server }
    }

    /// Where a client of the run in a lane sends its requests.
    pub fn url(&self, lane: usize, client: usize) -> String {
        format!("http://{}/{lane}/{client}", self.address)
    }

    /// The requests of the run that begins in a lane, as they arrive.
    pub fn open(&self, lane: usize) -> mpsc::UnboundedReceiver<Arrival> {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        self.runs.lock().unwrap().insert(lane, arrived);
        arrivals
    }

    /// Lets the endpoint apply a request.
    pub async fn apply(&self, sent: Sent) -> Answer {
        let host = self.upstream.trim_start_matches("http://");
        let mut request = Request::post(&self.upstream).header(HOST, host);
        request.headers_mut().unwrap().extend(sent.headers);
        // The client has signed it for the gate's own address.
        let (mut head, body) = request.body(Full::new(sent.body.clone())).unwrap().into_parts();
        sign(&mut head, &sent.body, &self.key, REGION, "dynamodb", SystemTime::now());
        let answer = self.client.request(Request::from_parts(head, body)).await.unwrap();
        let (mut head, body) = answer.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(TRANSFER_ENCODING);
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body, broken: false }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, runs: Runs) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let runs = Arc::clone(&runs);
        tokio::spawn(async move {
            let service = service_fn(move |request| hand_over(Arc::clone(&runs), request));
            // A connection that is cut ends here with an error, as it should.
            let _cut = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn hand_over(runs: Runs, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let path = head.uri.path().split('/').filter(|part| !part.is_empty()).map(|part| part.parse().unwrap());
    let [lane, from] = path.collect::<Vec<usize>>()[..] else { panic!("{}", head.uri) };
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(HOST);
    let (answer, answered) = oneshot::channel();
    let arrival = Arrival { from, request: Sent { headers: head.headers, body }, answer };
    let arrived = runs.lock().unwrap().get(&lane).cloned().ok_or(Cut)?;
    arrived.send(arrival).map_err(|_| Cut)?;
    let answer = answered.await.map_err(|_| Cut)?;
    let body = if answer.broken {
        let half = answer.body.slice(..answer.body.len() / 2);
        BodyExt::boxed(StreamBody::new(futures::stream::iter([Ok(Frame::data(half)), Err(Cut)])))
    } else {
        Full::new(answer.body).map_err(|never| match never {}).boxed()
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}
