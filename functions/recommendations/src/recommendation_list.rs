//! The shape of every answer here.

use std::sync::Arc;

use nextbasket_domain::{Category, Money, Product, ProductId, Timestamp};
use nextbasket_telemetry::{Metrics, Unit};
use serde::Serialize;

use crate::reason::{Reason, ReasonKind};
use crate::reason_texts::LanguageTexts;

/// A list of products with reasons.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecommendationList {
    /// To be given back with a purchase that it leads to.
    pub(crate) recommendation_id: String,
    /// The model's version; null before the first training.
    pub(crate) model_version: Option<u64>,
    /// The time that the answer is for, where that is not the time of the request: the newest purchase that the model
    /// has seen, if there has been none for long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) items: Vec<RecommendedItem>,
    /// Where the list continues, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<String>,
}

impl RecommendationList {
    /// The products with their names, in order.
    pub fn products(&self) -> impl Iterator<Item = (&ProductId, &str)> {
        self.items.iter().map(|item| (&item.product_id, item.name.as_str()))
    }

    /// Gives the reasons their texts.
    pub(crate) fn put_into_words(&mut self, texts: &LanguageTexts) {
        for reason in self.items.iter_mut().flat_map(|item| &mut item.reasons) {
            reason.text = texts.phrase(reason);
        }
    }

    /// Counts the answer for its route, and its items by their strongest reason. The scenario is a property, for
    /// searches.
    pub(crate) fn report(&self, metrics: &Metrics, route: &str, scenario: &str) {
        let mut counts = vec![("Answers", 1.0, Unit::Count)];
        for (kind, metric) in ReasonKind::METRICS {
            let items = self.items.iter().filter(|item| item.reasons.first().is_some_and(|r| r.kind == kind));
            let items = u32::try_from(items.count()).unwrap_or(u32::MAX);
            counts.push((metric, f64::from(items), Unit::Count));
        }
        let properties = [("scenario", scenario), ("recommendationId", &self.recommendation_id)];
        metrics.put(&[("Route", route)], &counts, &properties);
    }
}

/// One product of an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecommendedItem {
    pub product_id: ProductId,
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What the product is ranked by among those of the same source; to six decimals.
    pub score: f64,
    /// Strongest first, at least one.
    pub reasons: Vec<Reason>,
}

impl RecommendedItem {
    pub(crate) fn new(card: &Arc<Product>, score: f64, mut reasons: Vec<Reason>) -> Self {
        if reasons.is_empty() {
            reasons.push(Reason::catalogue());
        }
        Self {
            product_id: card.product_id.clone(),
            name: card.name.clone(),
            categories: card.categories.clone(),
            price: card.price,
            score: (score * 1e6).round() / 1e6,
            reasons,
        }
    }
}
