//! A year of a real gift shop (UCI Online Retail, in our columns), if there is one at hand: set
//! `NEXTBASKET_DATA` to the folder that holds `online_retail_full.csv.gz`. Without it the test says so and ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use nextbasket_importer::{RefusalReason, read_purchases};

#[test]
fn a_year_of_a_real_shop_comes_to_the_known_counts() {
    let Some(folder) = std::env::var_os("NEXTBASKET_DATA").map(PathBuf::from) else {
        eprintln!("skipped: NEXTBASKET_DATA is not set");
        return;
    };
    let mut open = || {
        let file = File::open(folder.join("online_retail_full.csv.gz"))?;
        Ok(Box::new(file) as Box<dyn Read + Send>)
    };
    let import = read_purchases(&mut open, &common::options(), &mut std::io::sink(), &mut |_| {}).unwrap();
    let summary = &import.summary;
    assert_eq!((summary.tally.records, summary.taken, summary.tally.merged), (541_909, 397_924, 9_951));
    assert_eq!(summary.tally.refused[&RefusalReason::MissingUser], 135_080);
    assert_eq!(summary.tally.refused[&RefusalReason::Cancellation], 8_905);
    assert_eq!(summary.tally.refused.len(), 2);
    assert_eq!(
        (summary.tally.purchases, summary.tally.users, summary.tally.products),
        (18_536, 4_339, 3_665)
    );
    let lines = || import.purchases.iter().flat_map(|purchase| &purchase.lines);
    assert_eq!(lines().count(), 387_973);
    assert_eq!(lines().map(|line| u64::from(line.quantity)).sum::<u64>(), 5_181_696);
    let pennies = |line: &nextbasket_domain::Line| {
        line.unit_price.map_or(0, |price| price.amount() * i64::from(line.quantity))
    };
    assert_eq!(lines().map(pennies).sum::<i64>(), 891_140_790);
}
