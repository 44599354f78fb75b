//! What an answer holds, on a shop small enough to check by eye.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the message")]

use nextbasket_recommender::{
    DatasetBuilder, History, Params, ProductIx, Recommendation, ScoreRequest, Scorer, ScratchBuffers,
    TrainedModel, Window, train,
};
use std::num::NonZero;

const DAY: i64 = 86_400_000;

/// Shoppers buy a grinder, then beans; filters lie in the basket with beans; tea is what most buy.
fn shop() -> TrainedModel {
    let mut builder = DatasetBuilder::new();
    for shopper in 0..6 {
        let user = format!("shopper {shopper}");
        let mut buy = |id: &str, day: i64, products: &[&str]| {
            builder.push(&user, id, day * DAY, products.iter().copied()).unwrap();
        };
        buy("1", 1, &["grinder"]);
        buy("2", 2, &["beans", "filters"]);
        buy("3", 3, &["tea"]);
    }
    for guest in 0..9 {
        builder.push(&format!("guest {guest}"), "1", 3 * DAY, ["tea"]).unwrap();
    }
    builder.push("guest 0", "2", 3 * DAY, ["mug"]).unwrap();
    train(&builder.build().unwrap(), &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap()
}

#[derive(Default)]
struct Ask<'a> {
    baskets: &'a [&'a [&'a str]],
    cart: &'a [&'a str],
    exclude: &'a [&'a str],
    only: Option<&'a [&'a str]>,
    limit: Option<usize>,
}

fn answer(model: &TrainedModel, ask: &Ask<'_>) -> Vec<Recommendation> {
    let ids = |ids: &[&str]| ids.iter().filter_map(|id| model.priors.index_of(id)).collect::<Vec<_>>();
    let baskets = (0i64..).zip(ask.baskets).map(|(lag, basket)| ((9 - lag) * DAY, basket.iter().copied()));
    let history = History::new(&model.priors, baskets);
    let (scorer, mut scratch) = (Scorer::new(&model.priors), ScratchBuffers::new());
    let anchors = scorer.anchors(&mut scratch, &history, 12);
    let only = ask.only.map(ids);
    let filter = |product: ProductIx| only.as_ref().is_none_or(|only| only.contains(&product));
    scorer.score(
        &mut scratch,
        &ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &|product| model.rows.get(product.get() as usize).map(|rows| &rows.next),
            cart: &ids(ask.cart),
            together_row: &|product| model.rows.get(product.get() as usize).map(|rows| &rows.together),
            exclude: &ids(ask.exclude),
            filter: Some(&filter),
            at_ms: 0,
            limit: ask.limit.unwrap_or(10),
        },
    )
}

fn names<'m>(model: &'m TrainedModel, answer: &[Recommendation]) -> Vec<&'m str> {
    answer.iter().map(|item| model.priors.id(item.product)).collect()
}

#[test]
fn a_visitor_gets_everything_by_popularity() {
    let model = shop();
    let popular: Vec<&str> =
        model.priors.popular(Window::Scoring).iter().map(|&p| model.priors.id(p)).collect();
    let answer = answer(&model, &Ask::default());
    assert_eq!(names(&model, &answer), popular);
    assert_eq!(popular[0], "tea");
    assert!(
        answer
            .iter()
            .all(|item| item.bought.is_none() && item.parts.personal == 0.0 && item.parts.next == 0.0)
    );
    assert!(answer.iter().all(|item| item.total > 0.0 && item.total == item.parts.popular));
}

#[test]
fn what_others_bought_next_comes_with_the_product_and_the_shoppers_behind_it() {
    let model = shop();
    let answer = answer(&model, &Ask { baskets: &[&["grinder"]], ..Ask::default() });
    let beans = answer.iter().find(|item| model.priors.id(item.product) == "beans").unwrap();
    assert_eq!(beans.next_reasons.len(), 1);
    assert_eq!(model.priors.id(beans.next_reasons[0].product), "grinder");
    assert_eq!(beans.next_reasons[0].evidence, 6);
    assert!((beans.next_reasons[0].contribution - beans.parts.next).abs() < 1e-12);
    assert!(beans.bought.is_none());
}

#[test]
fn what_was_bought_comes_with_how_often_and_when() {
    let model = shop();
    let baskets: [&[&str]; 4] = [&["tea"], &["unheard of"], &["mug", "tea"], &["mug"]];
    let answer = answer(&model, &Ask { baskets: &baskets, ..Ask::default() });
    let of = |id| answer.iter().find(|item| model.priors.id(item.product) == id).unwrap().bought.unwrap();
    let mug = of("mug");
    assert_eq!((mug.times, mug.of_baskets, mug.lag, mug.time_ms), (2, 4, 2, 7 * DAY));
    assert_eq!((of("tea").times, of("tea").lag), (2, 0));
}

#[test]
fn a_cart_brings_what_lies_in_baskets_with_it_but_not_itself() {
    let model = shop();
    let answer = answer(&model, &Ask { cart: &["beans"], ..Ask::default() });
    let list = names(&model, &answer);
    assert_eq!(list[0], "filters");
    assert!(!list.contains(&"beans"));
    // Cosine 1, shrunk by 6 / (6 + 5), by the weight.
    assert!((answer[0].parts.together - 4.0 * 6.0 / 11.0).abs() < 1e-6);
    assert_eq!(answer[0].together_reasons[0].evidence, 6);
}

#[test]
fn excluded_and_filtered_products_stay_out_and_others_move_up() {
    let model = shop();
    let baskets: [&[&str]; 1] = [&["tea", "mug"]];
    let ask =
        Ask { baskets: &baskets, exclude: &["tea"], only: Some(&["tea", "mug", "beans"]), ..Ask::default() };
    assert_eq!(names(&model, &answer(&model, &ask)), ["mug", "beans"]);
    let nothing = answer(&model, &Ask { only: Some(&[]), ..Ask::default() });
    assert!(nothing.is_empty());
}

#[test]
fn a_shorter_answer_is_the_front_of_a_longer_one() {
    let model = shop();
    let baskets: [&[&str]; 2] = [&["grinder"], &["tea"]];
    let all = answer(&model, &Ask { baskets: &baskets, ..Ask::default() });
    for limit in 0..=all.len() {
        let some = answer(&model, &Ask { baskets: &baskets, limit: Some(limit), ..Ask::default() });
        assert_eq!(some, all[..limit]);
    }
}

#[test]
fn a_model_without_purchases_answers_with_nothing() {
    let data = DatasetBuilder::new().build().unwrap();
    let model = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
    assert!(answer(&model, &Ask { baskets: &[&["tea"]], cart: &["mug"], ..Ask::default() }).is_empty());
    let pieces = model.priors.encode(1000).unwrap();
    assert_eq!(nextbasket_recommender::Priors::decode(&pieces).unwrap(), model.priors);
}

#[test]
fn a_scratch_serves_models_of_different_sizes_one_after_the_other() {
    let (large, mut scratch) = (shop(), ScratchBuffers::new());
    let mut builder = DatasetBuilder::new();
    builder.push("a", "1", DAY, ["only"]).unwrap();
    let data = builder.build().unwrap();
    let small = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
    for model in [&large, &small, &large] {
        let history = History::new(&model.priors, [(DAY, ["only", "tea"])]);
        let anchors = Scorer::new(&model.priors).anchors(&mut scratch, &history, 12);
        assert_eq!(anchors.len(), 1);
    }
}
