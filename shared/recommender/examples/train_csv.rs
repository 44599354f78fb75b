//! Trains on a CSV of purchases and prints how long it took and the most memory it needed, as one JSON object.
//!
//! `train_csv TRAIN.csv[.gz] [--threads N] [--repeat N] [--segments N --blocks N]`
//! With segments of users and blocks of products it trains once more, the way it goes where no process sees all
//! purchases: each segment counted apart, the counts written out per block, and each block ranked from its counts.

use nextbasket_recommender::intermediate::encode;
use nextbasket_recommender::{Counting, Dataset, NeighbourModels, Params, Priors, TrainedModel, rank, train};
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
    let mut trained = None;
    for _ in 0..number("--repeat", 1)? {
        let start = Instant::now();
        let model = train(&data, &Params::default(), threads, &|_| Vec::new())?;
        seconds.push(start.elapsed().as_secs_f64());
        let pieces = model.priors.encode(380_000)?;
        let rows = model.rows.iter().map(|row| row.encode().len()).sum::<usize>();
        sizes = (rows, pieces.iter().map(Vec::len).sum(), pieces.len());
        trained = Some(model);
    }
    let report = serde_json::json!({
        "lines": data.line_count(), "baskets": data.basket_count(), "users": data.user_count(),
        "products": data.catalogue().len(), "threads": threads, "readSeconds": read, "trainSeconds": seconds,
        "peakMegabytesAfterReading": after_reading, "peakMegabytes": peak_megabytes(),
        "rowBytes": sizes.0, "priorsBytes": sizes.1, "priorsPieces": sizes.2,
    });
    println!("{report}");
    let (segments, blocks) = (number("--segments", 0)?, number("--blocks", 1)?);
    if let Some(expected) = trained.filter(|_| segments > 0) {
        let model = in_parts(&data, u32::try_from(segments)?, u32::try_from(blocks)?)?;
        println!("equal to training at once: {}", model == expected);
    }
    Ok(())
}

fn in_parts(data: &Dataset, segments: u32, blocks: u32) -> Result<TrainedModel, Box<dyn Error>> {
    let params = Params::default();
    let now_ms = data.newest_ms().unwrap_or_default();
    let products = u32::try_from(data.catalogue().len())?;
    let width = products.div_ceil(blocks).max(1);
    let blocks: Vec<_> =
        (0..products).step_by(width as usize).map(|start| start..(start + width).min(products)).collect();
    let start = Instant::now();
    let mut counts = vec![Vec::new(); blocks.len()];
    let mut totals = None;
    let mut segment_bytes = Vec::new();
    for segment in 0..segments {
        let own = |id: &str| data.user_of(id).is_some_and(|user| user % segments == segment);
        let bytes = data.split(|id, _| own(id)).0.encode();
        segment_bytes.push(bytes.len());
        let part = Dataset::decode(&bytes)?;
        let counting = Counting::new(&part, &params, now_ms)?;
        let more = counting.totals(counting.all_users());
        totals = Some(match totals.take() {
            Some(totals) => more.merge(&totals)?,
            None => more,
        });
        for (block, counts) in blocks.iter().zip(&mut counts) {
            counts.push(counting.pairs(counting.all_users(), block.clone()).encode());
        }
    }
    let totals = totals.ok_or("no segments")?;
    let counted = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut rows = Vec::new();
    for (block, parts) in blocks.iter().zip(&counts) {
        rows.extend(rank(block.clone(), parts, &totals, &params, NeighbourModels::All)?);
    }
    let sizes = |parts: &Vec<Vec<u8>>| parts.iter().map(Vec::len).sum::<usize>();
    let report = serde_json::json!({
        "segments": segments, "blocks": blocks.len(),
        "countSeconds": counted, "rankSeconds": start.elapsed().as_secs_f64(),
        "segmentBytes": segment_bytes.iter().sum::<usize>(), "totalsBytes": encode(&totals).len(),
        "countBytes": counts.iter().map(sizes).sum::<usize>(),
        "largestBlockBytes": counts.iter().map(sizes).max(),
    });
    println!("{report}");
    Ok(TrainedModel {
        priors: Priors::new(data.catalogue(), &totals, &params, now_ms, &|_| Vec::new()),
        rows,
    })
}

/// The process's peak resident memory; `None` where there is no /proc.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
