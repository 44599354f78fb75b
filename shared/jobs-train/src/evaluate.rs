//! Evaluation of the trial, beside plain counts and the live model, on the newest baskets of a cohort's users.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use nextbasket_domain::HISTORY_BASKETS;
use nextbasket_recommender::evaluate::{
    BootstrapMean, Evaluation, ListEvaluator, ListMeasures, Methods, ResampleWeights,
};
use nextbasket_recommender::ranker::{HiddenBasket, HiddenBasketKey, Ranker};
use nextbasket_recommender::{
    ANCHORS, CartTrials, Dataset, DecodeError, History, MergeError, NeighbourRow, Priors, ProductIx,
    ProductRows, ScoreRequest, Scorer, ScratchBuffers,
};
use serde::{Deserialize, Serialize};

use crate::count::TrialUsers;
use crate::gate::K;
use crate::rank::unpack;

/// Decides which users a sample of the bootstrap has; one for all, so that methods are compared on the same samples.
pub(crate) const SEED: u64 = 0;

/// Neighbour rows that lists are made of, by product.
#[derive(Debug, Default)]
pub struct ListRows(BTreeMap<ProductIx, ProductRows>);

impl ListRows {
    /// Takes the rows of the wanted products out of a packed block.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not the block's packed rows.
    pub fn add_block(
        &mut self,
        products: Range<u32>,
        block: &[u8],
        wanted: &BTreeSet<ProductIx>,
    ) -> Result<(), DecodeError> {
        for (product, row) in unpack(products, block)? {
            if wanted.contains(&product) {
                self.add(product, row)?;
            }
        }
        Ok(())
    }

    /// Takes a product's rows.
    pub fn add(&mut self, product: ProductIx, rows: &[u8]) -> Result<(), DecodeError> {
        self.0.insert(product, ProductRows::decode(rows)?);
        Ok(())
    }

    fn of(&self, product: ProductIx) -> Option<&ProductRows> {
        self.0.get(&product)
    }

    fn next(&self, product: ProductIx) -> Option<&NeighbourRow> {
        self.0.get(&product).map(|rows| &rows.next)
    }

    fn together(&self, product: ProductIx) -> Option<&NeighbourRow> {
        self.0.get(&product).map(|rows| &rows.together)
    }
}

/// nDCG@10 of lists. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListQuality {
    /// For all evaluated users.
    pub all: BootstrapMean,
    /// For baskets that are newer than all that the live model has seen.
    pub since_live: BootstrapMean,
}

impl ListQuality {
    /// Adds a user's list; `weights` are drawn for the user.
    pub fn add_list(
        &mut self,
        list: &[ProductIx],
        bought: &BTreeSet<ProductIx>,
        since_live: bool,
        weights: &ResampleWeights,
    ) {
        add(&mut self.all, list, bought, weights);
        if since_live {
            add(&mut self.since_live, list, bought, weights);
        }
    }

    fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self { all: self.all.merge(&other.all)?, since_live: self.since_live.merge(&other.since_live)? })
    }
}

fn add(
    mean: &mut BootstrapMean,
    list: &[ProductIx],
    bought: &BTreeSet<ProductIx>,
    weights: &ResampleWeights,
) {
    if let Some(measures) = ListMeasures::of(list, bought, |_| true, K) {
        mean.add(measures.ndcg, weights);
    }
}

/// How well hidden baskets were predicted. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvaluationResult {
    /// By the hand formula and by plain counts, for all evaluated users.
    pub methods: Methods<Evaluation>,
    /// By the hand formula.
    pub hand: ListQuality,
    /// By the live model, for baskets that are newer than all that it has seen.
    pub live: BootstrapMean,
    /// The carts that the hidden baskets were.
    pub carts: CartTrials,
}

impl EvaluationResult {
    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            methods: self.methods.merge(&other.methods)?,
            hand: self.hand.merge(&other.hand)?,
            live: self.live.merge(&other.live)?,
            carts: self.carts.merge(&other.carts),
        })
    }
}

/// A hidden basket, and whether it is newer than all that the live model has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluatedBasket {
    pub hidden: HiddenBasket,
    pub since_live: bool,
}

/// A model that is evaluated: what is known of the products, the rows that are needed, and the ranker, if it has one.
#[derive(Debug, Clone, Copy)]
pub struct EvaluatedModel<'m> {
    pub priors: &'m Priors,
    pub rows: &'m ListRows,
    pub ranker: Option<&'m Ranker>,
}

/// The products whose rows in the trial [`evaluate`] wants.
pub fn trial_anchors(users: &TrialUsers, trial: &Priors) -> BTreeSet<ProductIx> {
    let mut evaluator = ListEvaluator::new(trial);
    let mut wanted = BTreeSet::new();
    for held in &users.held {
        let history = History::of_user(&users.before, held.user, HISTORY_BASKETS);
        wanted.extend(evaluator.anchors(&history).iter().map(|anchor| anchor.product));
        wanted.extend(Dataset::typed(CartTrials::read(&held.products)));
    }
    wanted
}

/// The products, in the live model's numbers, whose rows in it [`evaluate`] wants.
pub fn live_anchors<'u>(
    trials: impl IntoIterator<Item = &'u TrialUsers>,
    live: &Priors,
) -> BTreeSet<ProductIx> {
    let mut evaluator = ListEvaluator::new(live);
    let mut wanted = BTreeSet::new();
    for users in trials.into_iter().filter(|users| users.position == 0) {
        for held in users.held.iter().filter(|held| held.time_ms > live.now_ms()) {
            let history = to_live(&users.before, held.user, live);
            wanted.extend(evaluator.anchors(&history).iter().map(|anchor| anchor.product));
        }
    }
    wanted
}

/// Takes the candidates of a trial for all baskets that were hidden from it. On the newest ones of the users it is
/// evaluated, beside plain counts; and the live model beside it on those that are newer than all that the live model has
/// seen.
pub fn evaluate(
    users: &TrialUsers,
    trial: EvaluatedModel<'_>,
    live: Option<EvaluatedModel<'_>>,
) -> (EvaluationResult, Vec<EvaluatedBasket>) {
    let mut result = EvaluationResult::default();
    let mut baskets = Vec::with_capacity(users.held.len());
    let mut evaluator = ListEvaluator::new(trial.priors);
    let (scorer, mut scratch) = (Scorer::new(trial.priors), ScratchBuffers::new());
    let mut live = live.map(|live| (live, ListEvaluator::new(live.priors).with_ranker(live.ranker)));
    let mut weights = ResampleWeights::new();
    for held in &users.held {
        let bought: BTreeSet<ProductIx> = Dataset::typed(&held.products).collect();
        let history = History::of_user(&users.before, held.user, HISTORY_BASKETS);
        let anchors = scorer.anchors(&mut scratch, &history, ANCHORS);
        let request = ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &|product| trial.rows.next(product),
            cart: &[],
            together_row: &|product| trial.rows.together(product),
            exclude: &[],
            filter: None,
            at_ms: held.time_ms,
            limit: 0,
        };
        let key = HiddenBasketKey::new(&users.before, held, users.fold, users.position);
        let user = key.user;
        let hidden = HiddenBasket::new(&scorer, &mut scratch, &request, bought.clone(), key);
        let newest = users.position == 0;
        let live = live.as_mut().filter(|(live, _)| newest && held.time_ms > live.priors.now_ms());
        let since_live = live.is_some();
        let basket: Vec<ProductIx> = Dataset::typed(&held.products).collect();
        result.carts.add(&scorer, &mut scratch, |product| trial.rows.of(product), user, &history, &basket);
        if newest {
            weights.draw(SEED, user);
            evaluator.evaluate(&mut result.methods, &history, &bought, |product| trial.rows.next(product));
            result.hand.add_list(hidden.hand_list(), &bought, since_live, &weights);
        }
        if let Some((live, evaluator)) = live {
            let history = to_live(&users.before, held.user, live.priors);
            let anchors = evaluator.anchors(&history);
            let (next, together) = (|product| live.rows.next(product), |product| live.rows.together(product));
            let list = evaluator.list_at(held.time_ms, &history, &anchors, next, together);
            let list: Vec<ProductIx> =
                list.into_iter().map(|product| to_trial(product, live.priors, &users.before)).collect();
            add(&mut result.live, &list, &bought, &weights);
        }
        baskets.push(EvaluatedBasket { hidden, since_live });
    }
    (result, baskets)
}

/// A user's history in the numbers of another model.
fn to_live(data: &Dataset, user: u32, model: &Priors) -> History {
    let newest = data.baskets_of(user).rev().take(HISTORY_BASKETS);
    let ids = |products| Dataset::typed(products).map(|product| data.catalogue().id(product));
    History::new(model, newest.map(|(time_ms, products)| (time_ms, ids(products))))
}

/// A product of another model in the numbers of the data; one that nobody bought gets a number that no product has.
fn to_trial(product: ProductIx, model: &Priors, data: &Dataset) -> ProductIx {
    let unknown = || ProductIx::new(u32::MAX - product.get());
    data.catalogue().index_of(model.id(product)).unwrap_or_else(unknown)
}
