//! Judging: the trial's lists beside plain counts', by the newest baskets of a cohort's judged users.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use nextbasket_domain::HISTORY_BASKETS;
use nextbasket_recommender::evaluate::{Evaluation, Judge, Methods};
use nextbasket_recommender::{
    Dataset, DecodeError, History, MergeError, NeighbourRow, Priors, ProductIx, ProductRows,
};

use crate::count::Cohort;
use crate::frames;
use crate::rank::unpack;

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
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no rows.
    pub fn add(&mut self, product: ProductIx, rows: &[u8]) -> Result<(), DecodeError> {
        self.0.insert(product, ProductRows::decode(rows)?.next);
        Ok(())
    }
}

/// How well held-out baskets were foretold. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// By the trial and by plain counts, of all judged users.
    pub methods: Methods<Evaluation>,
    /// Of baskets that are newer than all the live model has seen: by the trial,
    pub new: Evaluation,
    /// and by the live model.
    pub live: Evaluation,
}

impl Judged {
    /// Adds other users.
    ///
    /// # Errors
    /// [`MergeError`] if a sum does not fit its integer.
    pub fn merge(self, other: &Self) -> Result<Self, MergeError> {
        Ok(Self {
            methods: self.methods.merge(&other.methods)?,
            new: self.new.merge(&other.new)?,
            live: self.live.merge(&other.live)?,
        })
    }

    /// Packs the sums; equal sums give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frames::join([self.methods.encode(), self.new.encode(), self.live.encode()])
    }

    /// Reads what [`Judged::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no evaluations.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let [methods, new, live] = frames::split_into(bytes)?;
        Ok(Self {
            methods: Methods::decode(methods)?,
            new: Evaluation::decode(new)?,
            live: Evaluation::decode(live)?,
        })
    }
}

/// The products whose rows in the trial [`judge`] wants.
#[must_use]
pub fn anchors(cohort: &Cohort, trial: &Priors) -> BTreeSet<ProductIx> {
    let mut judge = Judge::new(trial);
    let mut wanted = BTreeSet::new();
    for held in cohort.held() {
        let history = History::of_user(cohort.before(), held.user, HISTORY_BASKETS);
        wanted.extend(judge.anchors(&history).iter().map(|anchor| anchor.product));
    }
    wanted
}

/// The products, in the live model's numbers, whose rows in it [`judge`] wants.
#[must_use]
pub fn live_anchors(cohort: &Cohort, live: &Priors) -> BTreeSet<ProductIx> {
    let mut judge = Judge::new(live);
    let mut wanted = BTreeSet::new();
    for held in cohort.held().iter().filter(|held| held.time_ms > live.now_ms()) {
        let history = translated(cohort.before(), held.user, live);
        wanted.extend(judge.anchors(&history).iter().map(|anchor| anchor.product));
    }
    wanted
}

/// Judges the cohort's users: the trial by all held-out baskets, the live model and the trial by those that are newer
/// than all the live model has seen.
#[must_use]
pub fn judge(cohort: &Cohort, trial: &Priors, rows: &NextRows, live: Option<(&Priors, &NextRows)>) -> Judged {
    let mut judged = Judged::default();
    let mut judge = Judge::new(trial);
    let mut live = live.map(|(priors, rows)| (priors, Judge::new(priors), rows));
    for held in cohort.held() {
        let bought: BTreeSet<ProductIx> = Dataset::typed(&held.products).collect();
        let history = History::of_user(cohort.before(), held.user, HISTORY_BASKETS);
        let list = judge.judge(&mut judged.methods, &history, &bought, |product| rows.0.get(&product));
        let Some((priors, live_judge, live_rows)) =
            live.as_mut().filter(|(priors, ..)| held.time_ms > priors.now_ms())
        else {
            continue;
        };
        let known: BTreeSet<ProductIx> = history.products().collect();
        judged.new.add(&list, &bought, |product| known.contains(&product));
        let history = translated(cohort.before(), held.user, priors);
        let anchors = live_judge.anchors(&history);
        let list = live_judge.list(&history, &anchors, |product| live_rows.0.get(&product));
        let list: Vec<ProductIx> =
            list.into_iter().map(|product| back(product, priors, cohort.before())).collect();
        judged.live.add(&list, &bought, |product| known.contains(&product));
    }
    judged
}

/// A user's history in the numbers of another model.
fn translated(data: &Dataset, user: u32, model: &Priors) -> History {
    let newest = data.baskets_of(user).rev().take(HISTORY_BASKETS);
    let ids = |products| Dataset::typed(products).map(|product| data.catalogue().id(product));
    History::new(model, newest.map(|(time_ms, products)| (time_ms, ids(products))))
}

/// A product of another model in the numbers of the data; one that nobody bought gets a number that no product has.
fn back(product: ProductIx, model: &Priors, data: &Dataset) -> ProductIx {
    let unknown = || ProductIx::new(u32::MAX - product.get());
    data.catalogue().index_of(model.id(product)).unwrap_or_else(unknown)
}
