//! What goes with one product.

use std::collections::HashSet;
use std::slice;

use nextbasket_domain::ProductId;
use nextbasket_http::ApiError;
use nextbasket_recommender::{NeighbourRow, ProductIx, Window};

use crate::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::fill::{Ranked, fill};
use crate::live_model::{LiveModel, Row};
use crate::popular;
use crate::ranking::{category_codes, in_categories};
use crate::reason::{Evidence, Reason};

/// How products are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// In the same baskets.
    #[default]
    Together,
    /// Bought by the same shoppers, at different times.
    Similar,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "together" => Ok(Self::Together),
            "similar" => Ok(Self::Similar),
            _ => Err("must be together or similar"),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Together => Self::Similar,
            Self::Similar => Self::Together,
        }
    }

    fn row(self, row: &Row) -> &NeighbourRow {
        match self {
            Self::Together => &row.rows.together,
            Self::Similar => &row.rows.similar,
        }
    }

    fn reason(self, evidence: Evidence) -> Reason {
        match self {
            Self::Together => Reason::bought_together(vec![evidence]),
            Self::Similar => Reason::bought_by_same_shoppers(vec![evidence]),
        }
    }
}

/// Answers with the product's neighbours of this kind, then of the other kind, then with what is popular.
///
/// # Errors
/// 404 if neither the model nor the catalogue knows the product.
pub(crate) async fn answer(
    state: &State,
    product: &ProductId,
    kind: Kind,
    ask: &Ask,
) -> Result<Answer, ApiError> {
    let model = state.models.live().await?;
    let ix = model.as_ref().and_then(|model| model.priors.index_of(product.as_str()));
    if ix.is_none() && state.cards.get(slice::from_ref(product)).await?.is_empty() {
        return Err(
            ApiError::not_found("product_not_found", "there is no product of this id").at("productId")
        );
    }
    let list = format!("related/{kind:?}/{product}");
    let never = slice::from_ref(product);
    let Some(model) = model else { return fill(state, ask, &list, None, never, |_| Vec::new()).await };
    let row = match ix {
        Some(ix) => state.models.rows(&model, &[ix]).await?.remove(&ix),
        None => None,
    };
    let rank = |n| rank(&model, product, row.as_deref(), kind, ask, n);
    fill(state, ask, &list, Some(model.pointer.version), never, rank).await
}

fn rank(
    model: &LiveModel,
    product: &ProductId,
    row: Option<&Row>,
    kind: Kind,
    ask: &Ask,
    n: usize,
) -> Vec<Ranked> {
    let priors = &model.priors;
    let wanted = category_codes(priors, ask);
    let mut seen: HashSet<ProductIx> = priors.index_of(product.as_str()).into_iter().collect();
    let mut ranked = Vec::new();
    for kind in [kind, kind.other()] {
        for neighbour in row.into_iter().flat_map(|row| kind.row(row).iter()) {
            if seen.insert(neighbour.product) && in_categories(priors, wanted.as_deref(), neighbour.product) {
                let Ok(id) = ProductId::parse(priors.id(neighbour.product)) else { continue };
                let name = row.and_then(|row| row.name.clone()).unwrap_or_else(|| product.to_string());
                let evidence = Evidence { product_id: product.clone(), name, count: neighbour.evidence };
                let score = f64::from(neighbour.score);
                ranked.push(Ranked { id, score, reasons: vec![kind.reason(evidence)] });
            }
        }
    }
    let popular = priors.popular(Window::Scoring).iter().copied();
    let others = popular
        .filter(|product| !seen.contains(product) && in_categories(priors, wanted.as_deref(), *product));
    let missing = n.saturating_sub(ranked.len());
    ranked
        .extend(others.filter_map(|product| popular::ranked(priors, Window::Scoring, product)).take(missing));
    ranked.truncate(n);
    ranked
}
