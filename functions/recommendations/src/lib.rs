//! Recommendations: `GET /users/{userId}/recommendations`, `POST /recommendations`,
//! `GET /products/{productId}/related` and `GET /products/popular`.
//!
//! * what a request asks for, parsed (`ask.rs`)
//! * the live model and its cached rows (`live_model.rs`), the cached product cards (`cards.rs`)
//! * one user's or cart's ranking (`ranking.rs`), products the model has not seen (`unmodelled.rs`)
//! * from a ranking to an answer: filter, fill, explain (`fill.rs`, `reason.rs`, `answer.rs`)
//! * lists of one product or of none (`related.rs`, `popular.rs`)
//!
//! An answer is never empty while the catalogue has an available product that the request does not rule out: the
//! model's ranking is followed by its most popular products, and those by the catalogue.

mod answer;
mod ask;
mod cards;
mod fill;
mod live_model;
mod popular;
mod ranking;
mod reason;
mod related;
mod unmodelled;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_runtime::LambdaEvent;
use nextbasket_domain::{Clock, ProductId, Random, UserId};
use nextbasket_http::{ApiError, Request, Service, json, service};
use nextbasket_tables::Tables;
use nextbasket_tables::answer_key::AnswerKeys;
use nextbasket_tables::history::HistoryTable;

use crate::answer::Answer;
use crate::ask::{Ask, CartBody};
use crate::cards::Cards;
use crate::live_model::Models;
use crate::popular::Lists;

/// What the function keeps between invocations.
#[derive(Debug)]
pub struct State {
    service: Service,
    history: HistoryTable,
    models: Models,
    popular: Lists,
    cards: Cards,
    answer_keys: AnswerKeys,
    clock: Clock,
    random: Random,
}

impl State {
    /// With these tables, this clock and these random bits.
    ///
    /// # Errors
    /// If a table has no name.
    pub fn new(
        service: Service,
        tables: &Tables,
        clock: Clock,
        random: Random,
    ) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            service,
            history: tables.history()?,
            models: Models::new(tables.model()?, clock.clone()),
            popular: Lists::new(tables.popular()?, clock.clone()),
            cards: Cards::new(tables.products()?, clock.clone()),
            answer_keys: tables.answer_keys()?,
            clock,
            random,
        })
    }

    /// Opens the connection, and reads the model and the key of answers' ids before the first request, while the
    /// sandbox has a full CPU. If that fails, the first request reports it.
    pub async fn warm_up(&self) {
        let _ = tokio::join!(self.models.live(), self.answer_keys.find_or_draw(&self.random));
    }
}

/// Answers one request.
///
/// # Errors
/// None: what goes wrong is answered as problem details.
pub async fn handle(
    state: &State,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<ApiGatewayV2httpResponse, lambda_runtime::Error> {
    state
        .service
        .answer(event, async |request| match request.route() {
            "GET /users/{userId}/recommendations" => for_user(state, &request).await,
            "POST /recommendations" => for_cart(state, &request).await,
            "GET /products/{productId}/related" => related_to(state, &request).await,
            "GET /products/popular" => popular_now(state, &request).await,
            _ => Err(service::unknown_route(&request)),
        })
        .await
}

async fn for_user(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let user: UserId = request.path("userId")?;
    request.caller.act_for(&user)?;
    let query = request.query(&["limit", "category", "exclude*", "scenario", "cursor"])?;
    let ask = Ask { user: Some(user), ..Ask::of_query(&query)? };
    answered(state, request, &ask, &ranking::answer(state, &[], &ask).await?)
}

async fn for_cart(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    request.query(&[])?;
    let body: CartBody = request.body()?;
    if let Some(user) = &body.user_id {
        request.caller.act_for(user)?;
    }
    let (cart, ask) = body.into_ask()?;
    answered(state, request, &ask, &ranking::answer(state, &cart, &ask).await?)
}

async fn related_to(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let product: ProductId = request.path("productId")?;
    let query = request.query(&["kind", "limit", "category", "exclude*", "scenario", "cursor"])?;
    let kind = query.get("kind", related::Kind::parse)?.unwrap_or_default();
    let ask = Ask::of_query(&query)?;
    answered(state, request, &ask, &related::answer(state, &product, kind, &ask).await?)
}

async fn popular_now(state: &State, request: &Request<'_>) -> Result<ApiGatewayV2httpResponse, ApiError> {
    let query = request.query(&["window", "limit", "category", "exclude*", "scenario", "cursor"])?;
    let window = query.get("window", popular::parse_window)?.unwrap_or(popular::DEFAULT_WINDOW);
    let ask = Ask::of_query(&query)?;
    answered(state, request, &ask, &popular::answer(state, window, &ask).await?)
}

fn answered(
    state: &State,
    request: &Request<'_>,
    ask: &Ask,
    answer: &Answer,
) -> Result<ApiGatewayV2httpResponse, ApiError> {
    answer.report(&state.service.metrics, request.route(), ask.scenario.as_str());
    json(200, answer)
}
