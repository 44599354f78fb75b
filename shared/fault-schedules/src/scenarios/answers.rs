//! Requests to the API's functions, repeated until they are answered, and checks of the answers about a user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::Purchase;
use nextbasket_http::{AuthMode, Service};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::events::{ApiAnswer, api_event};
use serde_json::Value;

use crate::process::{Process, Role};
use crate::world::broken;
use crate::{Checked, Violation, World, ensure};

/// How many times a request is sent until there is an answer.
const REQUESTS: u32 = 40;

/// A request as API Gateway passes it on.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    route: &'static str,
    parameters: Vec<(&'static str, String)>,
    query: String,
    body: Option<Value>,
}

impl Ask {
    pub(super) fn new(route: &'static str) -> Self {
        Self { route, parameters: Vec::new(), query: String::new(), body: None }
    }

    pub(super) fn of(mut self, name: &'static str, value: &str) -> Self {
        self.parameters.push((name, value.to_owned()));
        self
    }

    pub(super) fn query(mut self, query: &str) -> Self {
        query.clone_into(&mut self.query);
        self
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    fn event(&self) -> Value {
        let parameters: Vec<_> =
            self.parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = self.body.as_ref().map(Value::to_string);
        api_event(self.route, &parameters, &self.query, body.as_deref())
    }
}

/// The answer of the route's function, in this process.
async fn answered(world: &World, process: &Process, ask: &Ask) -> Checked<ApiAnswer> {
    let event = serde_json::from_value(ask.event()).map_err(broken)?;
    let event = LambdaEvent::new(event, Context::default());
    let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
    let (tables, clock, random) = (world.live_tables(process), world.clock.clone(), world.random.clone());
    let response = if ask.route.ends_with("recommendations") {
        let state = recommendations::State::new(service, &tables, clock, random).map_err(broken)?;
        recommendations::handle(&state, event).await
    } else {
        let state = purchases::State::new(service, &tables, clock, random).map_err(broken)?;
        purchases::handle(&state, event).await
    };
    let response = serde_json::to_value(response.map_err(broken)?).map_err(broken)?;
    Ok(ApiAnswer::of(&response))
}

/// Sends the same request until the answer is not 5xx: each time to a new sandbox, which may crash.
pub(super) async fn ask(world: &World, ask: &Ask) -> Checked<ApiAnswer> {
    let mut last = Value::Null;
    for _ in 0..REQUESTS {
        let process = world.process(Role::Function);
        let time = Duration::from_secs(10);
        if let Some(answer) = process.live_for(time, Box::pin(answered(world, &process, ask))).await {
            let answer = answer?;
            if answer.status < 500 {
                return Ok(answer);
            }
            ensure!(answer.status == 503, "{} was answered {}: {}", ask.route, answer.status, answer.body);
            last = answer.body;
        }
        world.pause(1_500).await;
    }
    Err(Violation(format!("{} was sent {REQUESTS} times; the last answer: {last}", ask.route)))
}

/// The answer in a process without faults.
pub(super) async fn plain(world: &World, ask: &Ask) -> Checked<ApiAnswer> {
    Box::pin(answered(world, world.observer(), ask)).await
}

/// Checks that a user's recommendations agree with what they bought: the products that they bought are there, and the
/// counts in reasons equal an independent count; no other product claims to have been bought.
pub(super) async fn check(world: &World, user: &str, purchases: &[Purchase]) -> Checked {
    let request = Ask::new("GET /users/{userId}/recommendations").of("userId", user).query("limit=100");
    let answer = plain(world, &request).await?;
    ensure!(answer.status == 200, "recommendations for {user}: {} {}", answer.status, answer.body);
    let mut bought: BTreeMap<String, u64> = BTreeMap::new();
    for purchase in purchases {
        let products: BTreeSet<String> =
            purchase.lines.iter().map(|line| line.product_id.to_string()).collect();
        for product in products {
            *bought.entry(product).or_default() += 1;
        }
    }
    let (mut again, mut listed) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    for item in answer.body["items"].as_array().into_iter().flatten() {
        let product = item["productId"].as_str().unwrap_or_default().to_owned();
        listed.insert(product.clone());
        for reason in item["reasons"].as_array().into_iter().flatten() {
            match reason["kind"].as_str().unwrap_or_default() {
                "boughtAgain" => {
                    again.insert(product.clone(), reason["times"].as_u64().unwrap_or(0));
                    let of = reason["purchases"].as_u64();
                    ensure!(
                        of == Some(purchases.len() as u64),
                        "{product} for {user}: of {of:?} purchases, not of {}",
                        purchases.len()
                    );
                }
                "boughtNext" => {
                    ensure!(!purchases.is_empty(), "{user} has bought nothing and is told of it: {reason}");
                }
                _ => {}
            }
        }
    }
    // A reason that contributes next to nothing to a score is omitted.
    let counted = again.iter().all(|(product, times)| bought.get(product) == Some(times));
    let missing = bought.keys().find(|product| !listed.contains(*product));
    ensure!(
        counted && missing.is_none() && again.is_empty() == bought.is_empty(),
        "{user} bought {bought:?}, the answer says {again:?} and does not list {missing:?}: {}",
        answer.body
    );
    Ok(())
}
