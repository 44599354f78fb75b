//! Learning to rank from generated examples, and scoring the candidates of one answer.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the undocumented functions")]

mod common;

use common::{newest_first, purchases};
use criterion::{Criterion, criterion_group, criterion_main};
use nextbasket_recommender::ranker::binned::BinnedExamples;
use nextbasket_recommender::ranker::boosting::BoostSettings;
use nextbasket_recommender::ranker::conditional_logit::{LinearWeights, fit};
use nextbasket_recommender::ranker::examples::Examples;
use nextbasket_recommender::ranker::forest::Forest;
use nextbasket_recommender::ranker::{FEATURES, Ranker, TimeFeatures};
use nextbasket_recommender::{
    ANCHORS, History, Params, ProductIx, ScoreRequest, Scorer, ScratchBuffers, train,
};
use std::hint::black_box;
use std::num::NonZero;

const CANDIDATES: u16 = 150;

/// Groups whose better candidates are bought more.
fn examples(groups: u32) -> Examples {
    let mut examples = Examples::new(FEATURES.len());
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        f32::from(u16::try_from(state >> 16).unwrap()) / 65_536.0
    };
    for _ in 0..groups {
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for candidate in 0..CANDIDATES {
            let score = -f32::from(candidate) / 40.0;
            values.push(score);
            values.extend((1..FEATURES.len()).map(|_| uniform()));
            labels.push(uniform() < 0.3 * score.exp());
        }
        examples.push(&values, &labels, u32::from(CANDIDATES), 0).unwrap();
    }
    examples
}

fn learning(c: &mut Criterion) {
    let examples = examples(400);
    let threads = NonZero::new(2).unwrap();
    let hand: Vec<f64> =
        (0..examples.rows()).map(|row| f64::from(*examples.values(row..row + 1).first().unwrap())).collect();
    let mut group = c.benchmark_group("400 users, 150 candidates, 44 features, 2 threads");
    group.sample_size(10);
    group.bench_function("linear stage", |b| b.iter(|| fit(black_box(&examples.all()), threads)));
    group.bench_function("bins", |b| {
        b.iter(|| BinnedExamples::new(black_box(&examples), hand.clone(), threads).unwrap());
    });
    let binned = BinnedExamples::new(&examples, hand.clone(), threads).unwrap();
    let settings = BoostSettings::default();
    group.bench_function("120 trees", |b| b.iter(|| binned.boost(&examples.all(), &settings, threads)));
    group.finish();

    let forest = binned.boost(&examples.all(), &settings, threads).forest;
    let one = examples.groups().first().unwrap().rows();
    let (features, start) = (examples.values(one.clone()), hand.get(one).unwrap());
    let mut scores = start.to_vec();
    c.bench_function(&format!("{} trees, 150 candidates", forest.trees()), |b| {
        b.iter(|| forest.add_to(&mut scores, 0..forest.trees(), black_box(features), start));
    });
    answering(c, forest);
}

/// A warm answer, with a ranker and by the hand formula alone.
fn answering(c: &mut Criterion, forest: Forest) {
    let data = purchases(3000, 4000);
    let params = Params { next_neighbours: 50, ..Params::default() };
    let model = train(&data, &params, NonZero::new(2).unwrap(), &|_| Vec::new()).unwrap();
    let history = History::new(&model.priors, newest_first(&data, 100));
    let weights = LinearWeights::hand_formula(FEATURES.len());
    let ranker = Ranker::new(TimeFeatures::Elapsed, weights, forest);
    let rows = |product: ProductIx| model.rows.get(product.get() as usize);
    for (name, ranker) in [("hand formula", None), ("ranker", Some(&ranker))] {
        let (scorer, mut scratch) = (Scorer::new(&model.priors).with_ranker(ranker), ScratchBuffers::new());
        let anchors = scorer.anchors(&mut scratch, &history, ANCHORS);
        let request = ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &|product| rows(product).map(|rows| &rows.next),
            cart: &[],
            together_row: &|product| rows(product).map(|rows| &rows.together),
            exclude: &[],
            filter: None,
            at_ms: model.priors.now_ms(),
            limit: 10,
        };
        c.bench_function(&format!("answer, 100 baskets, {} rows, {name}", anchors.len()), |b| {
            b.iter(|| scorer.score(&mut scratch, black_box(&request)));
        });
    }
}

criterion_group!(benches, learning);
criterion_main!(benches);
