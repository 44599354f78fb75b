//! One user's or cart's ranking.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nextbasket_domain::{ProductId, Timestamp, UserId, time};
use nextbasket_http::ApiError;
use nextbasket_recommender::ranker::TimeFeatures;
use nextbasket_recommender::{
    ANCHORS, Anchor, History, Priors, ProductIx, Recommendation, ScoreRequest, Scorer, ScratchBuffers,
    cart_rows,
};
use nextbasket_tables::TableError;
use nextbasket_tables::history::StoredHistory;

use crate::State;
use crate::fill::{Ranked, Ranking, fill};
use crate::list_options::{BoostTarget, ListOptions};
use crate::live_model::{LiveModel, NamedRows, POINTER_HALF_UNITS};
use crate::own_purchases::OwnPurchases;
use crate::read_budget::ReadBudget;
use crate::reason::{Evidence, Reason, SureCount};
use crate::recommendation_list::RecommendationList;
use crate::unmodelled::{self, BoughtUnmodelled};

/// A part of the score that is smaller than this is not worth a reason.
const LEAST_SHARE: f64 = 0.1;

thread_local! {
    // As large as the catalogue, hence not made for each answer.
    static SCRATCH: RefCell<ScratchBuffers> = RefCell::new(ScratchBuffers::new());
}

/// Answers for a user, a cart, or both.
pub(crate) async fn answer(
    state: &State,
    cart: &[ProductId],
    options: &ListOptions,
) -> Result<RecommendationList, ApiError> {
    let user = options.user.as_ref();
    let history = async {
        match user {
            Some(user) => match state.history.stored(user).await {
                // An answer without the user's own part is better than none.
                Err(error @ TableError::Corrupt { .. }) => {
                    tracing::error!(%error, "a history cannot be read");
                    Ok(StoredHistory { baskets: Vec::new(), bytes: 0, is_complete: false })
                }
                history => history.map_err(ApiError::from),
            },
            None => Ok(StoredHistory { baskets: Vec::new(), bytes: 0, is_complete: true }),
        }
    };
    let (stored, model) = tokio::try_join!(history, state.models.for_answer(options))?;
    let stored = match &options.supposed {
        Some(supposed) => supposed.history(stored),
        None => stored,
    };
    let mut budget = options.read_budget();
    budget.spend(POINTER_HALF_UNITS + ReadBudget::of_item(stored.bytes));
    let list = format!("recommendations/{}", user.map_or("", UserId::as_str));
    let unmodelled = unmodelled::rank(&stored.baskets, model.as_ref().map(|model| &model.priors));
    let Some(model) = model else {
        let ranking = UnmodelledRanking { unmodelled, options };
        return fill(state, options, &list, None, cart, &ranking, budget).await;
    };
    let ranking = ModelRanking::new(state, &model, &stored, cart, unmodelled, options, &mut budget).await?;
    let answer = fill(state, options, &list, Some(model.pointer.version), cart, &ranking, budget).await?;
    Ok(RecommendationList { as_of: ranking.as_of, ..answer })
}

/// So long after its newest purchase a model is asked about the present; trainings are a day apart as a rule. Data that
/// is older is historical or has stopped, and nobody's filter papers have run out since.
const CURRENT_DAYS: i64 = 14;

fn newest_purchase(model: &LiveModel) -> Timestamp {
    Timestamp::EPOCH.plus_millis(model.priors.now_ms())
}

/// Whether time stands at the model's newest purchase.
fn is_stale(model: &LiveModel, now: Timestamp) -> bool {
    let looks_at_time = model.ranker.as_ref().is_some_and(|ranker| ranker.time() == TimeFeatures::Elapsed);
    looks_at_time && now.as_millis().saturating_sub(model.priors.now_ms()) > CURRENT_DAYS * time::DAY_MS
}

/// The ranking before the first training.
struct UnmodelledRanking<'a> {
    unmodelled: Vec<Ranked<BoughtUnmodelled>>,
    options: &'a ListOptions,
}

impl Ranking for UnmodelledRanking<'_> {
    type Why = BoughtUnmodelled;

    fn best(&self, n: usize) -> Vec<Ranked<BoughtUnmodelled>> {
        boosted(self.unmodelled.clone(), self.options, None, n)
    }

    fn reasons(&self, bought: &BoughtUnmodelled) -> Vec<Reason> {
        vec![Reason::bought_again(bought.times, bought.of_purchases, bought.last)]
    }
}

/// Why a product is in a user's ranking.
#[derive(Clone)]
enum UserWhy {
    Modelled(Box<Recommendation>),
    Unmodelled(BoughtUnmodelled),
}

/// The ranking of a model, and all that it is computed from.
struct ModelRanking<'a> {
    model: &'a LiveModel,
    options: &'a ListOptions,
    unmodelled: Vec<Ranked<BoughtUnmodelled>>,
    history: History,
    own: OwnPurchases,
    anchors: Vec<Anchor>,
    cart: Vec<ProductIx>,
    rows: HashMap<ProductIx, Arc<NamedRows>>,
    exclude: Vec<ProductIx>,
    /// The time that the answer is for.
    at: Timestamp,
    /// The same, where it is neither the present nor what was asked for.
    as_of: Option<Timestamp>,
    /// The codes of the wanted categories; `None` for any.
    categories: Option<Vec<u32>>,
}

impl<'a> ModelRanking<'a> {
    async fn new(
        state: &State,
        model: &'a LiveModel,
        stored: &StoredHistory,
        cart: &[ProductId],
        unmodelled: Vec<Ranked<BoughtUnmodelled>>,
        options: &'a ListOptions,
        budget: &mut ReadBudget,
    ) -> Result<Self, ApiError> {
        let priors = &model.priors;
        let known =
            |ids: &[ProductId]| ids.iter().filter_map(|id| priors.index_of(id.as_str())).collect::<Vec<_>>();
        let mut cart = known(cart);
        // Of one that is named twice the later place counts: the newest are the ones whose rows are read.
        let mut seen = HashSet::new();
        cart.reverse();
        cart.retain(|&product| seen.insert(product));
        cart.reverse();
        let cart_rows = cart_rows(&cart);
        let history = History::new(
            priors,
            stored.baskets.iter().map(|basket| {
                (basket.purchased_at.as_millis(), basket.products.iter().map(ProductId::as_str))
            }),
        );
        let own = match options.user {
            Some(_) => OwnPurchases::new(priors, &history, stored.is_complete),
            None => OwnPurchases::default(),
        };
        let anchors = SCRATCH.with_borrow_mut(|scratch| {
            Scorer::new(priors).anchors(scratch, &history, ANCHORS - cart_rows.len())
        });
        let wanted: Vec<ProductIx> =
            cart_rows.iter().rev().copied().chain(anchors.iter().map(|anchor| anchor.product)).collect();
        let rows = state.models.rows(model, &wanted, budget).await?;
        let now = state.clock.now();
        let as_of = (options.at.is_none() && is_stale(model, now)).then(|| newest_purchase(model));
        Ok(Self {
            model,
            options,
            unmodelled,
            history,
            own,
            anchors,
            cart,
            rows,
            exclude: known(&options.exclude),
            at: options.at.or(as_of).unwrap_or(now),
            as_of,
            categories: category_codes(priors, options),
        })
    }

    fn score(&self, limit: usize) -> Vec<Recommendation> {
        let priors = &self.model.priors;
        let row = |product: ProductIx| self.rows.get(&product).map(Arc::as_ref);
        let fits = |product: ProductIx| in_categories(priors, self.categories.as_deref(), product);
        SCRATCH.with_borrow_mut(|scratch| {
            Scorer::new(priors).with_ranker(self.model.ranker.as_ref()).score(
                scratch,
                &ScoreRequest {
                    history: &self.history,
                    anchors: &self.anchors,
                    next_row: &|product| row(product).map(|row| &row.rows.next),
                    cart: &self.cart,
                    together_row: &|product| row(product).map(|row| &row.rows.together),
                    exclude: &self.exclude,
                    filter: self.categories.is_some().then_some(&fits),
                    at_ms: self.at.as_millis(),
                    limit: limit.min(priors.len()),
                },
            )
        })
    }

    /// What makes up the score, the largest part first, as far as it has enough support.
    fn parts(&self, recommendation: &Recommendation) -> Vec<Reason> {
        let parts = &recommendation.parts;
        let (own, product) = (&self.own, recommendation.product);
        let mut reasons = Vec::new();
        if let Some(bought) = recommendation.bought {
            let last = Timestamp::EPOCH.plus_millis(bought.time_ms);
            reasons.push((parts.personal, Reason::bought_again(bought.times, bought.of_baskets, last)));
        }
        let next = self.evidence(&recommendation.next_reasons, |earlier, shoppers| {
            Some(own.others_next(earlier, product, shoppers))
        });
        reasons.extend(Reason::bought_next(next, own.of()).map(|reason| (parts.next, reason)));
        let together = self.evidence(&recommendation.together_reasons, |other, baskets| {
            own.others_together(other, product, baskets)
        });
        reasons.extend(Reason::bought_together(together, own.of()).map(|reason| (parts.together, reason)));
        reasons.extend(own.popular(&self.model.priors, product).map(|reason| (parts.popular, reason)));
        reasons.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let total = recommendation.total.max(f64::MIN_POSITIVE);
        let shares = reasons.into_iter().map(|(part, reason)| reason.with_share(part / total));
        let mut kept: Vec<Reason> = shares.collect();
        let least =
            kept.iter().skip(1).position(|reason| reason.share < LEAST_SHARE).map_or(kept.len(), |at| at + 1);
        kept.truncate(least);
        kept
    }

    /// `others`: how many of the counted ones are surely not of the shopper.
    fn evidence(
        &self,
        reasons: &[nextbasket_recommender::NeighbourReason],
        others: impl Fn(ProductIx, u32) -> Option<SureCount>,
    ) -> Vec<Evidence> {
        reasons
            .iter()
            .filter_map(|reason| {
                let product_id = ProductId::parse(self.model.priors.id(reason.product)).ok()?;
                let name = self.rows.get(&reason.product).and_then(|row| row.name.clone());
                let name = name.unwrap_or_else(|| product_id.to_string());
                Some(Evidence::new(product_id, name, others(reason.product, reason.evidence)?))
            })
            .collect()
    }
}

impl Ranking for ModelRanking<'_> {
    type Why = UserWhy;

    /// The products that the model has not seen stand among the others by their scores.
    fn best(&self, n: usize) -> Vec<Ranked<UserWhy>> {
        let everything = !self.options.boosts.is_empty();
        let recommendations = self.score(if everything { usize::MAX } else { n });
        let mut others = self.unmodelled.iter().peekable();
        let mut merged = Vec::with_capacity(recommendations.len() + self.unmodelled.len());
        let unmodelled = |other: &Ranked<BoughtUnmodelled>| Ranked {
            id: other.id.clone(),
            score: other.score,
            why: UserWhy::Unmodelled(other.why),
        };
        for recommendation in recommendations {
            let Ok(id) = ProductId::parse(self.model.priors.id(recommendation.product)) else { continue };
            while let Some(other) = others.next_if(|other| other.score >= recommendation.total) {
                merged.push(unmodelled(other));
            }
            merged.push(Ranked {
                id,
                score: recommendation.total,
                why: UserWhy::Modelled(Box::new(recommendation)),
            });
        }
        merged.extend(others.map(unmodelled));
        boosted(merged, self.options, Some(&self.model.priors), n)
    }

    fn reasons(&self, why: &UserWhy) -> Vec<Reason> {
        match why {
            UserWhy::Modelled(recommendation) => self.parts(recommendation),
            UserWhy::Unmodelled(bought) => {
                vec![Reason::bought_again(bought.times, bought.of_purchases, bought.last)]
            }
        }
    }
}

/// The codes of the wanted categories that the model knows; `None` if any category will do.
pub(crate) fn category_codes(priors: &Priors, options: &ListOptions) -> Option<Vec<u32>> {
    let codes = options.categories.iter().filter_map(|category| priors.category_code(category.as_str()));
    (!options.categories.is_empty()).then(|| codes.collect())
}

pub(crate) fn in_categories(priors: &Priors, wanted: Option<&[u32]>, product: ProductIx) -> bool {
    wanted.is_none_or(|wanted| priors.category_codes(product).iter().any(|code| wanted.contains(code)))
}

/// Applies the boosts and cuts to the best `n`.
fn boosted<W>(
    mut ranked: Vec<Ranked<W>>,
    options: &ListOptions,
    priors: Option<&Priors>,
    n: usize,
) -> Vec<Ranked<W>> {
    if !options.boosts.is_empty() {
        for ranked in &mut ranked {
            let product = priors.and_then(|priors| Some((priors, priors.index_of(ranked.id.as_str())?)));
            for boost in &options.boosts {
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
