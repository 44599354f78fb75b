//! Training on generated purchases, one answer, and reading priors.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the undocumented functions")]

mod common;

use common::{newest_first, purchases};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nextbasket_recommender::{
    ANCHORS, History, Params, Priors, ProductIx, ScoreRequest, Scorer, ScratchBuffers, train,
};
use std::hint::black_box;
use std::num::NonZero;

fn training(c: &mut Criterion) {
    let data = purchases(3000, 4000);
    let threads = NonZero::new(2).unwrap();
    let mut group = c.benchmark_group("train");
    group.sample_size(10);
    group.bench_function(format!("{} lines, 2 threads", data.line_count()), |b| {
        b.iter(|| train(black_box(&data), &Params::default(), threads, &|_| Vec::new()).unwrap());
    });
    group.finish();
}

fn answering(c: &mut Criterion) {
    let data = purchases(3000, 4000);
    let model = train(&data, &Params::default(), NonZero::new(2).unwrap(), &|_| Vec::new()).unwrap();
    let scorer = Scorer::new(&model.priors);
    let mut scratch = ScratchBuffers::new();
    let baskets = newest_first(&data, 100);
    for length in [10, 100] {
        let newest = || baskets.iter().take(length).map(|(time, ids)| (*time, ids.iter().copied()));
        c.bench_function(&format!("history of {length} baskets from ids"), |b| {
            b.iter(|| History::new(&model.priors, newest()));
        });
        let history = History::new(&model.priors, newest());
        c.bench_function(&format!("answer, 10 of 4,000 products, history of {length} baskets"), |b| {
            b.iter(|| {
                let anchors = scorer.anchors(&mut scratch, &history, ANCHORS);
                let request = ScoreRequest {
                    history: &history,
                    anchors: &anchors,
                    next_row: &|product: ProductIx| {
                        model.rows.get(product.get() as usize).map(|rows| &rows.next)
                    },
                    cart: &[],
                    together_row: &|_| None,
                    exclude: &[],
                    filter: None,
                    at_ms: 0,
                    limit: 10,
                };
                scorer.score(&mut scratch, &request)
            });
        });
    }
}

fn reading(c: &mut Criterion) {
    let data = purchases(30_000, 50_000);
    let model = train(&data, &Params::default(), NonZero::new(2).unwrap(), &|_| Vec::new()).unwrap();
    let pieces = model.priors.encode(380_000).unwrap();
    let bytes: usize = pieces.iter().map(Vec::len).sum();
    let name = format!("priors of {} products, {} pieces, {bytes} bytes", model.priors.len(), pieces.len());
    c.bench_function(&name, |b| {
        b.iter_batched(|| (), |()| Priors::decode(black_box(&pieces)).unwrap(), BatchSize::PerIteration);
    });
    let row = model.rows.iter().max_by_key(|row| row.next.len() + row.together.len()).unwrap().encode();
    c.bench_function(&format!("the rows of a product, {} bytes", row.len()), |b| {
        b.iter(|| nextbasket_recommender::ProductRows::decode(black_box(&row)).unwrap());
    });
}

criterion_group!(benches, training, answering, reading);
criterion_main!(benches);
