//! Training on generated purchases, one answer, and reading priors.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros write the undocumented functions")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nextbasket_recommender::{
    ANCHORS, Dataset, DatasetBuilder, History, Params, Priors, ProductIx, ScoreRequest, Scorer,
    ScratchBuffers, train,
};
use std::hint::black_box;
use std::num::NonZero;

/// SplitMix64, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Users with 1 to 12 baskets of 1 to 30 products; small product numbers are bought more.
fn purchases(users: u64, products: u64) -> Dataset {
    let mut random = Random(1);
    let mut builder = DatasetBuilder::new();
    for user in 0..users {
        for basket in 0..=random.below(12) {
            let time = i64::try_from(random.below(400 * 86_400_000)).unwrap();
            let lines: Vec<String> = (0..=random.below(30))
                .map(|_| random.below(products) * random.below(1000) / 1000)
                .map(|product| format!("product {product:06}"))
                .collect();
            let lines = lines.iter().map(String::as_str);
            builder.push(&format!("user {user}"), &format!("{user}-{basket}"), time, lines).unwrap();
        }
    }
    builder.build().unwrap()
}

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
    let baskets: Vec<(i64, Vec<&str>)> = (0..data.user_count())
        .flat_map(|user| data.baskets_of(user).collect::<Vec<_>>())
        .take(100)
        .map(|(time, products)| (time, Dataset::typed(products).map(|p| data.catalogue().id(p)).collect()))
        .collect();
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
