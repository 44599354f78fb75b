//! Trains on a CSV of purchases and prints how long it took and the most memory it needed, as one JSON object.
//!
//! `train_csv TRAIN.csv[.gz] [--threads N] [--repeat N]`

use nextbasket_recommender::{Params, train};
use std::error::Error;
use std::num::NonZero;
use std::time::Instant;

mod common;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, otherwise: usize| -> Result<usize, Box<dyn Error>> {
        let at = arguments.iter().position(|argument| argument == name);
        match at.and_then(|at| arguments.get(at + 1)) {
            Some(text) => Ok(text.parse()?),
            None => Ok(otherwise),
        }
    };
    let path = arguments.first().ok_or("usage: train_csv TRAIN.csv[.gz] [--threads N] [--repeat N]")?;
    let threads = NonZero::new(number("--threads", 2)?).ok_or("--threads has to be 1 or more")?;
    let start = Instant::now();
    let data = common::read(path)?;
    let read = start.elapsed().as_secs_f64();
    let after_reading = peak_megabytes();
    let mut seconds = Vec::new();
    let mut sizes = (0, 0, 0);
    for _ in 0..number("--repeat", 1)? {
        let start = Instant::now();
        let model = train(&data, &Params::default(), threads, &|_| Vec::new())?;
        seconds.push(start.elapsed().as_secs_f64());
        let pieces = model.priors.encode(380_000)?;
        let rows = model.rows.iter().map(|row| row.encode().len()).sum::<usize>();
        sizes = (rows, pieces.iter().map(Vec::len).sum(), pieces.len());
    }
    let report = serde_json::json!({
        "lines": data.line_count(), "baskets": data.basket_count(), "users": data.user_count(),
        "products": data.catalogue().len(), "threads": threads, "readSeconds": read, "trainSeconds": seconds,
        "peakMegabytesAfterReading": after_reading, "peakMegabytes": peak_megabytes(),
        "rowBytes": sizes.0, "priorsBytes": sizes.1, "priorsPieces": sizes.2,
    });
    println!("{report}");
    Ok(())
}

/// The process's peak resident memory; `None` where there is no /proc.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
