//! Products that go with one product.

use std::collections::HashSet;
use std::slice;
use std::sync::Arc;

use nextbasket_domain::ProductId;
use nextbasket_http::ApiError;
use nextbasket_recommender::{NeighbourRow, ProductIx, Window};

use crate::State;
use crate::fill::{Ranked, Ranking, fill};
use crate::list_options::ListOptions;
use crate::live_model::{LiveModel, NamedRows, POINTER_HALF_UNITS};
use crate::popular;
use crate::ranking::{category_codes, in_categories};
use crate::reason::{CountedShoppers, Evidence, Reason, SureCount};
use crate::recommendation_list::RecommendationList;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Relation {
    /// In the same baskets.
    #[default]
    Together,
    /// Bought by the same shoppers, at different times.
    Similar,
}

impl Relation {
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

    fn row(self, row: &NamedRows) -> &NeighbourRow {
        match self {
            Self::Together => &row.rows.together,
            Self::Similar => &row.rows.similar,
        }
    }

    fn reason(self, evidence: Evidence) -> Option<Reason> {
        match self {
            Self::Together => Reason::bought_together(vec![evidence], CountedShoppers::All),
            Self::Similar => Reason::bought_by_same_shoppers(evidence),
        }
    }
}

/// Answers with the product's neighbours of this relation, then of the other relation, then with what is popular.
///
/// # Errors
/// 404 if neither the model nor the catalogue knows the product.
pub(crate) async fn answer(
    state: &State,
    product: &ProductId,
    relation: Relation,
    options: &ListOptions,
) -> Result<RecommendationList, ApiError> {
    let model = state.models.for_answer(options).await?;
    let ix = model.as_ref().and_then(|model| model.priors.index_of(product.as_str()));
    if ix.is_none() && state.cards.get(slice::from_ref(product)).await?.is_empty() {
        return Err(ApiError::not_found(
            "product_not_found",
            format!("product {:?} not found", product.as_str()),
        )
        .at("productId"));
    }
    let mut budget = options.read_budget();
    budget.spend(POINTER_HALF_UNITS + usize::from(ix.is_none()));
    let list = format!("related/{relation:?}/{product}");
    let never = slice::from_ref(product);
    let row = match (&model, ix) {
        (Some(model), Some(ix)) => state.models.rows(model, &[ix], &mut budget).await?.remove(&ix),
        _ => None,
    };
    let version = model.as_ref().map(|model| model.pointer.version);
    let related = RelatedRanking { model, product, row, relation, options };
    fill(state, options, &list, version, never, &related, budget).await
}

struct RelatedRanking<'a> {
    /// `None` before the first training.
    model: Option<Arc<LiveModel>>,
    product: &'a ProductId,
    row: Option<Arc<NamedRows>>,
    relation: Relation,
    options: &'a ListOptions,
}

/// Why a product is in the list.
struct RelatedWhy {
    product: ProductIx,
    /// The relation that it is a neighbour of, with the number of baskets or shoppers; `None` if it is just popular.
    neighbour: Option<(Relation, u32)>,
}

impl Ranking for RelatedRanking<'_> {
    type Why = RelatedWhy;

    fn best(&self, n: usize) -> Vec<Ranked<RelatedWhy>> {
        let Some(model) = &self.model else { return Vec::new() };
        let priors = &model.priors;
        let wanted = category_codes(priors, self.options);
        let fits = |product| in_categories(priors, wanted.as_deref(), product);
        let mut seen: HashSet<ProductIx> = priors.index_of(self.product.as_str()).into_iter().collect();
        let mut ranked = Vec::new();
        for relation in [self.relation, self.relation.other()] {
            let mut scale = Scale::after(&ranked);
            for neighbour in self.row.iter().flat_map(|row| relation.row(row).iter()) {
                if seen.insert(neighbour.product)
                    && fits(neighbour.product)
                    && let Ok(id) = ProductId::parse(priors.id(neighbour.product))
                {
                    let why = RelatedWhy {
                        product: neighbour.product,
                        neighbour: Some((relation, neighbour.evidence)),
                    };
                    let score = scale.apply(f64::from(neighbour.score));
                    ranked.push(Ranked { id, score, why });
                }
            }
        }
        ranked.truncate(n);
        let mut scale = Scale::after(&ranked);
        let popular = priors.popular(Window::Scoring).iter().copied();
        let others = popular.filter(|product| !seen.contains(product) && fits(*product));
        let others = others.filter_map(|product| {
            let id = ProductId::parse(priors.id(product)).ok()?;
            let score = scale.apply(priors.popularity(product, Window::Scoring));
            Some(Ranked { id, score, why: RelatedWhy { product, neighbour: None } })
        });
        let missing = n - ranked.len();
        ranked.extend(others.take(missing));
        ranked
    }

    /// A neighbour in too few baskets or of too few shoppers may still be popular.
    fn reasons(&self, why: &RelatedWhy) -> Vec<Reason> {
        let related = why.neighbour.and_then(|(relation, count)| {
            let name = self.row.as_ref().and_then(|row| row.name.clone());
            let name = name.unwrap_or_else(|| self.product.to_string());
            relation.reason(Evidence::new(self.product.clone(), name, SureCount::exactly(count)))
        });
        let popular = || self.model.as_ref().and_then(|model| popular::reason(&model.priors, why.product));
        related.or_else(popular).into_iter().collect()
    }
}

/// Brings the scores of a group of products under those of the groups before it, which are of another kind: a list is
/// in the order of its scores.
struct Scale {
    /// The last score of the groups before.
    most: Option<f64>,
    factor: Option<f64>,
}

impl Scale {
    fn after<W>(ranked: &[Ranked<W>]) -> Self {
        Self { most: ranked.last().map(|last| last.score), factor: None }
    }

    /// The scores come in falling order.
    fn apply(&mut self, score: f64) -> f64 {
        let factor = *self.factor.get_or_insert_with(|| match self.most {
            Some(most) if score > most => most / score,
            _ => 1.0,
        });
        score * factor
    }
}
