//! The ranker of a data set, all in one process.

use super::folds::{FOLDS, Folds};
use super::hidden_basket::{HiddenBasket, HiddenBasketKey};
use crate::cart_weight::CartTrials;
use crate::catalogue::ProductIx;
use crate::dataset::{Dataset, HeldOut};
use crate::params::Params;
use crate::row::ProductRows;
use crate::score::{ANCHORS, History, ScoreRequest, Scorer, ScratchBuffers};
use crate::train::{TrainError, TrainedModel, train_at};
use std::num::NonZero;

/// How many baskets of a user are looked at.
const HISTORY: usize = 100;

/// Hides baskets fold by fold, counts a model without them, and takes its candidates. In the order of their keys.
///
/// # Errors
/// A parameter outside its range; sums that do not fit their integers.
pub fn hidden_baskets(
    data: &Dataset,
    params: &Params,
    folds: Folds,
    threads: NonZero<usize>,
) -> Result<Vec<HiddenBasket>, TrainError> {
    let mut hidden = Vec::new();
    let mut scratch = ScratchBuffers::new();
    each_trial(data, params, folds, threads, |before, model, held, place| {
        hidden.extend(held.iter().map(|held| of_model(before, model, held, place, &mut scratch)));
    })?;
    hidden.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(hidden)
}

/// The same, and what the models of the carts that these baskets were find with each weight.
///
/// # Errors
/// As [`hidden_baskets`].
pub fn hidden_baskets_and_carts(
    data: &Dataset,
    params: &Params,
    folds: Folds,
    threads: NonZero<usize>,
) -> Result<(Vec<HiddenBasket>, CartTrials), TrainError> {
    let (mut hidden, mut carts) = (Vec::new(), CartTrials::default());
    let mut scratch = ScratchBuffers::new();
    each_trial(data, params, folds, threads, |before, model, held, place| {
        let scorer = Scorer::new(&model.priors);
        for held in held {
            hidden.push(of_model(before, model, held, place, &mut scratch));
            let history = History::of_user(before, held.user, HISTORY);
            let user = HiddenBasketKey::new(before, held, place.0, place.1).user;
            let basket: Vec<ProductIx> = Dataset::typed(&held.products).collect();
            let rows = |product: ProductIx| model.rows.get(product.at());
            carts.add(&scorer, &mut scratch, rows, user, &history, &basket);
        }
    })?;
    hidden.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((hidden, carts))
}

/// Hides the baskets of each fold and position, and counts a model without them.
fn each_trial(
    data: &Dataset,
    params: &Params,
    folds: Folds,
    threads: NonZero<usize>,
    mut take: impl FnMut(&Dataset, &TrainedModel, &[HeldOut], (u8, u8)),
) -> Result<(), TrainError> {
    let now_ms = data.newest_ms().unwrap_or(0);
    for fold in 0..FOLDS {
        for position in 0..folds.positions() {
            let (before, held) = folds.hide(data, fold, position);
            let mut model = train_at(&before, params, now_ms, threads, &|_| Vec::new())?;
            // Answers are made from rows that were stored.
            for rows in &mut model.rows {
                *rows = ProductRows::decode(&rows.encode()).unwrap_or_else(|_| rows.clone());
            }
            take(&before, &model, &held, (fold, position));
        }
    }
    Ok(())
}

fn of_model(
    before: &Dataset,
    model: &TrainedModel,
    held: &HeldOut,
    (fold, position): (u8, u8),
    scratch: &mut ScratchBuffers,
) -> HiddenBasket {
    let scorer = Scorer::new(&model.priors);
    let history = History::of_user(before, held.user, HISTORY);
    let anchors = scorer.anchors(scratch, &history, ANCHORS);
    let rows = |product: ProductIx| model.rows.get(product.at());
    let request = ScoreRequest {
        history: &history,
        anchors: &anchors,
        next_row: &|product| rows(product).map(|rows| &rows.next),
        cart: &[],
        together_row: &|product| rows(product).map(|rows| &rows.together),
        exclude: &[],
        filter: None,
        at_ms: held.time_ms,
        limit: 0,
    };
    let bought = Dataset::typed(&held.products).collect();
    let key = HiddenBasketKey::new(before, held, fold, position);
    HiddenBasket::new(&scorer, scratch, &request, bought, key)
}
