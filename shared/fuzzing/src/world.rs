//! The functions' own handlers over an embedded DynamoDB and S3 with a small shop in it.

use std::sync::LazyLock;

use lambda_runtime::{Context, LambdaEvent};
use nextbasket_domain::{Category, Currency};
use nextbasket_domain::{
    Clock, Line, Money, Product, ProductId, Purchase, PurchaseId, Random, Timestamp, UserId,
};
use nextbasket_http::{AuthMode, Service};
use nextbasket_job_engine::Engine;
use nextbasket_tables::{TableNames, Tables};
use nextbasket_telemetry::Metrics;
use nextbasket_testkit::TestStack;
use nextbasket_testkit::events::{ApiAnswer, api_event};
use nextbasket_testkit::jobs::train;
use tokio::runtime::{Builder, Runtime};

/// A runtime with one thread, so that an input runs through the same code each time.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| RUNTIME.block_on(World::start()));

pub(crate) struct World {
    /// Keeps the endpoints running.
    _stack: TestStack,
    pub(crate) tables: Tables,
    pub(crate) engine: Engine,
    purchases: purchases::State,
    products: products::State,
    recommendations: recommendations::State,
    jobs: jobs_api::State,
}

impl World {
    async fn start() -> Self {
        let stack = TestStack::start().await;
        let names = TableNames::from_lookup(|variable| Some(stack.table(variable).to_owned()));
        let tables = Tables::new(stack.dynamodb(), names);
        shop(&tables).await;
        train(stack.site(), &tables).await;
        let service = Service { auth: AuthMode::Iam, metrics: Metrics::off() };
        let (clock, random) = (Clock::system(), Random::system().unwrap());
        let engine = Engine::new(stack.site(), nextbasket_job_kinds::kinds(&tables, None));
        let driver = jobs_api::Driver::Workers(std::sync::Arc::default());
        Self {
            purchases: purchases::State::new(service.clone(), &tables, clock.clone(), random.clone())
                .unwrap(),
            products: products::State::new(service.clone(), &tables, clock.clone()).unwrap(),
            recommendations: recommendations::State::new(service.clone(), &tables, clock, random).unwrap(),
            jobs: jobs_api::State::new(service, engine.clone(), &tables, driver).unwrap(),
            engine,
            tables,
            _stack: stack,
        }
    }

    /// Sends a request like API Gateway: `route` is its key, the parameters are those of its path.
    pub(crate) fn send(
        &self,
        route: &str,
        parameters: &[(&str, &str)],
        query: &str,
        body: Option<&str>,
    ) -> ApiAnswer {
        let event = serde_json::from_value(api_event(route, parameters, query, body)).unwrap();
        let event = LambdaEvent::new(event, Context::default());
        let answer = RUNTIME.block_on(async {
            let path = route.rsplit_once(' ').map_or("", |(_, path)| path);
            match path {
                "/purchases" | "/users/{userId}/purchases" | "/users/{userId}/purchases/{purchaseId}" => {
                    Box::pin(purchases::handle(&self.purchases, event)).await
                }
                "/products" | "/products/{productId}" => {
                    Box::pin(products::handle(&self.products, event)).await
                }
                "/jobs" | "/jobs/{jobId}" => Box::pin(jobs_api::handle(&self.jobs, event)).await,
                _ => Box::pin(recommendations::handle(&self.recommendations, event)).await,
            }
        });
        let response = serde_json::to_value(answer.expect("a handler answers")).unwrap();
        let answer = ApiAnswer::of(&response);
        check(&answer);
        answer
    }
}

/// Checks that it is not a server error, and that a client error has a code and a field.
fn check(answer: &ApiAnswer) {
    assert!((200..500).contains(&answer.status), "{answer:?}");
    if is_ok(answer) {
        return;
    }
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default();
    let code = text("code");
    assert_eq!(answer.body["status"].as_i64(), Some(answer.status), "{answer:?}");
    assert_eq!(text("type"), format!("urn:nextbasket:problem:{code}"), "{answer:?}");
    assert!(!code.is_empty() && !text("title").is_empty() && !text("detail").is_empty(), "{answer:?}");
    // An error that the job would meet later belongs to no field.
    assert!(!text("field").is_empty() || code == "job_would_fail", "{answer:?}");
    assert!(answer.body.to_string().len() < 4_000, "an error repeats what it was given: {answer:?}");
}

pub(crate) fn is_ok(answer: &ApiAnswer) -> bool {
    answer.status < 400
}

/// Twelve products, six shoppers with four purchases each, and a model trained from them.
async fn shop(tables: &Tables) {
    let (products, purchases) = (tables.products().unwrap(), tables.purchases().unwrap());
    let history = tables.history().unwrap();
    let price = Money::new(790, Currency::parse("EUR").unwrap()).unwrap();
    let at = Timestamp::parse("2026-05-01T08:00:00Z").unwrap();
    let id = |n: usize| ProductId::parse(&format!("p{}", n % 12)).unwrap();
    for n in 0..12 {
        let product = Product {
            product_id: id(n),
            name: format!("Product {n}"),
            categories: [["Care", "Coffee"][n % 2]].map(|name| Category::parse(name).unwrap()).to_vec(),
            price: Some(price),
            available: n != 7,
            attributes: [("n".to_owned(), n.to_string())].into(),
            updated_at: at,
        };
        products.put(&product).await.unwrap();
    }
    for (n, user) in ["ada", "grace", "edith", "hedy", "joan", "rosa"].into_iter().enumerate() {
        let user_id = UserId::parse(user).unwrap();
        for round in 0..4 {
            let line =
                |step: usize| Line { product_id: id(n + step * round), quantity: 1, unit_price: Some(price) };
            let purchase = Purchase {
                purchase_id: PurchaseId::parse(&format!("o{round}")).unwrap(),
                user_id: user_id.clone(),
                purchased_at: at.plus_millis(i64::try_from(round * 6 + n).unwrap() * 86_400_000),
                lines: vec![line(0), line(1), line(2)],
                recommendation_id: None,
            };
            purchases.record(&purchase).await.unwrap();
        }
        history.refresh(&user_id, &purchases).await.unwrap();
    }
}
