//! `POST lists`: a shopper's or a cart's list as it is, by another model, or with purchases that nobody made.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;
use nextbasket_domain::purchase::MAX_LINES;
use nextbasket_domain::{Basket, HISTORY_BASKETS, ProductId, Timestamp, UserId, object};
use nextbasket_http::ApiError;
use nextbasket_http::request::Limit;
use recommendations::{AskedList, RecommendationList, Supposition};
use serde::Deserialize;

use crate::Console;
use crate::answer::{Answer, Json};

/// As many as `POST /recommendations` takes.
const MAX_CART: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListQuestion {
    user_id: Option<UserId>,
    #[serde(default)]
    basket: Vec<ProductId>,
    #[serde(default)]
    limit: Limit,
    at: Option<Timestamp>,
    /// The live model's version or the one before it.
    model: Option<u64>,
    /// Purchases that are supposed and not stored.
    #[serde(default, deserialize_with = "object::many")]
    purchases: Vec<SupposedPurchase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SupposedPurchase {
    purchased_at: Timestamp,
    products: Vec<ProductId>,
}

impl ListQuestion {
    fn parse(self) -> Result<(AskedList, usize, Supposition), ApiError> {
        at_most("basket", self.basket.len(), MAX_CART)?;
        at_most("purchases", self.purchases.len(), HISTORY_BASKETS)?;
        let mut purchases = Vec::with_capacity(self.purchases.len());
        for (index, SupposedPurchase { purchased_at, mut products }) in self.purchases.into_iter().enumerate()
        {
            let field = format!("purchases[{index}].products");
            at_most(&field, products.len(), MAX_LINES)?;
            if products.is_empty() {
                return Err(ApiError::invalid(field, "must have at least one product"));
            }
            products.sort_unstable();
            products.dedup();
            purchases.push(Basket { purchased_at, products });
        }
        let list = AskedList::Shopper { user: self.user_id, cart: self.basket, at: self.at };
        Ok((list, self.limit.0, Supposition { model: self.model, purchases, products: Vec::new() }))
    }
}

fn at_most(field: &str, given: usize, limit: usize) -> Result<(), ApiError> {
    if given <= limit {
        return Ok(());
    }
    Err(ApiError::invalid(field, format!("must be at most {limit}, not {given}")))
}

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/lists", post(answer))
}

async fn answer(
    State(console): State<Console>,
    headers: HeaderMap,
    Json(question): Json<ListQuestion>,
) -> Answer<RecommendationList> {
    let (list, limit, supposition) = question.parse()?;
    let language = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Ok(Json(console.lists.suppose(&list, limit, supposition, language).await?))
}
