//! The folders of `tests/exports`: files as a shop system writes them, and what they are expected to give.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use nextbasket_domain::{Line, Money};
use nextbasket_importer::merchant_feed_lines;
use serde::Deserialize;

/// `expected.json` of a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedExport {
    /// The profile that recognises the export, if it needs one.
    pub(crate) profile: Option<String>,
    pub(crate) kind: String,
    /// Its files, the one with the lines of orders first.
    pub(crate) files: Vec<String>,
    /// The records of the first file: a row with all lines of an order is one for each line.
    pub(crate) records: u64,
    #[serde(default)]
    pub(crate) purchases: Vec<ExpectedPurchase>,
    #[serde(default)]
    pub(crate) products: Vec<ExpectedProduct>,
    /// The numbers of refused records by reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExpectedPurchase {
    pub(crate) purchased_at: String,
    pub(crate) purchase_id: String,
    /// None for a visitor without an account: a user that has this purchase only, whatever its id.
    pub(crate) user_id: Option<String>,
    pub(crate) lines: Vec<ExpectedLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExpectedLine {
    pub(crate) product_id: String,
    pub(crate) quantity: u32,
    pub(crate) unit_price: Option<ExpectedPrice>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedPrice {
    pub(crate) amount: i64,
    pub(crate) currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ExpectedProduct {
    pub(crate) product_id: String,
    pub(crate) name: String,
    pub(crate) categories: Vec<String>,
    pub(crate) price: Option<ExpectedPrice>,
    pub(crate) available: bool,
}

impl ExpectedPrice {
    pub(crate) fn of(money: Money) -> Self {
        Self { amount: money.amount(), currency: money.currency().as_str().to_owned() }
    }
}

impl ExpectedLine {
    pub(crate) fn of(line: &Line) -> Self {
        Self {
            product_id: line.product_id.as_str().to_owned(),
            quantity: line.quantity,
            unit_price: line.unit_price.map(ExpectedPrice::of),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports")
}

/// The names of all folders, sorted.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

pub(crate) fn expected(name: &str) -> ExpectedExport {
    let text = fs::read_to_string(root().join(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The content of a file; that of an XML feed as JSON Lines.
pub(crate) fn content(name: &str, file: &str) -> Vec<u8> {
    let path = root().join(name).join(file);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "xml") {
        let mut lines = Vec::new();
        merchant_feed_lines(BufReader::new(bytes.as_slice())).read_to_end(&mut lines).unwrap();
        return lines;
    }
    bytes
}

/// The names of a file's columns, or the keys of its objects, and the number of its records.
pub(crate) fn columns(name: &str, file: &str) -> (Vec<String>, u64) {
    let bytes = content(name, file);
    // Files that are not in UTF-8 have ASCII names of columns.
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.starts_with('{') {
        let mut keys: Vec<String> = Vec::new();
        for line in text.lines() {
            let object: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
            for key in object.keys() {
                if !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
        }
        return (keys, text.lines().count() as u64);
    }
    let header = text.lines().next().unwrap();
    let delimiter =
        [b',', b';', b'\t'].into_iter().max_by_key(|sign| header.bytes().filter(|b| b == sign).count());
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter.unwrap()).from_reader(text.as_bytes());
    let names = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let records = reader.records().map(Result::unwrap).count() as u64;
    (names, records)
}
