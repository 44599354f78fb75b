//! However users and products are split, and in whatever order the parts are put together, the stages come to the same
//! bits, and to those of training at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::num::NonZero;
use std::ops::Range;

use common::{DAY_MS, Seeded, product, shop};
use nextbasket_domain::{HISTORY_BASKETS, Purchase};
use nextbasket_job_engine::JobKey;
use nextbasket_jobs_train::TrainParameters;
use nextbasket_jobs_train::context::{TrainingContext, product_blocks};
use nextbasket_jobs_train::count::{Cohort, CohortTotals, trials};
use nextbasket_jobs_train::evaluate::{
    EvaluatedBasket, EvaluatedModel, EvaluationResult, ListRows, evaluate, live_anchors, trial_anchors,
};
use nextbasket_jobs_train::learn::{LearnInput, LearnOutput};
use nextbasket_jobs_train::product_details::ProductDetails;
use nextbasket_jobs_train::rank::{self, PackedPriors};
use nextbasket_jobs_train::training_data::{PurchaseStatistics, TrainingPurchase, dataset, merge_catalogues};
use nextbasket_recommender::evaluate::{Evaluation, ListEvaluator, Methods};
use nextbasket_recommender::intermediate::{decode, encode};
use nextbasket_recommender::ranker::{FOLDS, HiddenBasket, HiddenBaskets, NewestBaskets, hidden_baskets};
use nextbasket_recommender::{
    Catalogue, Dataset, History, Params, Priors, ProductRows, TrainedModel, evaluate::CUTOFFS, train,
};

/// A block of products, with the model's rows and those of each trial.
type PackedBlock = (Range<u32>, Vec<u8>, Vec<Vec<u8>>);

/// All that a training leaves, as it is stored.
#[derive(Debug, PartialEq)]
struct StageResults {
    context: TrainingContext,
    /// Row by row.
    rows: Vec<Vec<u8>>,
    /// Of each trial.
    trial_rows: Vec<Vec<Vec<u8>>>,
    priors: PackedPriors,
    judged: Vec<u8>,
    /// Of each trial.
    hidden: Vec<Vec<EvaluatedBasket>>,
    learned: LearnOutput,
}

fn key() -> JobKey {
    JobKey::new([7; 32])
}

fn bought(purchases: &[Purchase]) -> Vec<TrainingPurchase> {
    purchases.iter().map(|purchase| TrainingPurchase::new(purchase, &key())).collect()
}

fn labels() -> ProductDetails {
    let mut labels = ProductDetails::default();
    labels.add(product("p1", "Tea", &["drinks", "hot"]));
    labels.add(product("p2", "Jam", &["food"]));
    labels
}

fn settings(segments: u32, product_blocks: u32) -> TrainParameters {
    TrainParameters {
        segments: Some(segments),
        product_blocks: Some(product_blocks),
        max_evaluated_users: 80,
        ..TrainParameters::default()
    }
}

fn totals(bytes: &[u8]) -> CohortTotals {
    decode("totals", bytes).unwrap()
}

fn evaluation(bytes: &[u8]) -> EvaluationResult {
    decode("evaluation", bytes).unwrap()
}

/// Through all stages, each on bytes that the one before has left, in an order of the seed's.
fn in_stages(
    purchases: &[Purchase],
    settings: &TrainParameters,
    live: Option<&TrainedModel>,
    seed: u64,
) -> StageResults {
    let mut random = Seeded(seed);
    let segments = settings.segments.unwrap();
    let mut shuffled = bought(purchases);
    random.shuffle(&mut shuffled);
    // Survey.
    let mut surveyed: Vec<(PurchaseStatistics, NewestBaskets, Vec<u8>, Vec<u8>)> = (0..segments)
        .map(|segment| {
            let own = |user: &str| user.bytes().map(u32::from).sum::<u32>() % segments == segment;
            let data = dataset(shuffled.iter().filter(|bought| own(&bought.user))).unwrap();
            let (statistics, newest) = (PurchaseStatistics::of(&data), NewestBaskets::of(&data));
            (statistics, newest, data.catalogue().encode(), data.encode())
        })
        .collect();
    random.shuffle(&mut surveyed);
    let survey = surveyed.iter().fold(PurchaseStatistics::default(), |sum, (survey, ..)| sum.merge(*survey));
    let catalogues: Vec<Catalogue> =
        surveyed.iter().map(|(.., catalogue, _)| Catalogue::decode(catalogue).unwrap()).collect();
    let catalogue = merge_catalogues(&catalogues).unwrap();
    let newest = surveyed.iter().fold(NewestBaskets::default(), |sum, (_, newest, ..)| sum.merge(newest));
    let context = TrainingContext::new(settings, &survey, &newest);
    let context: TrainingContext = serde_json::from_slice(&serde_json::to_vec(&context).unwrap()).unwrap();
    let mut blocks: Vec<Range<u32>> = product_blocks(settings, &survey, catalogue.len());
    random.shuffle(&mut blocks);
    // Count.
    let cohort = |bytes: &[u8]| Cohort::new(Dataset::decode(bytes).unwrap(), &catalogue, &context).unwrap();
    let mut sums = Vec::new();
    let mut parts = vec![Vec::new(); blocks.len()];
    for (.., data) in &surveyed {
        let cohort = cohort(data);
        let counting = cohort.counting(&context).unwrap();
        sums.push(encode(&counting.totals().unwrap()));
        for (block, parts) in blocks.iter().zip(&mut parts) {
            parts.push(counting.part(block.clone()));
        }
    }
    random.shuffle(&mut sums);
    let sums = sums.iter().map(|sums| totals(sums)).reduce(|a, b| a.merge(&b).unwrap()).unwrap();
    let priors = rank::pack_priors(&catalogue, &sums, &context, &labels()).unwrap();
    // Rank.
    let trials = trials(context.folds);
    let mut packed: Vec<PackedBlock> = Vec::new();
    for (block, parts) in blocks.iter().zip(&mut parts) {
        random.shuffle(parts);
        let ranked = rank::block(block.clone(), parts, &sums, &context).unwrap();
        let of_trials = ranked.trials.iter().map(|rows| rank::pack(rows)).collect();
        packed.push((block.clone(), rank::pack(&ranked.model), of_trials));
    }
    // Evaluate.
    let mut judged = Vec::new();
    let mut hidden: Vec<Vec<EvaluatedBasket>> = vec![Vec::new(); trials];
    for (.., data) in &surveyed {
        let cohort = cohort(data);
        let mut live_rows = ListRows::default();
        if let Some(live) = live {
            for product in live_anchors(cohort.trials(), &live.priors) {
                live_rows.add(product, &live.rows[product.get() as usize].encode()).unwrap();
            }
        }
        let live = live.map(|live| EvaluatedModel { priors: &live.priors, rows: &live_rows, ranker: None });
        for (trial, users) in cohort.trials().enumerate() {
            let priors = Priors::decode(&priors.trials[trial]).unwrap();
            let wanted = trial_anchors(users, &priors);
            let mut rows = ListRows::default();
            for (block, _, trials) in &packed {
                rows.add_block(block.clone(), &trials[trial], &wanted).unwrap();
            }
            let model = EvaluatedModel { priors: &priors, rows: &rows, ranker: None };
            let (result, baskets) = evaluate(users, model, live);
            judged.push(encode(&result));
            hidden[trial].extend(decode::<Vec<EvaluatedBasket>>("baskets", &encode(&baskets)).unwrap());
        }
    }
    random.shuffle(&mut judged);
    let merge = |a: EvaluationResult, b: EvaluationResult| a.merge(&b).unwrap();
    let judged = judged.iter().map(|bytes| evaluation(bytes)).reduce(merge).unwrap_or_default();
    // Learn.
    let mut input = LearnInput::default();
    for baskets in &mut hidden {
        random.shuffle(baskets);
        input.push_trial(baskets.clone()).unwrap();
        baskets.sort_by(|a, b| a.hidden.key.cmp(&b.hidden.key));
    }
    let threads = NonZero::new(1 + random.below(3) as usize).unwrap();
    let learned = input.learn(threads).unwrap();
    packed.sort_unstable_by_key(|(block, ..)| block.start);
    let rows = |bytes: &Vec<u8>, block: &Range<u32>| -> Vec<Vec<u8>> {
        rank::unpack(block.clone(), bytes).unwrap().into_iter().map(|(_, row)| row.to_vec()).collect()
    };
    let of_trial = |trial: usize| -> Vec<Vec<u8>> {
        packed.iter().flat_map(|(block, _, trials)| rows(&trials[trial], block)).collect()
    };
    StageResults {
        trial_rows: (0..trials).map(of_trial).collect(),
        rows: packed.iter().flat_map(|(block, model, _)| rows(model, block)).collect(),
        priors,
        judged: encode(&judged),
        hidden,
        learned,
        context,
    }
}

fn at_once(data: &Dataset, params: &Params) -> TrainedModel {
    let labels = labels();
    let categories = |pseudonym: &str| labels.categories(pseudonym);
    train(data, params, NonZero::new(2).unwrap(), &categories).unwrap()
}

fn encoded(rows: &[ProductRows]) -> Vec<Vec<u8>> {
    rows.iter().map(ProductRows::encode).collect()
}

#[test]
fn any_split_in_any_order_comes_to_the_bits_of_one_segment_and_one_block() {
    for seed in 1..=3 {
        let purchases = shop(seed, 90, 40);
        let old: Vec<Purchase> =
            purchases.iter().filter(|p| p.purchased_at.as_millis() < 150 * DAY_MS).cloned().collect();
        let live = at_once(&dataset(&bought(&old)).unwrap(), &Params::default());
        let expected = in_stages(&purchases, &settings(1, 1), Some(&live), seed);
        assert!(evaluation(&expected.judged).live.users() > 20, "the live model is judged, too");
        for segments in [1, 2, 3, 7, 16] {
            for blocks in [1, 3, 8] {
                let order = seed * 1000 + u64::from(segments * 10 + blocks);
                let left = in_stages(&purchases, &settings(segments, blocks), Some(&live), order);
                assert!(left == expected, "{segments} segments, {blocks} blocks, seed {seed}, order {order}");
            }
        }
    }
}

#[test]
fn the_model_is_the_one_that_training_at_once_makes() {
    let purchases = shop(7, 120, 50);
    let left = in_stages(&purchases, &settings(5, 3), None, 7);
    let model = at_once(&dataset(&bought(&purchases)).unwrap(), &Params::default());
    assert_eq!(left.rows, encoded(&model.rows));
    assert_eq!(left.priors.model, model.priors.encode(380_000).unwrap());
    let tea = model.priors.index_of("p1").unwrap();
    assert_eq!(model.priors.categories(tea).collect::<Vec<_>>(), ["drinks", "hot"]);
    // The users' ids do not show.
    let mut named = nextbasket_recommender::DatasetBuilder::new();
    for purchase in &purchases {
        let products = purchase.lines.iter().map(|line| line.product_id.as_str());
        let time_ms = purchase.purchased_at.as_millis();
        named.push(purchase.user_id.as_str(), purchase.purchase_id.as_str(), time_ms, products).unwrap();
    }
    assert_eq!(at_once(&named.build().unwrap(), &Params::default()), model);
}

#[test]
fn what_is_hidden_and_learned_is_what_training_at_once_hides_and_learns() {
    let purchases = shop(11, 200, 50);
    let left = in_stages(&purchases, &settings(4, 6), None, 11);
    let data = dataset(&bought(&purchases)).unwrap();
    let folds = left.context.folds;
    let threads = NonZero::new(2).unwrap();
    let hidden = hidden_baskets(&data, &Params::default(), folds, threads).unwrap();
    assert!(hidden.len() > 100, "{}", hidden.len());
    let in_stages: Vec<&HiddenBasket> = left.hidden.iter().flatten().map(|basket| &basket.hidden).collect();
    assert!(in_stages.iter().copied().eq(&hidden));
    let mut baskets = HiddenBaskets::default();
    hidden.into_iter().for_each(|basket| baskets.push(basket).unwrap());
    let learned = baskets.learn(0, threads).unwrap().unwrap();
    let report = &left.learned.report;
    let weights: Vec<f64> = report.features.iter().map(|feature| feature.weight).collect();
    let unused = learned.time.features.unused();
    let used = learned.ranker.weights().iter().enumerate().filter(|(at, _)| !unused.contains(at));
    assert_eq!(weights[..weights.len() - 1], used.map(|(_, &weight)| weight).collect::<Vec<_>>());
    if let Some(kept) = &left.learned.kept {
        assert_eq!(kept.ranker.encode(), learned.ranker.encode());
    }
    // A trial is what training at once makes without the hidden baskets.
    let (before, held) = folds.hide(&data, 2, 0);
    assert!(!held.is_empty());
    let trial = usize::from(2 * folds.positions());
    let priors = Priors::decode(&left.priors.trials[trial]).unwrap();
    let now_ms = data.newest_ms();
    assert_eq!(before.newest_ms(), now_ms, "nobody's newest basket is the newest of all");
    let model = train(&before, &Params::default(), threads, &|_| Vec::new()).unwrap();
    assert_eq!(priors, model.priors);
    let lists = model.rows.iter().map(|rows| {
        ProductRows { similar: nextbasket_recommender::NeighbourRow::default(), ..rows.clone() }.encode()
    });
    assert_eq!(left.trial_rows[trial], lists.collect::<Vec<_>>());
}

#[test]
fn users_are_judged_on_their_newest_baskets_by_trials_that_have_not_seen_them() {
    let purchases = shop(11, 200, 50);
    let left = in_stages(&purchases, &settings(4, 6), None, 11);
    let data = dataset(&bought(&purchases)).unwrap();
    let threads = NonZero::new(1).unwrap();
    let mut expected = Methods::<Evaluation>::default();
    for fold in 0..FOLDS {
        let (before, held) = left.context.folds.hide(&data, fold, 0);
        let trial = train(&before, &Params::default(), threads, &|_| Vec::new()).unwrap();
        let rows: Vec<ProductRows> =
            encoded(&trial.rows).iter().map(|row| ProductRows::decode(row).unwrap()).collect();
        let mut evaluator = ListEvaluator::new(&trial.priors);
        for held in &held {
            let history = History::of_user(&before, held.user, HISTORY_BASKETS);
            let bought = Dataset::typed(&held.products).collect();
            evaluator.evaluate(&mut expected, &history, &bought, |product| {
                rows.get(product.get() as usize).map(|row| &row.next)
            });
        }
    }
    let judged = evaluation(&left.judged);
    assert_eq!(judged.methods, expected);
    let report = judged.methods.report();
    assert!(report.model.users > 50, "{report:#?}");
    assert_eq!(judged.hand.all.users(), report.model.users);
    let ndcg = report.model.at(10).unwrap().ndcg;
    assert!((judged.hand.all.estimate().unwrap().mean - ndcg).abs() < 1e-12);
    assert_eq!(report.gp_top_freq.at.iter().map(|quality| quality.k).collect::<Vec<_>>(), CUTOFFS);
    assert!(ndcg > report.g_top_freq.at(10).unwrap().ndcg, "{report:#?}");
}

#[test]
fn a_live_model_is_judged_by_nothing_it_has_seen() {
    let purchases = shop(13, 200, 40);
    let data = dataset(&bought(&purchases)).unwrap();
    let settings = settings(2, 2);
    let judged = |live: &TrainedModel| {
        let left = in_stages(&purchases, &settings, Some(live), 13);
        evaluation(&left.judged)
    };
    // It has seen everything.
    let judged_by_all = judged(&at_once(&data, &Params::default()));
    assert_eq!((judged_by_all.live.users(), judged_by_all.hand.since_live.users()), (0, 0));
    // It has seen all until day 180.
    let old = |p: &&Purchase| p.purchased_at.as_millis() <= 180 * DAY_MS;
    let old: Vec<Purchase> = purchases.iter().filter(old).cloned().collect();
    let live = at_once(&dataset(&bought(&old)).unwrap(), &Params::default());
    let judged = judged(&live);
    let context = TrainingContext::new(&settings, &PurchaseStatistics::of(&data), &NewestBaskets::of(&data));
    let hidden = (0..FOLDS).flat_map(|fold| context.folds.hide(&data, fold, 0).1);
    let newer = hidden.filter(|held| held.time_ms > live.priors.now_ms()).count() as u64;
    assert!(newer > 5, "{newer}");
    assert_eq!((judged.live.users(), judged.hand.since_live.users()), (newer, newer));
    // On the same baskets, a live model that knows nothing but one product nobody has bought since is worse.
    let mut strange = nextbasket_recommender::DatasetBuilder::new();
    strange.push("x", "1", 0, ["gone"]).unwrap();
    let strange = at_once(&strange.build().unwrap(), &Params::default());
    let left = in_stages(&purchases, &settings, Some(&strange), 13);
    let judged = evaluation(&left.judged);
    assert_eq!(judged.live.estimate().unwrap().mean, 0.0);
    assert!(judged.live.users() > newer && judged.hand.since_live.estimate().unwrap().mean > 0.2);
}

#[test]
fn without_evaluation_nobody_is_judged_and_the_model_is_the_same() {
    let purchases = shop(17, 60, 30);
    let with = in_stages(&purchases, &settings(3, 2), None, 17);
    let without = in_stages(&purchases, &TrainParameters { evaluate: false, ..settings(3, 2) }, None, 17);
    assert_eq!((&without.rows, &without.priors.model), (&with.rows, &with.priors.model));
    assert_eq!((without.priors.trials.len(), without.trial_rows.len()), (0, 0));
    assert!(!without.learned.report.used && with.learned.report.baskets > 0);
}

#[test]
fn parts_of_different_trainings_do_not_mix() {
    let purchases = shop(19, 30, 20);
    let data = dataset(&bought(&purchases)).unwrap();
    let catalogue = data.catalogue().clone();
    let survey = PurchaseStatistics::of(&data);
    let part = |settings: &TrainParameters| {
        let context = TrainingContext::new(settings, &survey, &NewestBaskets::of(&data));
        let cohort = Cohort::new(data.clone(), &catalogue, &context).unwrap();
        let counting = cohort.counting(&context).unwrap();
        (counting.part(0..catalogue.len() as u32), counting.totals().unwrap(), context)
    };
    let (part_of_one, sums, context) = part(&settings(1, 1));
    let params = Params { max_gap: 3, ..Params::default() };
    let (part_of_other, other_sums, _) = part(&TrainParameters { params, ..settings(1, 1) });
    let all = 0..catalogue.len() as u32;
    assert!(rank::block(all.clone(), std::slice::from_ref(&part_of_one), &sums, &context).is_ok());
    assert!(rank::block(all, &[part_of_one, part_of_other], &sums, &context).is_err());
    assert!(sums.clone().merge(&other_sums).is_err());
    let (_, unjudged, _) = part(&TrainParameters { evaluate: false, ..settings(1, 1) });
    assert!(sums.merge(&unjudged).is_err());
}

#[test]
fn a_users_pseudonym_is_all_that_is_written_down_of_them() {
    let bought = bought(&shop(1, 5, 5));
    let text = String::from_utf8_lossy(&dataset(&bought).unwrap().encode()).into_owned()
        + &serde_json::to_string(&bought).unwrap();
    assert!(text.contains(&key().pseudonym("user 1")) && !text.contains("user 1"), "{text}");
}
