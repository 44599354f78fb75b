//! What holds for every file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use common::{HEADER, opens, options};
use nextbasket_importer::{ImportSummary, read_products, read_purchases};
use proptest::prelude::*;

fn check(summary: &ImportSummary, refused: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(summary.taken + summary.tally.refused_records(), summary.tally.records);
    let lines = refused.iter().filter(|byte| **byte == b'\n').count();
    prop_assert_eq!(u64::try_from(lines).unwrap(), summary.tally.refused_records());
    Ok(())
}

fn read_both(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut refused = Vec::new();
    if let Ok(import) = read_purchases(&mut opens(bytes), &options(), &mut refused, &mut |_| {}) {
        check(&import.summary, &refused)?;
        for purchase in &import.purchases {
            prop_assert!(nextbasket_domain::Purchase::check_lines(&purchase.lines).is_ok());
        }
        for product in &import.products {
            prop_assert!(nextbasket_domain::Product::check_name(&product.name).is_ok());
        }
    }
    refused.clear();
    if let Ok(catalogue) = read_products(&mut opens(bytes), &options(), &mut refused, &mut |_| {}) {
        check(&catalogue.summary, &refused)?;
    }
    Ok(())
}

/// Bytes that are near enough to a file to get past its start.
fn near_csv() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof![
        "[a-c]{0,2}".prop_map(String::into_bytes),
        Just(b"2011-01-01".to_vec()),
        Just(b"-1".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\"\n\"".to_vec()),
        Just(b"\xff".to_vec()),
        Just(b"\r".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let line = prop::collection::vec(cell, 5..9).prop_map(|cells| cells.join(&b','));
    prop::collection::vec(line, 0..20).prop_map(|lines| {
        let mut bytes = HEADER.as_bytes().to_vec();
        bytes.extend(lines.join(&b'\n'));
        bytes
    })
}

fn near_json() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec![
        "userId",
        "productId",
        "purchasedAt",
        "quantity",
        "price",
        "lines",
        "name",
    ]);
    let value = prop::sample::select(vec![
        "\"a\"",
        "1",
        "-1",
        "1.5",
        "null",
        "true",
        "[]",
        "{}",
        "\"2011-01-01\"",
        "[{\"productId\":\"a\"}]",
        "{\"amount\":1,\"currency\":\"EUR\"}",
        "x",
    ]);
    let pair = (key, value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
    let line = prop::collection::vec(pair, 0..8).prop_map(|pairs| format!("{{{}}}", pairs.join(",")));
    prop::collection::vec(line, 1..20).prop_map(|lines| lines.join("\n").into_bytes())
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_both(&bytes)?;
    }

    #[test]
    fn every_record_of_a_csv_is_taken_or_refused(bytes in near_csv()) {
        read_both(&bytes)?;
    }

    #[test]
    fn every_record_of_json_lines_is_taken_or_refused(bytes in near_json()) {
        read_both(&bytes)?;
    }

    #[test]
    fn gzip_that_is_damaged_anywhere_does_not_make_it_panic(at in 0..400_usize, bit in 0..8_u8, bytes in near_csv()) {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let mut packed = encoder.finish().unwrap();
        let at = at % packed.len();
        packed[at] ^= 1 << bit;
        read_both(&packed)?;
    }

    /// Quoted as RFC 4180 says, any text comes back as it was.
    #[test]
    fn quoted_names_come_back(name in "[^\\p{Cc}]{1,40}", after in "[a-z]{1,5}") {
        prop_assume!(!name.trim().is_empty());
        prop_assume!(!["NULL", "null", "NaN", "nan", "None", "\\N"].contains(&name.trim()));
        let text = format!(
            "{HEADER}ada,a,2011-01-01,1,,\"{}\",b1\nada,b,2011-01-01,1,,{after},b1\n", name.replace('"', "\"\"")
        );
        let import = read_purchases(&mut opens(text.as_bytes()), &options(), &mut std::io::sink(), &mut |_| {}).unwrap();
        prop_assert_eq!(&import.products[0].name, name.trim());
        prop_assert_eq!(&import.products[1].name, &after);
    }
}
