//! A file that is read in parts gives the same result as when it is read as a whole.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use std::io::{Read, Write};

use common::{HEADER, opens, options, read_with};
use nextbasket_domain::Purchase;
use nextbasket_importer::{
    Assembler, FileLayout, FilePosition, ImportSummary, ImportedPurchases, JoinedFiles, ProductMentions,
    RecordKind, RecordScanner, ScanStep, UserPurchases, read_products, survey,
};
use proptest::prelude::*;

type Record = (u64, u64, Vec<u8>);

/// The records of a file that is reopened after every `every` records, each time at the current position, and the
/// refusals.
fn scanned(
    bytes: &[u8],
    kind: RecordKind,
    every: usize,
    refused: &mut Vec<u8>,
) -> (Vec<Record>, FileLayout, ImportSummary) {
    let options = options();
    let mut records = Vec::new();
    let layout = survey(&mut opens(bytes), &JoinedFiles::default(), kind, &options).unwrap();
    let mut at = layout.start();
    loop {
        // Layouts and positions are stored as text.
        let position: FilePosition = serde_json::from_str(&serde_json::to_string(&at).unwrap()).unwrap();
        let layout: FileLayout = serde_json::from_str(&serde_json::to_string(&layout).unwrap()).unwrap();
        let from = if layout.form.is_seekable() { usize::try_from(position.offset).unwrap() } else { 0 };
        let mut scanner = RecordScanner::resume(
            &bytes[from..],
            kind,
            &options,
            (&layout, &JoinedFiles::default()),
            &position,
        )
        .unwrap();
        let mut ended = false;
        for _ in 0..every {
            match scanner.step(refused).unwrap() {
                ScanStep::Taken(entry) => records.push((entry.group, entry.line, entry.record.to_vec())),
                ScanStep::Refused => {}
                ScanStep::End => {
                    ended = true;
                    break;
                }
            }
        }
        if ended {
            let end = scanner.finish().unwrap();
            let summary = ImportSummary::of(kind, layout.form.clone(), end);
            return (records, layout, summary);
        }
        at = scanner.position();
    }
}

/// The file in parts, with its records' groups in this many heaps, each of which is assembled separately.
fn in_parts(bytes: &[u8], every: usize, heaps: u64) -> (ImportedPurchases, String) {
    let mut refused = Vec::new();
    let (records, layout, mut summary) = scanned(bytes, RecordKind::Purchases, every, &mut refused);
    let (mut purchases, mut users, mut mentions) =
        (Vec::new(), UserPurchases::default(), ProductMentions::default());
    let mut tally = nextbasket_importer::ImportTally::default();
    for heap in 0..heaps {
        let mut assembler = Assembler::new(&layout, RecordKind::Purchases, &options()).unwrap();
        for (_, line, record) in records.iter().filter(|(group, ..)| group % heaps == heap) {
            assembler.add(*line, record, &mut refused).unwrap();
        }
        let assembled = assembler.finish();
        purchases.extend(assembled.purchases);
        assembled.users.into_iter().for_each(|user| users.add(user));
        assembled.mentions.into_iter().for_each(|mention| mentions.add(mention));
        tally += assembled.tally;
    }
    let (products, of_products) = mentions.into_products();
    tally += of_products;
    tally += users.tally();
    tally.lines = summary.tally.lines;
    tally.records = summary.tally.records;
    for (reason, count) in &summary.tally.refused {
        *tally.refused.entry(*reason).or_default() += count;
    }
    for (reason, line) in &summary.tally.first_refused {
        let first = tally.first_refused.entry(*reason).or_insert(*line);
        *first = (*first).min(*line);
    }
    let end = nextbasket_importer::ScanEnd {
        tally,
        ignored_columns: std::mem::take(&mut summary.ignored_columns),
        ended_early: summary.ended_early.take(),
        notes: std::mem::take(&mut summary.notes),
        joined_to: None,
    };
    purchases.sort_by(|a: &Purchase, b| {
        (a.purchased_at, &a.user_id, &a.purchase_id).cmp(&(b.purchased_at, &b.user_id, &b.purchase_id))
    });
    let summary = ImportSummary::of(RecordKind::Purchases, layout.form.clone(), end);
    (ImportedPurchases { purchases, products, summary }, String::from_utf8(refused).unwrap())
}

fn sorted(refused: &str) -> Vec<&str> {
    let mut lines: Vec<_> = refused.lines().collect();
    lines.sort_unstable();
    lines
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn check(bytes: &[u8], every: usize, heaps: u64) {
    let Ok((whole, refused)) = read_with(bytes, &options()) else { return };
    let (parts, refused_in_parts) = in_parts(bytes, every, heaps);
    assert_eq!(parts.purchases, whole.purchases);
    assert_eq!(parts.products, whole.products);
    assert_eq!(parts.summary, whole.summary);
    assert_eq!(sorted(&refused_in_parts), sorted(&refused));
}

fn cell(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(texts)
}

/// Lines of few users and baskets, so that many belong together, with every possible kind of error.
fn csv() -> impl Strategy<Value = Vec<u8>> {
    let line = (
        cell(&["ada", "bob", "", "\"eve\""]),
        cell(&["beans", "milk 1", "POST", "\"two\nlines\"", ""]),
        cell(&["2011-01-01", "2011-01-02T10:00", "soon", "2011-01-01"]),
        cell(&["1", "2", "-1", "999999", ""]),
        cell(&["9.90", "0", "1.005", "x", ""]),
        cell(&["Beans", "Other", "", "\"stray", "caf\u{e9}"]),
        cell(&["b1", "b2", "", "b1"]),
        cell(&["\n", "\r\n", "\n\n", ",x\n"]),
    );
    prop::collection::vec(line, 0..60).prop_map(|lines| {
        let mut text = format!("\u{feff}\n{HEADER}");
        for (user, product, time, quantity, price, name, basket, end) in lines {
            text.push_str(&format!("{user},{product},{time},{quantity},{price},{name},{basket}{end}"));
        }
        text.into_bytes()
    })
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        (cell(&["ada", "bob"]), cell(&["a", "b2"]), 1..4_u32, cell(&["b1", "b2"])).prop_map(
            |(user, product, quantity, basket)| format!(
                r#"{{"userId":"{user}","productId":"{product}","timestamp":"2011-01-01","quantity":{quantity},"basketId":"{basket}","x{quantity}":1}}"#
            )
        ),
        (cell(&["ada", "bob"]), cell(&["b1", "b3"]), 1..3_u32).prop_map(|(user, basket, quantity)| format!(
            r#"{{"userId":"{user}","purchaseId":"{basket}","purchasedAt":"2011-01-02","lines":[{{"productId":"a","quantity":{quantity},"name":"N{quantity}"}},{{"productId":"a","quantity":1,"name":"M"}}]}}"#
        )),
        Just("{".to_owned()),
        Just(String::new()),
    ];
    prop::collection::vec(line, 1..40).prop_map(|lines| lines.join("\n").into_bytes())
}

proptest! {
    #[test]
    fn a_csv_in_parts_is_the_csv(bytes in csv(), every in 1..9_usize, heaps in 1..6_u64) {
        check(&bytes, every, heaps);
    }

    #[test]
    fn a_packed_csv_in_parts_is_the_csv(bytes in csv(), every in 1..9_usize, cut in 0..40_usize) {
        let packed = gzip(&bytes);
        check(&packed[..packed.len() - cut.min(packed.len() / 2)], every, 3);
    }

    #[test]
    fn json_lines_in_parts_are_the_file(bytes in json(), every in 1..9_usize, heaps in 1..6_u64) {
        check(&bytes, every, heaps);
    }
}

#[test]
fn a_file_of_stray_quotes_can_be_gone_on_with_after_every_line() {
    let mut text = HEADER.to_owned();
    for n in 0..400 {
        text.push_str(&format!(
            "ada,\"p{n},2011-01-01,1,1.00,Name,b{n}\r\nada,p{n},2011-01-01,1,1.00,,b{n}\n"
        ));
    }
    check(text.as_bytes(), 1, 2);
}

#[test]
fn a_line_that_is_too_long_has_its_length_in_the_file() {
    let long = "x".repeat(1_500_000);
    let line = |n: u32| format!("ada,p{n},2011-01-01,1,1.00,Name,b{n}\n");
    let text = format!("{HEADER}{}ada,\"open{}\n{long}\n{}\n{long}{}", line(1), line(2), line(3), line(4));
    check(text.as_bytes(), 1, 2);
    let mut unpacked = String::new();
    text.as_bytes().read_to_string(&mut unpacked).unwrap();
    assert_eq!(read_with(unpacked.as_bytes(), &options()).unwrap().0.summary.tally.lines, 8);
}

#[test]
fn of_a_catalogue_in_parts_the_later_record_of_a_product_counts() {
    let text = "product_id,name,price\na,First,1\nb,Other,2.005\na,Second,3.5\n,None,1\nb,Last,-1\n";
    let mut refused = Vec::new();
    let whole = read_products(&mut opens(text.as_bytes()), &options(), &mut refused, &mut |_| {}).unwrap();
    let mut again = Vec::new();
    let (records, layout, summary) = scanned(text.as_bytes(), RecordKind::Products, 1, &mut again);
    assert_eq!(again, refused);
    assert_eq!(summary.tally.refused, whole.summary.tally.refused);
    let mut assembler = Assembler::new(&layout, RecordKind::Products, &options()).unwrap();
    for (_, line, record) in &records {
        assembler.add(*line, record, &mut again).unwrap();
    }
    let assembled = assembler.finish();
    assert_eq!(assembled.products, whole.products);
    assert_eq!((assembled.tally.merged, assembled.tally.prices.rounded), (1, 1));
}
