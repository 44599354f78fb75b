//! What is learned from hidden baskets.

use crate::shop::{Dates, Random, Shop};
use crate::trained::{SHOP, Trained, all, hidden, recall, threads};
use nextbasket_recommender::ProductIx;
use nextbasket_recommender::ranker::HiddenBaskets;

/// A shop that is learned from in little time, with trees.
fn small() -> Shop {
    Shop { seed: 4, ..Shop::new(60) }
}

/// Mean recall of the hand formula's lists and of the ranker's, on baskets that it has not seen.
fn recalls(shop: &Trained) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (at, basket) in shop.hidden.baskets().iter().enumerate() {
        let bought: Vec<ProductIx> = basket.bought.iter().copied().collect();
        sums.0 += recall(&basket.hand_list()[..10], &bought);
        sums.1 += recall(&basket.list(shop.learned.unseen(at))[..10], &bought);
    }
    let baskets = shop.hidden.len() as f64;
    (sums.0 / baskets, sums.1 / baskets)
}

#[test]
fn the_ranker_beats_the_hand_formula_on_baskets_that_it_has_not_seen() {
    let (hand, ranker) = recalls(&SHOP);
    assert!(ranker > 1.05 * hand, "{hand} {ranker}");
}

#[test]
fn threads_do_not_show_in_what_is_learned() {
    let data = small().data();
    let one = hidden(&data, 1);
    assert_eq!(hidden(&data, 3), one);
    let all = all(one);
    let learned = all.learn(9, threads(1)).unwrap().unwrap();
    for workers in [2, 3] {
        let more = all.learn(9, threads(workers)).unwrap().unwrap();
        assert_eq!(more, learned);
        assert_eq!(more.ranker.encode(), learned.ranker.encode());
    }
}

#[test]
fn the_order_in_which_baskets_arrive_does_not_show_once_they_are_sorted() {
    let baskets = hidden(&small().data(), 2);
    assert!(baskets.is_sorted_by(|a, b| a.key < b.key));
    let expected = all(baskets.clone()).learn(9, threads(2)).unwrap().unwrap();
    let mut shuffled = baskets.clone();
    Random(8).shuffle(&mut shuffled);
    assert_ne!(shuffled, baskets);
    shuffled.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(all(shuffled).learn(9, threads(2)).unwrap().unwrap(), expected);
}

#[test]
fn from_too_few_baskets_nothing_is_learned() {
    let baskets = hidden(&small().data(), 2);
    let learn = |most: usize| all(baskets.iter().take(most).cloned()).learn(1, threads(2)).unwrap();
    assert_eq!(learn(49), None);
    assert_eq!(HiddenBaskets::default().learn(1, threads(2)).unwrap(), None);
    // Few make weights, but no trees, whose gains would be listed.
    let few = learn(199).unwrap();
    assert!(few.gains.is_empty() && few.ranker.encode().len() < 500, "{few:?}");
}

#[test]
fn a_machine_bought_eleven_months_ago_comes_back_only_if_machines_do() {
    let worn = Trained::of(Shop { machines_wear_out: true, staples: 7, ..Shop::new(100) }.data());
    let baskets: [(i64, &[&str]); 2] = [(4, &["staple 00", "staple 06"]), (335, &["machine 4"])];
    let lists = |shop: &'static Trained| {
        let history = shop.history(&baskets);
        [None, Some(&shop.learned.ranker)].map(|ranker| shop.ask(ranker).names(&history))
    };
    let [hand, ranked] = lists(&SHOP);
    let [_, with_worn] = lists(Box::leak(Box::new(worn)));

    assert!(hand[..5].contains(&"machine 4"), "{hand:?}");
    assert!(!ranked[..5].contains(&"machine 4"), "{ranked:?}");
    assert!(with_worn[..5].contains(&"machine 4"), "{with_worn:?}");
}

#[test]
fn dates_that_are_made_up_teach_nothing_of_time() {
    let shop = Trained::of(Shop { dates: Dates::Daily, ..small() }.data());
    assert_eq!(shop.learned.time.tried, None);
    assert_eq!(shop.learned.ranker.time(), nextbasket_recommender::ranker::TimeFeatures::Standing);
}
