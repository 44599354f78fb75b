//! What the tests read files with.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::io::{self, Read};

use nextbasket_domain::{Currency, Timestamp};
use nextbasket_importer::{ImportError, ImportOptions, ImportedPurchases, read_purchases};

pub(crate) const HEADER: &str = "user_id,product_id,timestamp,quantity,price,product_name,basket_id\n";

/// Prices in pounds, on the second of January 2012.
pub(crate) fn options() -> ImportOptions {
    ImportOptions::new(Timestamp::parse("2012-01-02T00:00:00Z").unwrap(), Currency::parse("GBP").unwrap())
}

/// Opens these bytes again and again.
pub(crate) fn opens(bytes: &[u8]) -> impl FnMut() -> io::Result<Box<dyn Read + Send>> {
    let bytes = bytes.to_vec();
    move || Ok(Box::new(io::Cursor::new(bytes.clone())))
}

/// A file's purchases, and what was refused of it.
pub(crate) fn read_with(
    bytes: &[u8],
    options: &ImportOptions,
) -> Result<(ImportedPurchases, String), ImportError> {
    let mut refused = Vec::new();
    let import = read_purchases(&mut opens(bytes), options, &mut refused, &mut |_| {})?;
    let summary = &import.summary;
    assert_eq!(summary.taken + summary.tally.refused_records(), summary.tally.records);
    Ok((import, String::from_utf8(refused).unwrap()))
}

pub(crate) fn read(text: &str) -> (ImportedPurchases, String) {
    read_with(text.as_bytes(), &options()).unwrap()
}

/// A file of our own columns.
pub(crate) fn read_lines(lines: &str) -> (ImportedPurchases, String) {
    read(&format!("{HEADER}{lines}"))
}

/// `line reason field`, of what was refused.
pub(crate) fn reasons(refused: &str) -> Vec<String> {
    let reason = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = value["field"].as_str().unwrap_or("-");
        format!("{} {} {field}", value["line"], value["reason"].as_str().unwrap())
    };
    refused.lines().map(reason).collect()
}
