//! Answers that are asked for at several times.

use crate::shop::{Dates, Shop};
use crate::trained::{SHOP, Trained, recall};
use nextbasket_recommender::ranker::TimeFeatures;
use nextbasket_recommender::{Dataset, History, ProductIx, ScratchBuffers};
use std::sync::LazyLock;

/// A shop where little but staples is bought.
fn staples(users: u64) -> Shop {
    Shop { staples: 8, whims: 20, ..Shop::new(users) }
}

static STAPLES: LazyLock<Trained> = LazyLock::new(|| Trained::of(staples(120).data()));

#[test]
fn where_products_fall_due_by_days_time_is_that_of_the_request() {
    let tried = STAPLES.learned.time.tried.unwrap();
    assert_eq!(STAPLES.learned.ranker.time(), TimeFeatures::Elapsed, "{tried:?}");
    assert!(tried.elapsed.mean() > tried.standing.mean(), "{tried:?}");
}

#[test]
fn the_list_changes_as_the_filter_papers_fall_due() {
    // Staple 03 is bought every 30 days, last 12 days ago.
    let history = STAPLES.history(&[
        (3, &["staple 00", "sundry 02"]),
        (12, &["staple 03", "staple 00"]),
        (27, &["staple 01", "sundry 05"]),
        (43, &["staple 03", "staple 01"]),
        (61, &["staple 00"]),
        (74, &["staple 03", "staple 06"]),
    ]);
    let ask = STAPLES.ask(Some(&STAPLES.learned.ranker));
    let (now, later) = (ask.names(&history), ask.days_later(20).names(&history));
    let place = |list: &[&str]| list.iter().position(|&id| id == "staple 03").unwrap_or(usize::MAX);
    assert!(place(&later) < place(&now), "{now:?}\n{later:?}");
}

#[test]
fn the_same_baskets_a_day_ago_and_eight_months_ago_give_different_lists() {
    for shop in [&*SHOP, &*STAPLES] {
        let history = |days: i64| {
            shop.history(&[
                (days, &["staple 00", "sundry 02"]),
                (days + 9, &["staple 03", "staple 00"]),
                (days + 24, &["staple 01", "staple 00"]),
            ])
        };
        let ask = shop.ask(Some(&shop.learned.ranker));
        assert_ne!(ask.names(&history(1)), ask.names(&history(240)));
    }
}

/// Mean recall of the users' newest baskets, which are hidden from the training, asked so many days after each.
fn recall_after(shop: &Trained, truth: &[(History, i64, Vec<ProductIx>)], days: i64) -> f64 {
    let mut scratch = ScratchBuffers::new();
    let recalls = truth.iter().map(|(history, time_ms, bought)| {
        let mut ask = shop.ask(Some(&shop.learned.ranker)).days_later(days);
        ask.at_ms += time_ms - shop.model.priors.now_ms();
        let list: Vec<ProductIx> =
            ask.answer(&mut scratch, history).iter().map(|item| item.product).collect();
        recall(&list, bought)
    });
    recalls.sum::<f64>() / truth.len() as f64
}

#[test]
fn recall_stays_within_three_percent_whenever_the_same_is_asked_for() {
    let made_up = [Dates::Daily, Dates::Weekly].map(|dates| Shop { dates, ..Shop::new(120) });
    for kind in [staples(120), made_up[0], made_up[1]] {
        let (rest, held) = kind.data().hold_out_newest(4, |_| true);
        let shop = Trained::of(rest);
        let truth: Vec<(History, i64, Vec<ProductIx>)> = held
            .iter()
            .map(|held| {
                let history = History::of_user(&shop.data, held.user, 100);
                (history, held.time_ms, Dataset::typed(&held.products).collect())
            })
            .collect();
        let recalls = [0, 1, 7, 30].map(|days| recall_after(&shop, &truth, days));
        let best = recalls.into_iter().fold(0.0, f64::max);
        assert!(recalls.iter().all(|&recall| recall >= 0.97 * best), "{kind:?}: {recalls:?}");
    }
}
