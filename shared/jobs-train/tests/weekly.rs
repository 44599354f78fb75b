//! A small shop that trains every week: its models go live, unless there is evidence that they are worse.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::num::NonZero;

use common::{DAY_MS, shop};
use nextbasket_domain::Purchase;
use nextbasket_job_engine::JobKey;
use nextbasket_jobs_train::TrainParameters;
use nextbasket_jobs_train::context::TrainingContext;
use nextbasket_jobs_train::count::Cohort;
use nextbasket_jobs_train::evaluate::{EvaluatedModel, EvaluationResult, ListRows, evaluate};
use nextbasket_jobs_train::gate::{Comparison, LiveMetrics, ModelMetrics, compare};
use nextbasket_jobs_train::training_data::{PurchaseStatistics, TrainingPurchase, dataset};
use nextbasket_recommender::ranker::NewestBaskets;
use nextbasket_recommender::{Dataset, Params, TrainedModel, train};

const WEEKS: i64 = 27;

struct LiveModel {
    model: TrainedModel,
    metrics: LiveMetrics,
}

fn trained(data: &Dataset, params: &Params) -> TrainedModel {
    train(data, params, NonZero::<usize>::MIN, &|_| Vec::new()).unwrap()
}

fn evaluated<'m>(model: &'m TrainedModel, rows: &'m ListRows) -> EvaluatedModel<'m> {
    EvaluatedModel { priors: &model.priors, rows, ranker: None }
}

fn list_rows(model: &TrainedModel) -> ListRows {
    let mut rows = ListRows::default();
    model.rows.iter().for_each(|row| rows.add(row.product, &row.encode()).unwrap());
    rows
}

/// Trains on the purchases before a day, and compares with the live model.
fn training(
    purchases: &[Purchase],
    day: i64,
    params: &Params,
    live: Option<&LiveModel>,
) -> (TrainedModel, EvaluationResult, Option<Comparison>) {
    // A job's own key, and so its own pseudonyms.
    let key = JobKey::new([u8::try_from(day % 251).unwrap(); 32]);
    let before = purchases.iter().filter(|p| p.purchased_at.as_millis() < day * DAY_MS);
    let bought: Vec<TrainingPurchase> =
        before.map(|purchase| TrainingPurchase::new(purchase, &key)).collect();
    let data = dataset(&bought).unwrap();
    let parameters = TrainParameters { params: params.clone(), ..TrainParameters::default() };
    let context =
        TrainingContext::new(&parameters, &PurchaseStatistics::of(&data), &NewestBaskets::of(&data));
    let cohort = Cohort::new(data.clone(), &data.catalogue().clone(), &context).unwrap();
    let live_rows = live.map(|live| list_rows(&live.model)).unwrap_or_default();
    let with = live.map(|live| evaluated(&live.model, &live_rows));
    let mut evaluation = EvaluationResult::default();
    for users in cohort.trials().filter(|users| users.position == 0) {
        let trial = trained(&context.folds.hide(&data, users.fold, 0).0, params);
        let (result, _) = evaluate(users, evaluated(&trial, &list_rows(&trial)), with);
        evaluation = evaluation.merge(&result).unwrap();
    }
    let live = live.map(|live| &live.metrics);
    let comparison = compare(&evaluation.hand, &evaluation.live, live, parameters.gate);
    (trained(&data, params), evaluation, comparison)
}

/// The comparisons of weekly trainings, by week. A refused model does not go live.
fn weekly(purchases: &[Purchase], params: impl Fn(i64) -> Params) -> Vec<(i64, Comparison)> {
    let mut live: Option<LiveModel> = None;
    let mut comparisons = Vec::new();
    for week in 0..WEEKS {
        let (model, evaluation, comparison) =
            training(purchases, 12 + 7 * week, &params(week), live.as_ref());
        comparisons.extend(comparison.map(|comparison| (week, comparison)));
        if !comparison.is_some_and(|comparison| comparison.is_worse()) {
            let methods = Some(evaluation.methods.report()).filter(|methods| methods.model.users > 0);
            let metrics = methods.map(|methods| ModelMetrics { methods, hand_formula: None, ranker: None });
            live = Some(LiveModel { model, metrics: LiveMetrics { version: 1, metrics } });
        }
    }
    comparisons
}

#[test]
fn weekly_trainings_of_shops_with_few_repeat_customers_are_not_refused_on_noise() {
    let (mut refused, mut lower) = (0, 0);
    for (seed, users) in [(1, 8), (2, 20), (3, 40), (4, 60), (5, 90), (6, 110)] {
        let comparisons = weekly(&shop(seed, users, 40), |_| Params::default());
        let worse: Vec<_> = comparisons.iter().filter(|(_, comparison)| comparison.is_worse()).collect();
        assert!(worse.len() <= 1, "{users} users: {worse:?}");
        refused += worse.len();
        let is_lower = |comparison: &Comparison| comparison.new < comparison.live * (1.0 - comparison.gate);
        lower += comparisons.iter().filter(|(_, comparison)| is_lower(comparison)).count();
    }
    assert!(refused <= 2, "{refused} of {} trainings", 6 * WEEKS);
    // Means alone would have refused these.
    assert!(lower > 20, "{lower}");
}

#[test]
fn a_much_worse_model_of_a_small_shop_is_refused_all_the_same() {
    // What sells best, whoever asks, from the 20th week on.
    let poor =
        Params { popularity_weight: 1000.0, personal_decay: 0.01, next_weight: 0.0, ..Params::default() };
    let params = |week| if week < 20 { Params::default() } else { poor.clone() };
    let comparisons = weekly(&shop(5, 90, 40), params);
    let refused = |week: &i64| comparisons.iter().any(|(of, comparison)| of == week && comparison.is_worse());
    assert_eq!((20..WEEKS).filter(refused).count(), 7, "{comparisons:?}");
}
