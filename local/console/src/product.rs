//! `POST product`: a product as the recommender sees it.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use nextbasket_domain::{Category, Product, ProductId};
use nextbasket_http::ApiError;
use nextbasket_recommender::{ProductIx, Window};
use nextbasket_tables::TableError;
use recommendations::{LiveModel, MAX_SHOWN, MIN_SUPPORT, PopularRank, window_name};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Console;
use crate::answer::{Answer, Json};
use crate::mentions::Mention;
use crate::statistics::{self, ProductStatistics};

/// The windows of lists of popular products.
pub(crate) const WINDOWS: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::AllTime];

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/product", post(show))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProductQuestion {
    product_id: ProductId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductFacts {
    product_id: ProductId,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Product>,
    in_model: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelFacts>,
    popular: Vec<PopularPlace>,
    appears_in: Vec<Mention>,
    why_not: Vec<WhyNot>,
    statistics: ProductStatistics,
}

/// What the live model knows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelFacts {
    /// Its buyers.
    users: u32,
    baskets: u32,
    /// By popularity in the window that the score uses, from 1.
    rank: usize,
    /// Of the product's purchases, those that are followed by another within the shopper's next 3 baskets.
    repeat_share: f64,
}

#[derive(Serialize)]
struct PopularPlace {
    window: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<Category>,
    rank: usize,
    of: usize,
}

/// What keeps a product out of lists, or low in them.
#[derive(Debug, Serialize)]
struct WhyNot {
    code: &'static str,
    values: BTreeMap<&'static str, Value>,
}

async fn show(
    State(console): State<Console>,
    Json(ProductQuestion { product_id }): Json<ProductQuestion>,
) -> Answer<ProductFacts> {
    let (card, model) = tokio::join!(card(&console, &product_id), console.lists.model(None));
    let (card, model) = (card?, model?);
    let known = model.as_deref().and_then(|model| Some((model, model.priors.index_of(product_id.as_str())?)));
    let appears_in = match known {
        Some((model, product)) => console.kept().mentions.of(&console.models()?, model, product).await?,
        None => Vec::new(),
    };
    let popular = popular_places(&console, &product_id, card.product()).await?;
    let statistics = statistics::of_product(&console, &product_id).await?;
    let why_not = Reasons { card: &card, model: model.as_deref(), known: known.map(|known| known.1) };
    Ok(Json(ProductFacts {
        why_not: why_not.list(&popular, &appears_in),
        in_model: known.is_some(),
        model: known.map(|(model, product)| ModelFacts::of(model, product)),
        popular,
        appears_in,
        statistics,
        card: card.into_product(),
        product_id,
    }))
}

/// What the catalogue has under an id.
pub(crate) enum Card {
    There(Box<Product>),
    Damaged,
    Missing,
}

impl Card {
    fn product(&self) -> Option<&Product> {
        match self {
            Self::There(product) => Some(product),
            Self::Damaged | Self::Missing => None,
        }
    }

    pub(crate) fn into_product(self) -> Option<Product> {
        match self {
            Self::There(product) => Some(*product),
            Self::Damaged | Self::Missing => None,
        }
    }
}

pub(crate) async fn card(console: &Console, id: &ProductId) -> Result<Card, ApiError> {
    match console.products()?.get(id).await {
        Ok(Some(product)) => Ok(Card::There(Box::new(product))),
        Ok(None) => Ok(Card::Missing),
        Err(TableError::Corrupt { .. }) => Ok(Card::Damaged),
        Err(error) => Err(error.into()),
    }
}

async fn popular_places(
    console: &Console,
    id: &ProductId,
    card: Option<&Product>,
) -> Result<Vec<PopularPlace>, ApiError> {
    let categories = card.map(|card| card.categories.as_slice()).unwrap_or_default();
    let mut places = Vec::new();
    for category in [None].into_iter().chain(categories.iter().map(Some)) {
        for window in WINDOWS {
            let place = console.lists.popular_rank(id, window, category).await?;
            if let (Some(PopularRank { rank, of }), Some(window)) = (place, window_name(window)) {
                places.push(PopularPlace { window, category: category.cloned(), rank, of });
            }
        }
    }
    Ok(places)
}

impl ModelFacts {
    fn of(model: &LiveModel, product: ProductIx) -> Self {
        let priors = &model.priors;
        let place = priors.popular(Window::Scoring).iter().position(|at| *at == product);
        Self {
            users: priors.buyers(product),
            baskets: priors.product_baskets(product),
            rank: place.map_or_else(|| priors.len(), |place| place + 1),
            repeat_share: priors.repeat_rate(product),
        }
    }
}

/// What reasons against a product are made of.
struct Reasons<'a> {
    card: &'a Card,
    /// `None` before the first training.
    model: Option<&'a LiveModel>,
    known: Option<ProductIx>,
}

impl Reasons<'_> {
    /// What keeps it out of all lists first.
    fn list(&self, popular: &[PopularPlace], appears_in: &[Mention]) -> Vec<WhyNot> {
        let mut list = Vec::new();
        let mut push = |code, values: &[(&'static str, Value)]| {
            list.push(WhyNot { code, values: values.iter().cloned().collect() });
        };
        match self.card {
            Card::Damaged => push("damaged", &[]),
            Card::Missing if self.known.is_none() => push("unknown_product", &[]),
            Card::Missing => push("not_in_catalogue", &[]),
            Card::There(card) if !card.available => push("unavailable", &[]),
            Card::There(_) => {}
        }
        match (self.model, self.known) {
            (None, _) => push("no_model", &[]),
            (Some(model), Some(product)) => {
                let buyers = model.priors.buyers(product);
                if buyers < MIN_SUPPORT {
                    push("few_buyers", &[("buyers", json!(buyers)), ("least", json!(MIN_SUPPORT))]);
                }
                let best =
                    popular.iter().filter(|place| place.category.is_none()).min_by_key(|place| place.rank);
                if let Some(PopularPlace { rank, of, .. }) = best.filter(|place| place.rank > MAX_SHOWN) {
                    push(
                        "low_rank",
                        &[("rank", json!(rank)), ("of", json!(of)), ("shown", json!(MAX_SHOWN))],
                    );
                }
                if appears_in.is_empty() {
                    push("no_neighbours", &[("version", json!(model.pointer.version))]);
                }
            }
            (Some(model), None) if self.card.product().is_some() => push(
                "not_in_model",
                &[("version", json!(model.pointer.version)), ("trainedAt", json!(model.pointer.trained_at))],
            ),
            (Some(_), None) => {}
        }
        if let Some(card) = self.card.product() {
            if card.categories.is_empty() {
                push("no_category", &[]);
            }
            // Lists of a category are ranked by the categories that the product had when the model was trained.
            if let (Some(model), Some(product)) = (self.model, self.known) {
                let then: Vec<&str> = model.priors.categories(product).collect();
                let later: Vec<&str> =
                    card.categories.iter().map(Category::as_str).filter(|now| !then.contains(now)).collect();
                if !later.is_empty() {
                    let trained_at = json!(model.pointer.trained_at);
                    push(
                        "new_category",
                        &[("categories", json!(later.join(", "))), ("trainedAt", trained_at)],
                    );
                }
            }
        }
        list
    }
}
