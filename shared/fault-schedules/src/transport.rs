//! One call: its latency, fault, crash and answer.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use nextbasket_testkit::Fault;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::bugs::Planted;
use crate::endpoints::{Answer, Call, Endpoints, NoAnswer, Service};
use crate::faults::{Fate, Weather};
use crate::journal::Journal;
use crate::process::{Life, Role};

/// The connection from one process to one service.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) service: Service,
    pub(crate) life: Arc<Life>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) planted: Arc<Planted>,
    /// When the schedule began.
    pub(crate) began: Instant,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire(p{} to {:?})", self.life.number, self.service)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move { wire.carry(request).await })
    }
}

impl Wire {
    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let call = taken(request).await?;
        let operation = operation(&call);
        if self.life.role == Role::Observer {
            return response(self.deliver(&call, &operation, None));
        }
        self.life.alive().await;
        let place = self.life.count(&operation);
        let fate = match self.life.role {
            Role::Observer => None,
            role => self.weather.fate(self.life.number, &operation, place.nth, role != Role::Function),
        };
        let (there, back) = match self.service {
            // A file is read by a thread of its own, for which time stands still.
            Service::S3 if call.method == "GET" => Default::default(),
            _ => self.weather.latency(self.life.number, place.total),
        };
        self.note_mishap(self.life.mishap(place, false));
        self.life.alive().await;
        sleep(there).await;
        self.life.alive().await;
        let answer = self.fated(&call, &operation, fate.clone()).await;
        let ended = match &answer {
            Ok(answer) if answer.cut_off => "cut off".to_owned(),
            Ok(answer) => answer.status.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        let name = fate.as_ref().map(Fate::name);
        self.journal.call(self.began.elapsed(), self.life.number, &operation, name, &ended);
        self.note_mishap(self.life.mishap(place, true));
        self.life.alive().await;
        sleep(back).await;
        self.life.alive().await;
        response(answer)
    }

    fn note_mishap(&self, mishap: Option<&'static str>) {
        if let Some(mishap) = mishap {
            self.journal.event(self.began.elapsed(), self.life.number, mishap);
        }
    }

    async fn fated(&self, call: &Call, operation: &str, fate: Option<Fate>) -> Result<Answer, NoAnswer> {
        match fate {
            Some(Fate::Conflict(code)) => Ok(conflict(call, operation, code)),
            Some(Fate::Delayed(time)) => {
                sleep(time).await;
                self.life.alive().await;
                self.deliver(call, operation, None)
            }
            Some(Fate::Late(time)) => {
                let (tell, told) = oneshot::channel();
                let (wire, call, operation) = (self.clone(), call.clone(), operation.to_owned());
                tokio::spawn(async move {
                    sleep(time).await;
                    // The sender may have ended: the request is on its way all the same.
                    let _ = tell.send(wire.deliver(&call, &operation, None));
                });
                told.await.unwrap_or_else(|_| Err(NoAnswer("the schedule ended".to_owned())))
            }
            Some(Fate::Proxied(fault)) => self.deliver(call, operation, Some(&fault)),
            None => self.deliver(call, operation, None),
        }
    }

    /// The endpoint's answer, or what a planted bug makes of it.
    fn deliver(&self, call: &Call, operation: &str, fault: Option<&Fault>) -> Result<Answer, NoAnswer> {
        let planted = (self.life.role != Role::Observer).then_some(&self.planted);
        if let Some(answer) = planted.and_then(|planted| planted.instead(operation, call)) {
            return Ok(answer);
        }
        self.journal.asked();
        let lost = fault == Some(&Fault::DropAfter);
        // The answer is dropped here and not by the proxy: the journal has to know whether the call was applied.
        let fault = fault.filter(|_| !lost);
        let mut answer = self.endpoints.exchange(self.service, call.clone(), fault);
        if answer.as_ref().is_ok_and(|answer| answer.status < 300) {
            self.journal.applied(self.service, &call.method, &call.path);
        }
        if lost {
            return Err(NoAnswer("the answer was lost".to_owned()));
        }
        if let (Some(planted), Ok(answer)) = (planted, &mut answer) {
            planted.change(operation, call, answer);
        }
        answer
    }
}

/// The name of the operation: for DynamoDB and Lambda their own, for S3 the method and path.
fn operation(call: &Call) -> String {
    let target = call.headers.iter().find(|(name, _)| name == "x-amz-target");
    match target.and_then(|(_, target)| target.rsplit('.').next()) {
        Some(target) => target.to_owned(),
        None => {
            let path = call.path.split('?').next().unwrap_or_default();
            format!("{} {path}", call.method)
        }
    }
}

async fn taken(request: HttpRequest) -> Result<Call, ConnectorError> {
    let method = request.method().to_owned();
    let uri: http::Uri = request.uri().parse().map_err(|error| ConnectorError::user(Box::new(error)))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let headers =
        request.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let body = match request.body().bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => request.into_body().collect().await.map_err(ConnectorError::user)?.to_bytes(),
    };
    Ok(Call { method, path, headers, body })
}

fn response(answer: Result<Answer, NoAnswer>) -> Result<HttpResponse, ConnectorError> {
    let answer = answer.map_err(|error| ConnectorError::io(Box::new(error)))?;
    let body = if answer.cut_off { cut_off(answer.body) } else { SdkBody::from(answer.body) };
    let status = answer.status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, body);
    for (name, value) in answer.headers {
        let value = String::from_utf8_lossy(&value).into_owned();
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

fn cut_off(body: Bytes) -> SdkBody {
    let frames = [Ok(Frame::data(body)), Err(NoAnswer("it was cut off".to_owned()))];
    SdkBody::from_body_1_x(StreamBody::new(futures::stream::iter(frames)))
}

/// DynamoDB's answer when another transaction is changing an item.
fn conflict(call: &Call, operation: &str, code: &str) -> Answer {
    let event: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let body = match (operation, event["TransactItems"].as_array()) {
        ("TransactWriteItems", Some(items)) => {
            let mut reasons: Vec<Value> = items.iter().map(|_| json!({ "Code": "None" })).collect();
            if let Some(last) = reasons.last_mut() {
                *last = json!({ "Code": code, "Message": "made by the schedule" });
            }
            json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
                "CancellationReasons": reasons,
            })
        }
        _ => json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
            "message": "Transaction is ongoing for the item",
        }),
    };
    answer(400, &body)
}

/// An answer of DynamoDB's.
pub(crate) fn answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type".to_owned(), b"application/x-amz-json-1.0".to_vec())];
    Answer { status, headers, body: body.to_string().into(), cut_off: false }
}
