//! Purchases: `POST /purchases`, `GET /users/{userId}/purchases`,
//! `DELETE /users/{userId}/purchases/{purchaseId}` and `DELETE /users/{userId}`.
//!
//! A purchase is written once by a conditional put; everything derived from it follows through the table's stream.

use nextbasket_domain::object;
use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Clock, Line, Purchase, PurchaseId, Random, RecommendationId, Timestamp, UserId};
use nextbasket_erasure::ErasedUsers;
use nextbasket_http::{
    ApiError, ApiEvent, ApiResponse, Request, Service, cursor, json, list, no_content, service,
};
use nextbasket_tables::Tables;
use nextbasket_tables::answer_key::AnswerKeys;
use nextbasket_tables::damaged::log_skipped;
use nextbasket_tables::history::HistoryTable;
use nextbasket_tables::purchases::{PurchasePosition, PurchasesTable, Recorded, UserPage};
use nextbasket_telemetry::Unit;
use serde::Deserialize;

/// What the function keeps between invocations.
#[derive(Debug, Clone)]
pub struct State {
    service: Service,
    purchases: PurchasesTable,
    history: HistoryTable,
    answer_keys: AnswerKeys,
    erased_users: ErasedUsers,
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
            purchases: tables.purchases()?,
            history: tables.history()?,
            answer_keys: tables.answer_keys()?,
            erased_users: tables.erased_users()?,
            clock,
            random,
        })
    }

    /// Opens the connection before the first request, while the sandbox has a full CPU. A failure is left to the
    /// first request to report.
    pub async fn warm_up(&self) {
        if let Ok(nobody) = UserId::parse("-") {
            let _ = self.purchases.page(&nobody, 1, None).await;
        }
    }
}

pub async fn handle(state: &State, event: ApiEvent) -> Result<ApiResponse, lambda_runtime::Error> {
    state
        .service
        .answer(event, async |request| match request.route() {
            "POST /purchases" => record(state, &request).await,
            "GET /users/{userId}/purchases" => list_purchases(state, &request).await,
            "DELETE /users/{userId}/purchases/{purchaseId}" => cancel(state, &request).await,
            "DELETE /users/{userId}" => erase(state, &request).await,
            _ => Err(service::unknown_route(&request)),
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPurchase {
    #[serde(deserialize_with = "PurchaseId::deserialize_new")]
    purchase_id: PurchaseId,
    #[serde(deserialize_with = "UserId::deserialize_new")]
    user_id: UserId,
    purchased_at: Option<Timestamp>,
    #[serde(deserialize_with = "object::many")]
    lines: Vec<Line>,
    recommendation_id: Option<RecommendationId>,
}

async fn record(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    request.query(&[])?;
    let body: NewPurchase = request.body()?;
    request.caller.act_for(&body.user_id)?;
    Purchase::check_lines(&body.lines).map_err(|error| ApiError::invalid("lines", error))?;
    let now = state.clock.now();
    if body.purchased_at.is_some_and(|at| at > now.plus_millis(DAY_MS)) {
        return Err(ApiError::invalid("purchasedAt", "must not be more than a day ahead"));
    }
    let purchase = Purchase {
        purchase_id: body.purchase_id,
        user_id: body.user_id,
        purchased_at: body.purchased_at.unwrap_or(now),
        lines: body.lines,
        recommendation_id: body.recommendation_id,
    };
    match state.purchases.record(&purchase).await? {
        Recorded::New => {
            let counted = [("Purchases", 1.0, Unit::Count)];
            state.service.metrics.put(&[("Route", request.route())], &counted, &[]);
            count_conversion(state, request, &purchase).await;
            json(201, &purchase)
        }
        // A time that the client left to us is not part of what it says.
        Recorded::Before(before)
            if before.lines == purchase.lines
                && before.recommendation_id == purchase.recommendation_id
                && body.purchased_at.is_none_or(|at| at == before.purchased_at) =>
        {
            json(200, &before)
        }
        Recorded::Before(_) => Err(differs()),
        Recorded::Damaged(damaged) => {
            log_skipped(&[damaged]);
            Err(differs())
        }
    }
}

fn differs() -> ApiError {
    ApiError::conflict("purchase_differs", "this user has another purchase under this purchaseId")
        .at("purchaseId")
}

/// Counts a conversion for the answer whose id the purchase carries, if this stack issued that id recently, to this
/// user or without a user. The purchase is already recorded, so a failure here does not affect it.
async fn count_conversion(state: &State, request: &Request<'_>, purchase: &Purchase) {
    let Some(id) = purchase.recommendation_id.as_ref().filter(|id| id.has_our_form()) else { return };
    let key = match state.answer_keys.find().await {
        Ok(key) => key,
        Err(error) => {
            tracing::warn!(%error, "a conversion is not counted: the key of answers' ids cannot be read");
            return;
        }
    };
    let proved = key.and_then(|key| id.proved(&key, &purchase.user_id, state.clock.now()));
    if let Some(scenario) = proved {
        state.service.metrics.put(
            &[("Route", request.route())],
            &[("Conversions", 1.0, Unit::Count)],
            &[("scenario", scenario), ("recommendationId", id.as_str())],
        );
    }
}

async fn list_purchases(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let user = request.path("userId", UserId::parse_new)?;
    request.caller.act_for(&user)?;
    let query = request.query(&["limit", "cursor"])?;
    let limit = query.limit()?;
    let name = format!("purchases/{user}");
    let after = query.cursor(&name, |(at, id)| PurchasePosition::parse(at, id))?;
    let UserPage { purchases, damaged, end } = state.purchases.page(&user, limit, after.as_ref()).await?;
    log_skipped(&damaged);
    let end = end.map(|end| cursor::encode(&name, end.as_parts())).transpose()?;
    list(&purchases, end, |last| {
        cursor::encode(&name, (last.purchased_at.to_string(), last.purchase_id.as_str()))
    })
}

async fn cancel(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let user = request.path("userId", UserId::parse_new)?;
    let purchase = request.path("purchaseId", PurchaseId::parse_new)?;
    request.caller.act_for(&user)?;
    request.query(&[])?;
    state.purchases.remove(&user, &purchase).await?;
    Ok(no_content(204))
}

/// First the erasure is remembered, so that no restore brings back what is deleted then, even if this call is cut off.
/// The stream would update the history anyway; it is refreshed here so that nothing of what was erased is left when
/// the answer is sent. What the user buys meanwhile stays, with its history.
async fn erase(state: &State, request: &Request<'_>) -> Result<ApiResponse, ApiError> {
    let user = request.path("userId", UserId::parse_new)?;
    request.caller.act_for(&user)?;
    request.query(&[])?;
    let now = state.clock.now();
    // Purchases may be dated a day ahead: those that are deleted now are not to come back, either.
    let newest =
        state.purchases.page(&user, 1, None).await?.purchases.first().map(|newest| newest.purchased_at);
    let until = newest.map_or(now, |newest| newest.max(now));
    state.erased_users.remember(user.as_str(), until, &state.random, now).await?;
    state.purchases.remove_all(&user).await?;
    let refreshed = state.history.refresh(&user, &state.purchases).await?;
    log_skipped(&refreshed.damaged);
    Ok(no_content(202))
}
