//! However the users are split and the counts merged, the model is the same to the bit.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the message")]

#[path = "../common/mod.rs"]
mod common;

use common::{Purchase, dataset, fill, purchases};
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::{
    Catalogue, Counting, Dataset, DatasetBuilder, MergeError, NeighbourModels, PairCounts, Params, Priors,
    RankError, Totals, TrainedModel, rank, train,
};
use proptest::prelude::*;
use std::num::NonZero;

fn threads(number: usize) -> NonZero<usize> {
    NonZero::new(number).unwrap()
}

fn categories(id: &str) -> Vec<String> {
    if id.ends_with('1') { vec!["ones".to_owned(), "all".to_owned()] } else { vec!["all".to_owned()] }
}

/// One user's purchases stay in one part; parts have the catalogue of the whole.
fn parts(purchases: &[Purchase], whole: &Dataset, choice: &[usize], count: usize) -> Vec<Dataset> {
    let part_of = |user: &str| choice[whole.user_of(user).unwrap() as usize % choice.len()] % count;
    let part = |part: usize| {
        let own: Vec<Purchase> = purchases.iter().filter(|p| part_of(&p.user) == part).cloned().collect();
        fill(DatasetBuilder::with_catalogue(whole.catalogue().clone()), &own)
    };
    (0..count).map(part).collect()
}

fn model_of_parts(
    parts: &[Dataset],
    params: &Params,
    now_ms: i64,
    order: &[usize],
    width: u32,
) -> TrainedModel {
    let catalogue = parts[0].catalogue().clone();
    let products = u32::try_from(catalogue.len()).unwrap();
    let counted: Vec<Counting<'_>> =
        parts.iter().map(|part| Counting::new(part, params, now_ms).unwrap()).collect();
    let mut totals: Option<Totals> = None;
    let mut rows = Vec::new();
    let blocks: Vec<_> = (0..products).step_by(width as usize).map(|start| start..start + width).collect();
    for &part in order {
        let more = counted[part].totals(counted[part].all_users());
        totals = Some(totals.map_or(more.clone(), |totals| totals.merge(&more).unwrap()));
    }
    let totals = decode("totals", &encode(&totals.unwrap())).unwrap();
    for block in blocks {
        let block = block.start..block.end.min(products);
        let pairs = |&part: &usize| counted[part].pairs(counted[part].all_users(), block.clone()).encode();
        let mut parts: Vec<Vec<u8>> = order.iter().map(pairs).collect();
        let apart = rank(block.clone(), &parts, &totals, params, NeighbourModels::All).unwrap();
        let lists = rank(block.clone(), &parts, &totals, params, NeighbourModels::Lists).unwrap();
        assert!(apart.iter().zip(&lists).all(|(all, lists)| {
            (&all.next, &all.together) == (&lists.next, &lists.together) && lists.similar.is_empty()
        }));
        // Two of the parts merged beforehand.
        let [a, b] =
            [parts.pop().unwrap(), parts.pop().unwrap()].map(|part| PairCounts::decode(&part).unwrap());
        parts.push(a.merge(&b).unwrap().encode());
        assert_eq!(rank(block, &parts, &totals, params, NeighbourModels::All).unwrap(), apart);
        rows.extend(apart);
    }
    TrainedModel { priors: Priors::new(&catalogue, &totals, params, now_ms, &categories), rows }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_partition_in_any_order_gives_the_bits_of_one_process(
        purchases in purchases(),
        choice in prop::collection::vec(0usize..4, 9),
        order in Just([0, 1, 2, 3].to_vec()).prop_shuffle(),
        width in 1u32..6,
        neighbours in 1u16..8,
    ) {
        let params = Params {
            next_neighbours: neighbours, together_neighbours: neighbours + 1, similar_neighbours: neighbours + 2,
            ..Params::default()
        };
        let whole = dataset(&purchases);
        let now_ms = whole.newest_ms().unwrap();
        let expected = train(&whole, &params, threads(1), &categories).unwrap();
        prop_assert_eq!(&train(&whole, &params, threads(3), &categories).unwrap(), &expected);
        let parts = parts(&purchases, &whole, &choice, 4);
        let model = model_of_parts(&parts, &params, now_ms, &order, width);
        prop_assert_eq!(&model, &expected);
        let bytes = |model: &TrainedModel| model.rows.iter().flat_map(|row| row.encode()).collect::<Vec<u8>>();
        prop_assert_eq!(bytes(&model), bytes(&expected));
        prop_assert_eq!(model.priors.encode(600).unwrap(), expected.priors.encode(600).unwrap());
    }

    #[test]
    fn ranges_of_users_of_one_data_set_merge_to_the_whole_in_any_grouping(
        purchases in purchases(), cuts in (0u32..10, 0u32..10)
    ) {
        let data = dataset(&purchases);
        let counting = Counting::new(&data, &Params::default(), data.newest_ms().unwrap()).unwrap();
        let users = data.user_count();
        let (low, high) = (cuts.0.min(cuts.1).min(users), cuts.0.max(cuts.1).min(users));
        let [a, b, c] = [0..low, low..high, high..users];
        let products = 0..u32::try_from(data.catalogue().len()).unwrap();
        let pairs = |users| counting.pairs(users, products.clone());
        let (pa, pb, pc) = (pairs(a.clone()), pairs(b.clone()), pairs(c.clone()));
        let whole = pairs(counting.all_users());
        prop_assert_eq!(&pa.merge(&pb).unwrap().merge(&pc).unwrap(), &whole);
        prop_assert_eq!(&pc.merge(&pa.merge(&pb).unwrap()).unwrap(), &whole);
        prop_assert_eq!(&pb.merge(&pc).unwrap().merge(&pa).unwrap().encode(), &whole.encode());
        let totals = |users| counting.totals(users);
        let merged = totals(c).merge(&totals(a)).unwrap().merge(&totals(b)).unwrap();
        prop_assert_eq!(&merged, &totals(counting.all_users()));
        prop_assert_eq!(decode("totals", &encode(&merged)), Ok(merged.clone()));
        prop_assert_eq!(&PairCounts::decode(&whole.encode()).unwrap(), &whole);
        let lists = counting.list_pairs(counting.all_users(), products.clone());
        prop_assert_eq!(&PairCounts::decode(&lists.encode()).unwrap(), &lists);
        prop_assert_eq!(whole.merge(&lists), Err(MergeError::OtherProducts));
        let ranked = |counts: &PairCounts, models| {
            rank(products.clone(), &[counts.encode()], &merged, &Params::default(), models)
        };
        prop_assert_eq!(ranked(&lists, NeighbourModels::Lists), ranked(&whole, NeighbourModels::Lists));
        prop_assert!(ranked(&lists, NeighbourModels::All).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_counts_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Totals>("totals", &bytes);
        let _ = PairCounts::decode(&bytes);
    }

    #[test]
    fn corrupt_counts_are_an_error_or_ranked_but_no_panic(
        purchases in purchases(), at: prop::sample::Index, byte: u8
    ) {
        let data = dataset(&purchases);
        let params = Params::default();
        let counting = Counting::new(&data, &params, data.newest_ms().unwrap()).unwrap();
        let products = 0..u32::try_from(data.catalogue().len()).unwrap();
        let totals = counting.totals(counting.all_users());
        let mut bytes = counting.pairs(counting.all_users(), products.clone()).encode();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = rank(products, &[bytes], &totals, &params, NeighbourModels::All);
    }
}

#[test]
fn counts_of_another_run_are_refused() {
    let purchase = |user: &str, product: &str| Purchase {
        user: user.to_owned(),
        id: "1".to_owned(),
        time_ms: 1000,
        products: vec![product.to_owned(), "x".to_owned()],
    };
    let data = dataset(&[purchase("a", "y"), purchase("b", "y")]);
    let other = dataset(&[purchase("a", "z")]);
    let count = |data, now| Counting::new(data, &Params::default(), now).unwrap().pairs(0..9, 0..2);
    assert!(count(&data, 1000).merge(&count(&data, 1000)).is_ok());
    assert_eq!(count(&data, 1000).merge(&count(&other, 1000)), Err(MergeError::OtherRun));
    assert_eq!(count(&data, 1000).merge(&count(&data, 2000)), Err(MergeError::OtherRun));
    let half = Counting::new(&data, &Params::default(), 1000).unwrap().pairs(0..9, 0..1);
    assert_eq!(count(&data, 1000).merge(&half), Err(MergeError::OtherProducts));
    let totals = Counting::new(&data, &Params::default(), 1000).unwrap().totals(0..9);
    let ranked = |parts: &[PairCounts]| {
        let parts: Vec<Vec<u8>> = parts.iter().map(PairCounts::encode).collect();
        rank(0..2, &parts, &totals, &Params::default(), NeighbourModels::All)
    };
    assert_eq!(ranked(&[count(&data, 1000), half]), Err(RankError::Merge(MergeError::OtherProducts)));
    assert_eq!(ranked(&[count(&data, 2000)]), Err(RankError::Merge(MergeError::OtherRun)));
    assert_eq!(ranked(&[]).unwrap().len(), 2, "without counts there are rows without neighbours");
}

#[test]
fn a_catalogue_may_hold_products_that_nobody_bought() {
    let catalogue = Catalogue::new(["never", "x", "y"]).unwrap();
    let mut builder = DatasetBuilder::with_catalogue(catalogue);
    builder.push("a", "1", 1000, ["x", "y"]).unwrap();
    let model = train(&builder.build().unwrap(), &Params::default(), threads(2), &categories).unwrap();
    let never = model.priors.index_of("never").unwrap();
    assert_eq!(model.priors.product_baskets(never), 0);
    assert_eq!(model.priors.last_sale_ms(never), None);
    assert!(model.rows[0].is_empty());
    assert_eq!(Priors::decode(&model.priors.encode(4000).unwrap()).unwrap(), model.priors);
}
