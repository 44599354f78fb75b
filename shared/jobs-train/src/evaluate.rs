//! Evaluation of the trial, beside plain counts and the live model, on the newest baskets of a cohort's users.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use nextbasket_domain::HISTORY_BASKETS;
use nextbasket_recommender::evaluate::{
    BootstrapMean, Evaluation, ListEvaluator, ListMeasures, Methods, ResampleWeights, user_hash,
};
use nextbasket_recommender::{
    Dataset, DecodeError, History, MergeError, NeighbourRow, Priors, ProductIx, ProductRows,
};
use serde::{Deserialize, Serialize};

use crate::count::Cohort;
use crate::gate::K;
use crate::rank::unpack;

/// Of the samples of users that the gate's intervals come from: the same in every training, so that a training of the
/// same purchases ends in the same way.
const SEED: u64 = 0;

/// Neighbour rows that lists are made of, by product.
#[derive(Debug, Default)]
pub struct NextRows(BTreeMap<ProductIx, NeighbourRow>);

impl NextRows {
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
        self.0.insert(product, ProductRows::decode(rows)?.next);
        Ok(())
    }
}

/// How well held-out baskets were predicted. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EvaluationResult {
    /// By the trial and by plain counts, for all evaluated users.
    pub methods: Methods<Evaluation>,
    /// nDCG@10 by the trial, for all evaluated users.
    pub own: BootstrapMean,
    /// The same for baskets that are newer than all that the live model has seen.
    pub new: BootstrapMean,
    /// By the live model, for the same baskets.
    pub live: BootstrapMean,
}

impl EvaluationResult {
    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            methods: self.methods.merge(&other.methods)?,
            own: self.own.merge(&other.own)?,
            new: self.new.merge(&other.new)?,
            live: self.live.merge(&other.live)?,
        })
    }
}

/// The products whose rows in the trial [`evaluate`] wants.
pub fn trial_anchors(cohort: &Cohort, trial: &Priors) -> BTreeSet<ProductIx> {
    let mut evaluator = ListEvaluator::new(trial);
    let mut wanted = BTreeSet::new();
    for held in cohort.held() {
        let history = History::of_user(cohort.before(), held.user, HISTORY_BASKETS);
        wanted.extend(evaluator.anchors(&history).iter().map(|anchor| anchor.product));
    }
    wanted
}

/// The products, in the live model's numbers, whose rows in it [`evaluate`] wants.
pub fn live_anchors(cohort: &Cohort, live: &Priors) -> BTreeSet<ProductIx> {
    let mut evaluator = ListEvaluator::new(live);
    let mut wanted = BTreeSet::new();
    for held in cohort.held().iter().filter(|held| held.time_ms > live.now_ms()) {
        let history = to_live(cohort.before(), held.user, live);
        wanted.extend(evaluator.anchors(&history).iter().map(|anchor| anchor.product));
    }
    wanted
}

/// Evaluates the trial on all held-out baskets, and the live model beside it on those that are newer than all that the
/// live model has seen.
pub fn evaluate(
    cohort: &Cohort,
    trial: &Priors,
    rows: &NextRows,
    live: Option<(&Priors, &NextRows)>,
) -> EvaluationResult {
    let mut result = EvaluationResult::default();
    let mut evaluator = ListEvaluator::new(trial);
    let mut live = live.map(|(priors, rows)| (priors, ListEvaluator::new(priors), rows));
    let mut weights = ResampleWeights::new();
    for held in cohort.held() {
        let bought: BTreeSet<ProductIx> = Dataset::typed(&held.products).collect();
        let history = History::of_user(cohort.before(), held.user, HISTORY_BASKETS);
        let list = evaluator.evaluate(&mut result.methods, &history, &bought, |product| rows.0.get(&product));
        weights.draw(SEED, user_hash(cohort.before().user_id(held.user).unwrap_or_default()));
        let add = |mean: &mut BootstrapMean, list: &[ProductIx]| {
            if let Some(measures) = ListMeasures::of(list, &bought, |_| true, K) {
                mean.add(measures.ndcg, &weights);
            }
        };
        add(&mut result.own, &list);
        let Some((priors, live_evaluator, live_rows)) =
            live.as_mut().filter(|(priors, ..)| held.time_ms > priors.now_ms())
        else {
            continue;
        };
        add(&mut result.new, &list);
        let history = to_live(cohort.before(), held.user, priors);
        let anchors = live_evaluator.anchors(&history);
        let list = live_evaluator.list(&history, &anchors, |product| live_rows.0.get(&product));
        let list: Vec<ProductIx> =
            list.into_iter().map(|product| to_trial(product, priors, cohort.before())).collect();
        add(&mut result.live, &list);
    }
    result
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
