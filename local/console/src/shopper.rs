//! `GET shoppers`, some to begin with; `POST shopper`, one of them.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use nextbasket_domain::{Basket, ProductId, Purchase, Timestamp, UserId};
use nextbasket_tables::damaged::log_skipped;
use serde::{Deserialize, Serialize};

use crate::Console;
use crate::answer::{Answer, Json};
use crate::kept::named;

/// How many histories are read to find some that are worth a look: a few read units.
const LOOKED_AT: u16 = 60;
const MAX_SHOPPERS: usize = 20;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/shoppers", get(list)).route("/shopper", post(show))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KnownShopper {
    user_id: UserId,
    /// As many as the history holds.
    purchases: usize,
    last_at: Timestamp,
}

#[derive(Serialize)]
struct KnownShoppers {
    items: Vec<KnownShopper>,
}

/// Those of some shoppers who bought last.
async fn list(State(console): State<Console>) -> Answer<KnownShoppers> {
    let histories = console.histories()?.some(LOOKED_AT).await?;
    log_skipped(&histories.damaged);
    let known = histories.items.into_iter().filter_map(|(user_id, history)| {
        let last_at = history.baskets.first()?.purchased_at;
        Some(KnownShopper { user_id, purchases: history.baskets.len(), last_at })
    });
    let mut items: Vec<_> = known.collect();
    items.sort_by(|a, b| b.last_at.cmp(&a.last_at).then_with(|| a.user_id.cmp(&b.user_id)));
    items.truncate(MAX_SHOPPERS);
    Ok(Json(KnownShoppers { items }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShopperQuestion {
    user_id: UserId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shopper {
    user_id: UserId,
    /// Whether the shopper was erased at some time; there may be purchases since.
    erased: bool,
    /// Newest first, as many as a history holds.
    purchases: Vec<Purchase>,
    /// How many damaged items are among them.
    damaged: usize,
    history: Option<ShopperHistory>,
    /// Whether the history is what follows from the purchases.
    matches: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShopperHistory {
    /// Newest first.
    baskets: Vec<ShownBasket>,
    bytes: usize,
    is_complete: bool,
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownBasket {
    purchased_at: Timestamp,
    products: Vec<ProductId>,
}

impl From<Basket> for ShownBasket {
    fn from(Basket { purchased_at, products }: Basket) -> Self {
        Self { purchased_at, products }
    }
}

async fn show(
    State(console): State<Console>,
    Json(ShopperQuestion { user_id }): Json<ShopperQuestion>,
) -> Answer<Shopper> {
    let (purchases, histories) = (console.purchases()?, console.histories()?);
    let erased = named(console.tables.erased_users())?;
    let (inspected, erased) =
        tokio::try_join!(histories.inspect(&user_id, &purchases), erased.until(user_id.as_str()))?;
    let history = inspected.stored.map(|(stored, version)| ShopperHistory {
        baskets: stored.baskets.into_iter().map(ShownBasket::from).collect(),
        bytes: stored.bytes,
        is_complete: stored.is_complete,
        version,
    });
    Ok(Json(Shopper {
        user_id,
        erased: erased.is_some(),
        purchases: inspected.purchases.items,
        damaged: inspected.purchases.damaged.len(),
        history,
        matches: inspected.matches,
    }))
}
