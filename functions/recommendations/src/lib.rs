//! Recommendations: `GET /users/{userId}/recommendations`, `POST /recommendations`,
//! `GET /products/{productId}/related` (and `GET /products/related?productId=…`) and `GET /products/popular`.
//!
//! * what a request asks for (`list_options.rs`)
//! * the live model and its cached rows (`live_model.rs`), the cached product cards (`cards.rs`)
//! * one user's or cart's ranking (`ranking.rs`), products the model has not seen (`unmodelled.rs`)
//! * from a ranking to an answer: filter and fill (`fill.rs`, `recommendation_list.rs`), without showing anything twice
//!   (`shown.rs`) or reading too much (`read_budget.rs`)
//! * why: facts about other shoppers (`reason.rs`, `own_purchases.rs`), in the words of the language that the request
//!   accepts (`reason_texts.rs`, `accept_language.rs`)
//! * lists of one product or of none (`related.rs`, `popular.rs`)
//! * what a process that links this crate may suppose (`supposition.rs`)
//!
//! An answer is never empty while the catalogue has an available product that the request does not rule out: the
//! model's ranking is followed by its most popular products, and those by whatever stands on the shelves.

mod accept_language;
mod cards;
mod fill;
mod list_options;
mod live_model;
mod own_purchases;
mod popular;
mod ranking;
mod read_budget;
mod reason;
pub mod reason_texts;
mod recommendation_list;
mod related;
mod shown;
mod supposition;
mod unmodelled;

use http::HeaderValue;
use http::header::{ACCEPT_LANGUAGE, CONTENT_LANGUAGE, VARY};
use nextbasket_domain::{Clock, ProductId, Random, UserId};
use nextbasket_http::{ApiError, ApiEvent, ApiResponse, Request, Service, json, service};
use nextbasket_tables::Tables;
use nextbasket_tables::answer_key::AnswerKeys;
use nextbasket_tables::history::HistoryTable;

use crate::cards::Cards;
use crate::list_options::{CartBody, ListOptions};
use crate::live_model::LiveModelCache;
use crate::popular::PopularListCache;
use crate::reason_texts::ReasonTexts;

pub use crate::live_model::LiveModel;
pub use crate::popular::name as window_name;
pub use crate::reason::MIN_SUPPORT;
pub use crate::recommendation_list::RecommendationList;
pub use crate::related::Relation;
pub use crate::shown::MAX_SHOWN;
pub use crate::supposition::{AskedList, PopularRank, Supposition};

/// What the function keeps between invocations.
#[derive(Debug)]
pub struct State {
    service: Service,
    history: HistoryTable,
    models: LiveModelCache,
    popular: PopularListCache,
    cards: Cards,
    answer_keys: AnswerKeys,
    texts: ReasonTexts,
    clock: Clock,
    random: Random,
}

impl State {
    pub fn new(
        service: Service,
        tables: &Tables,
        clock: Clock,
        random: Random,
    ) -> Result<Self, lambda_runtime::Error> {
        Ok(Self {
            service,
            history: tables.history()?,
            models: LiveModelCache::new(tables.model()?, clock.clone()),
            popular: PopularListCache::new(tables.popular()?, clock.clone()),
            cards: Cards::new(tables.products()?, clock.clone()),
            answer_keys: tables.answer_keys()?,
            texts: ReasonTexts::built_in()?,
            clock,
            random,
        })
    }

    /// With these texts of reasons instead of the built-in ones.
    #[must_use]
    pub fn with_texts(self, texts: ReasonTexts) -> Self {
        Self { texts, ..self }
    }

    /// Opens the connection, and reads the model and the key of answers' ids before the first request, while the
    /// sandbox has a full CPU. If that fails, the first request reports it.
    pub async fn warm_up(&self) {
        let _ = tokio::join!(self.models.live(), self.answer_keys.find_or_draw(&self.random));
    }
}

pub async fn handle(state: &State, event: ApiEvent) -> Result<ApiResponse, lambda_runtime::Error> {
    state
        .service
        .answer(event, async |request| match request.route() {
            "GET /users/{userId}/recommendations" => for_user(state, &request).await,
            "POST /recommendations" => for_cart(state, &request).await,
            "GET /products/{productId}/related" | "GET /products/related" => {
                related_to(state, &request).await
            }
            "GET /products/popular" => popular_now(state, &request).await,
            _ => Err(service::unknown_route(&request)),
        })
        .await
}

async fn for_user(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let user = request.path("userId", UserId::parse_new)?;
    request.caller.act_for(&user)?;
    let query = request.query(&["limit", "category", "exclude*", "scenario", "cursor", "at"])?;
    let options = ListOptions { user: Some(user), ..ListOptions::of_query(&query)? };
    answered(state, request, &options, ranking::answer(state, &[], &options).await?)
}

async fn for_cart(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    request.query(&[])?;
    let body: CartBody = request.body()?;
    if let Some(user) = &body.user_id {
        request.caller.act_for(user)?;
    }
    let (cart, options) = body.into_options()?;
    answered(state, request, &options, ranking::answer(state, &cart, &options).await?)
}

async fn related_to(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let (product, query) = request.path_or_query(
        "productId",
        &["kind", "limit", "category", "exclude*", "scenario", "cursor", "at"],
        ProductId::parse,
    )?;
    let relation = query.get("kind", related::Relation::parse)?.unwrap_or_default();
    let options = ListOptions::of_query(&query)?;
    answered(state, request, &options, related::answer(state, &product, relation, &options).await?)
}

async fn popular_now(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let query = request.query(&["window", "limit", "category", "exclude*", "scenario", "cursor", "at"])?;
    let window = query.get("window", popular::parse_window)?.unwrap_or(popular::DEFAULT_WINDOW);
    let options = ListOptions::of_query(&query)?;
    answered(state, request, &options, popular::answer(state, window, &options).await?)
}

fn answered(
    state: &State,
    request: &Request<'_>,
    options: &ListOptions,
    mut answer: RecommendationList,
) -> Result<ApiResponse, ApiError> {
    answer.report(&state.service.metrics, request.route(), options.scenario.as_str());
    let accepted: Vec<&str> = request
        .event
        .headers
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let texts = state.texts.preferred(&accepted.join(","));
    answer.put_into_words(texts);
    let mut response = json(200, &answer)?;
    response.headers.insert(VARY, HeaderValue::from_static("Accept-Language"));
    let language = HeaderValue::from_str(&texts.tag).map_err(ApiError::internal)?;
    response.headers.insert(CONTENT_LANGUAGE, language);
    Ok(response)
}
