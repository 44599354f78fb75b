//! How much memory, and how much of the jobs' bucket, a file of many lines takes until its purchases are written. Run by
//! hand: `NEXTBASKET_LINES=20000000 cargo test --release -p nextbasket-jobs-shop --test memory -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use common::World;
use nextbasket_job_engine::pool::{Stop, drive};
use serde_json::json;

/// The process's peak memory since the last call, in megabytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    kilobytes / 1024
}

/// Orders of fifty lines each, with the lines of an order as far apart as possible.
fn write(path: &std::path::Path, lines: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    writeln!(file, "user_id,product_id,timestamp,quantity,price,product_name,basket_id").unwrap();
    let orders = (lines / 50).max(1);
    for n in 0..lines {
        let (order, product) = (n % orders, (n % orders * 7_919 + n / orders * 104_729) % 20_000);
        let (day, user) = (1 + order % 28, order % 50_000);
        let price = product % 9_000;
        writeln!(
            file,
            "user{user},SKU{product},2026-01-{day:02}T10:00:00,{},{}.{:02},Product number {product},order{order}",
            1 + n % 3,
            1 + price / 100,
            price % 100
        )
        .unwrap();
    }
    file.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; the size is given by NEXTBASKET_LINES"]
async fn a_file_of_any_size_is_read_and_gathered_with_the_same_memory() {
    let lines: u64 =
        std::env::var("NEXTBASKET_LINES").map_or(1_000_000, |lines| lines.parse::<u64>().unwrap());
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.csv");
    write(&path, lines);
    println!("{lines} lines, {} MB", fs::metadata(&path).unwrap().len() >> 20);
    let engine = world.engine();
    let job = engine.submit(None, "import", json!({ "source": path })).await.unwrap().job_id;
    println!("before: {} MB", peak());
    let (stop, begun) = (Stop::default(), Instant::now());
    let mut highest = 0;
    let mut stage = String::new();
    let driving = drive(&engine, &job, 8, &stop);
    tokio::pin!(driving);
    while stage != "write" {
        tokio::select! {
            ended = &mut driving => panic!("{ended:?}"),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        let now = engine.job(&job).await.unwrap();
        let name = now.stage().map_or("", |stage| &stage.name);
        if name != stage {
            let peak = peak();
            println!("{stage}: until {:?} at most {peak} MB", begun.elapsed());
            highest = highest.max(peak);
            name.clone_into(&mut stage);
        }
    }
    assert!(highest < 600, "{highest} MB");
}
