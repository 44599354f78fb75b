//! Compares all methods on the newest basket of each user of a CSV, and prints what `docs/QUALITY.md` shows.
//!
//! `cargo run --release -p nextbasket-recommender --example compare_csv -- PURCHASES.csv.gz`

use nextbasket_recommender::Params;
use nextbasket_recommender::evaluate::{ComparisonOptions, Estimate, HoldOut, compare_methods};
use std::error::Error;
use std::num::NonZero;

mod common;

fn shown(estimate: Option<Estimate>) -> String {
    match estimate {
        Some(Estimate { mean, interval: Some((low, high)) }) => format!("{mean:.3} ({low:.3}-{high:.3})"),
        Some(Estimate { mean, .. }) => format!("{mean:.3}"),
        None => "none".to_owned(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: compare_csv PURCHASES.csv.gz")?;
    let options = ComparisonOptions {
        hold_out: HoldOut::NewestBasket,
        max_users: 20_000,
        history_baskets: 100,
        seed: 0,
        threads: std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
        params: Params::default(),
    };
    let report = compare_methods(common::read(&path)?, &options, &|_| Vec::new())?;
    println!("{}\nweight of carts: {}", report.learned.reason, report.learned.cart_weight);
    for (name, group) in [("returning users", &report.returning_users), ("carts", &report.carts)] {
        println!("{name}: {} asked", group.asked);
        for method in &group.methods {
            for at in &method.at {
                println!(
                    "  {:<26} @{:<2}  recall {}  nDCG {}  hit rate {}",
                    method.name,
                    at.k,
                    shown(at.recall),
                    shown(at.ndcg),
                    shown(at.hit_rate)
                );
            }
        }
    }
    Ok(())
}
