//! One user's or cart's ranking.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use nextbasket_domain::{Basket, ProductId, Timestamp, UserId};
use nextbasket_http::ApiError;
use nextbasket_recommender::{
    ANCHORS, Anchor, History, NeighbourRow, Priors, ProductIx, Recommendation, Request, Scorer, Scratch,
};

use crate::State;
use crate::answer::Answer;
use crate::ask::{Ask, BoostTarget};
use crate::fill::{Ranked, fill};
use crate::live_model::{LiveModel, Row};
use crate::reason::{Evidence, Reason};
use crate::unmodelled;

/// How many of the cart's newest products are asked for their neighbours.
const CART_ROWS: usize = 8;
/// A part of the score that is smaller than this is not worth a reason.
const LEAST_SHARE: f64 = 0.1;

thread_local! {
    // As large as the catalogue, hence not made for each answer.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Answers for a user, a cart, or both.
pub(crate) async fn answer(
    state: &State,
    user: Option<&UserId>,
    cart: &[ProductId],
    ask: &Ask,
) -> Result<Answer, ApiError> {
    let baskets = async {
        match user {
            Some(user) => state.history.baskets(user).await.map_err(ApiError::from),
            None => Ok(Vec::new()),
        }
    };
    let (baskets, model) = tokio::try_join!(baskets, state.models.live())?;
    let list = format!("recommendations/{}", user.map_or("", UserId::as_str));
    let unmodelled = unmodelled::rank(&baskets, model.as_ref().map(|model| &model.priors));
    let Some(model) = model else {
        let rank = |n| boosted(unmodelled.clone(), ask, None, n);
        return fill(state, ask, &list, None, cart, rank).await;
    };
    let question = Question::new(state, &model, &baskets, cart, ask).await?;
    let rank = |n| question.rank(&unmodelled, n);
    fill(state, ask, &list, Some(model.pointer.version), cart, rank).await
}

/// All that a ranking is computed from.
struct Question<'a> {
    model: &'a LiveModel,
    ask: &'a Ask,
    history: History,
    anchors: Vec<Anchor>,
    cart: Vec<ProductIx>,
    rows: HashMap<ProductIx, Arc<Row>>,
    exclude: Vec<ProductIx>,
    /// The codes of the wanted categories; `None` for any.
    categories: Option<Vec<u32>>,
}

impl<'a> Question<'a> {
    async fn new(
        state: &State,
        model: &'a LiveModel,
        baskets: &[Basket],
        cart: &[ProductId],
        ask: &'a Ask,
    ) -> Result<Self, ApiError> {
        let priors = &model.priors;
        let known =
            |ids: &[ProductId]| ids.iter().filter_map(|id| priors.index_of(id.as_str())).collect::<Vec<_>>();
        let cart = known(cart);
        let cart_rows = cart.get(cart.len().saturating_sub(CART_ROWS)..).unwrap_or_default();
        let history = History::new(
            priors,
            baskets.iter().map(|basket| {
                (basket.purchased_at.as_millis(), basket.products.iter().map(ProductId::as_str))
            }),
        );
        let anchors = SCRATCH.with_borrow_mut(|scratch| {
            Scorer::new(priors).anchors(scratch, &history, ANCHORS - cart_rows.len())
        });
        let wanted: Vec<ProductIx> =
            anchors.iter().map(|anchor| anchor.product).chain(cart_rows.iter().copied()).collect();
        let rows = state.models.rows(model, &wanted).await?;
        Ok(Self {
            model,
            ask,
            history,
            anchors,
            cart,
            rows,
            exclude: known(&ask.exclude),
            categories: category_codes(priors, ask),
        })
    }

    /// The best `n`, the products that the model has not seen among them.
    fn rank(&self, unmodelled: &[Ranked], n: usize) -> Vec<Ranked> {
        let everything = !self.ask.boosts.is_empty();
        let ranked = self.score(if everything { usize::MAX } else { n });
        let mut merged = Vec::with_capacity(ranked.len() + unmodelled.len());
        let mut others = unmodelled.iter().cloned().peekable();
        for ranked in ranked {
            while let Some(other) = others.next_if(|other| other.score >= ranked.score) {
                merged.push(other);
            }
            merged.push(ranked);
        }
        merged.extend(others);
        boosted(merged, self.ask, Some(&self.model.priors), n)
    }

    fn score(&self, limit: usize) -> Vec<Ranked> {
        let priors = &self.model.priors;
        let row = |product: ProductIx| self.rows.get(&product).map(Arc::as_ref);
        let fits = |product: ProductIx| in_categories(priors, self.categories.as_deref(), product);
        let recommendations = SCRATCH.with_borrow_mut(|scratch| {
            Scorer::new(priors).score(
                scratch,
                &Request {
                    history: &self.history,
                    anchors: &self.anchors,
                    next_row: &|product| row(product).map(|row| &row.rows.next as &NeighbourRow),
                    cart: &self.cart,
                    together_row: &|product| row(product).map(|row| &row.rows.together),
                    exclude: &self.exclude,
                    filter: self.categories.is_some().then_some(&fits),
                    limit: limit.min(priors.len()),
                },
            )
        });
        recommendations.iter().filter_map(|recommendation| self.ranked(recommendation)).collect()
    }

    fn ranked(&self, recommendation: &Recommendation) -> Option<Ranked> {
        let id = ProductId::parse(self.model.priors.id(recommendation.product)).ok()?;
        Some(Ranked { id, score: recommendation.total, reasons: self.reasons(recommendation) })
    }

    /// What makes up the score, the largest part first.
    fn reasons(&self, recommendation: &Recommendation) -> Vec<Reason> {
        let parts = &recommendation.parts;
        let popularity =
            || self.model.priors.popularity(recommendation.product, nextbasket_recommender::Window::Scoring);
        let mut reasons = Vec::new();
        if let Some(bought) = recommendation.bought {
            let last = Timestamp::EPOCH.plus_millis(bought.time_ms);
            reasons.push((parts.personal, Reason::bought_again(bought.times, bought.of_baskets, last)));
        }
        if !recommendation.next_reasons.is_empty() {
            reasons.push((parts.next, Reason::bought_next(self.evidence(&recommendation.next_reasons))));
        }
        if !recommendation.together_reasons.is_empty() {
            reasons.push((
                parts.together,
                Reason::bought_together(self.evidence(&recommendation.together_reasons)),
            ));
        }
        reasons.push((parts.popular, Reason::popular(popularity())));
        reasons.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let total = recommendation.total.max(f64::MIN_POSITIVE);
        let shares = reasons.into_iter().map(|(part, reason)| reason.with_share(part / total));
        let mut kept: Vec<Reason> = shares.collect();
        let least =
            kept.iter().skip(1).position(|reason| reason.share < LEAST_SHARE).map_or(kept.len(), |at| at + 1);
        kept.truncate(least);
        kept
    }

    fn evidence(&self, reasons: &[nextbasket_recommender::Reason]) -> Vec<Evidence> {
        reasons
            .iter()
            .filter_map(|reason| {
                let product_id = ProductId::parse(self.model.priors.id(reason.product)).ok()?;
                let name = self.rows.get(&reason.product).and_then(|row| row.name.clone());
                let name = name.unwrap_or_else(|| product_id.to_string());
                Some(Evidence { product_id, name, count: reason.evidence })
            })
            .collect()
    }
}

/// The codes of the wanted categories that the model knows; `None` if any category will do.
pub(crate) fn category_codes(priors: &Priors, ask: &Ask) -> Option<Vec<u32>> {
    let codes = ask.categories.iter().filter_map(|category| priors.category_code(category.as_str()));
    (!ask.categories.is_empty()).then(|| codes.collect())
}

pub(crate) fn in_categories(priors: &Priors, wanted: Option<&[u32]>, product: ProductIx) -> bool {
    wanted.is_none_or(|wanted| priors.category_codes(product).iter().any(|code| wanted.contains(code)))
}

/// Applies the boosts and cuts to the best `n`.
fn boosted(mut ranked: Vec<Ranked>, ask: &Ask, priors: Option<&Priors>, n: usize) -> Vec<Ranked> {
    if !ask.boosts.is_empty() {
        for ranked in &mut ranked {
            let product = priors.and_then(|priors| Some((priors, priors.index_of(ranked.id.as_str())?)));
            for boost in &ask.boosts {
                let hit = match &boost.target {
                    BoostTarget::Product(id) => *id == ranked.id,
                    BoostTarget::Category(category) => product.is_some_and(|(priors, product)| {
                        priors.categories(product).any(|name| name == category.as_str())
                    }),
                };
                if hit {
                    ranked.score *= boost.factor;
                }
            }
        }
        // Stable: equal scores keep the ranking's order.
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    ranked.truncate(n);
    ranked
}
