//! Files to import, and data files of dumps: CSV and lines of JSON.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Arc;

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{Currency, Product, Purchase, Timestamp};
use nextbasket_dynamodb::item::Item;
use nextbasket_importer::{ImportOptions, ImportSummary, read_products, read_purchases};
use nextbasket_items::key::{KeyAttribute, KeyKind, KeySchema};
use nextbasket_jobs_dump::csv::{Columns, read_row, write_header, write_row};
use nextbasket_jobs_dump::json::checked::Checker;
use nextbasket_jobs_dump::json::{self, LineChange};
use nextbasket_jobs_dump::{Format, ItemsDigest, json_lines};
use serde_json::Value;

use crate::memory::{measured, within};
use crate::records::read;

/// The memory that reading a file may use besides its records.
const BESIDE: usize = 32 << 20;
/// How many items of a file are written again: a KB of gzip may hold a hundred thousand, each of which takes time.
const WRITTEN: usize = 1_000;
/// The memory that a purchase's line or a product may use, however short its text is.
const RECORD: usize = 4 << 10;

/// The first byte chooses the reader.
pub fn check(data: &[u8]) {
    let Some((&reader, content)) = data.split_first() else { return };
    match reader % 5 {
        0 => drop(purchases(content)),
        1 => drop(products(content)),
        2 => drop(items(content, Format::Csv)),
        3 => drop(items(content, Format::JsonLines)),
        _ => drop(items(content, Format::DynamodbJson)),
    }
}

fn options() -> ImportOptions {
    let now = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
    ImportOptions::new(now, Currency::parse("EUR").unwrap())
}

/// Opens these bytes again and again.
fn opens(bytes: &[u8]) -> impl FnMut() -> io::Result<Box<dyn Read + Send>> {
    let bytes: Arc<[u8]> = bytes.into();
    move || Ok(Box::new(io::Cursor::new(Arc::clone(&bytes))))
}

/// Every record is accepted or rejected, and each rejection is in the refused lines.
fn counted(summary: &ImportSummary, refused: &[u8]) {
    assert_eq!(
        summary.taken + summary.tally.refused.values().sum::<u64>(),
        summary.tally.records,
        "{summary:?}"
    );
    let lines: Vec<&[u8]> = refused.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len() as u64, summary.tally.refused.values().sum::<u64>(), "{summary:?}");
    for line in lines {
        let line: Value = serde_json::from_slice(line).expect("a refused line is JSON");
        assert!(line["line"].as_u64() <= Some(summary.tally.lines), "{line} of {summary:?}");
        assert!(line["reason"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// The records as JSON lines, which have to be accepted unchanged.
fn lines<T: serde::Serialize>(records: &[T]) -> Vec<u8> {
    records.iter().flat_map(|record| [serde_json::to_vec(record).unwrap(), b"\n".to_vec()].concat()).collect()
}

/// The purchases of a file; `None` if it is not a file of purchases.
pub(crate) fn purchases(content: &[u8]) -> Option<Vec<Purchase>> {
    let mut refused = Vec::new();
    let read = |file: &[u8], refused: &mut Vec<u8>| {
        read_purchases(&mut opens(file), &options(), refused, &mut |_| ())
    };
    let (read_once, held) = measured(|| read(content, &mut refused));
    let import = read_once.ok()?;
    let taken: usize = import.purchases.iter().map(|purchase| purchase.lines.len()).sum();
    assert!(held <= BESIDE + RECORD * taken + 4 * refused.len(), "{held} bytes for {taken} lines");
    counted(&import.summary, &refused);
    let latest = options().now.plus_millis(DAY_MS);
    let mut ids = HashSet::new();
    for purchase in &import.purchases {
        Purchase::check_lines(&purchase.lines).expect("lines within their limits");
        assert!(purchase.purchased_at <= latest, "{purchase:?}");
        assert!(ids.insert((&purchase.user_id, &purchase.purchase_id)), "twice: {purchase:?}");
    }
    assert!(import.purchases.is_sorted_by_key(|purchase| purchase.purchased_at), "oldest first");
    if !import.purchases.is_empty() {
        let again = read(&lines(&import.purchases), &mut refused).expect("purchases as they are written");
        assert_eq!(again.summary.tally.refused.len(), 0, "{:?}", again.summary);
        assert_eq!(again.purchases, import.purchases);
    }
    Some(import.purchases)
}

/// The products of a file; `None` if it is not a file of products.
pub(crate) fn products(content: &[u8]) -> Option<Vec<Product>> {
    let mut refused = Vec::new();
    let read = |file: &[u8], refused: &mut Vec<u8>| {
        read_products(&mut opens(file), &options(), refused, &mut |_| ())
    };
    let (read_once, held) = measured(|| read(content, &mut refused));
    let catalogue = read_once.ok()?;
    let taken = catalogue.products.len();
    assert!(
        held <= BESIDE + RECORD * taken + 4 * (refused.len() + content.len()),
        "{held} bytes for {taken}"
    );
    counted(&catalogue.summary, &refused);
    assert!(catalogue.products.is_sorted_by(|a, b| a.product_id < b.product_id));
    for product in &catalogue.products {
        Product::check_name(&product.name).expect("a name within its limits");
        Product::check_categories(&product.categories).expect("categories within their limits");
        Product::check_attributes(&product.attributes).expect("attributes within their limits");
    }
    if !catalogue.products.is_empty() {
        let again = read(&lines(&catalogue.products), &mut refused).expect("products as they are written");
        assert_eq!(again.summary.tally.refused.len(), 0, "{:?}", again.summary);
        assert_eq!(again.products, catalogue.products);
    }
    Some(catalogue.products)
}

/// The digests of a data file's items, in their order.
pub(crate) fn items(content: &[u8], format: Format) -> Vec<ItemsDigest> {
    let (mut digests, mut before) = (Vec::new(), 0);
    // A line has at most 8 MB, and its values in memory take a multiple of that.
    let limit = BESIDE + 300 * content.len().min(8 << 20);
    let _ = within(limit, || {
        read(content, format, |record| {
            assert!(record.line > before, "line {} behind {before}", record.line);
            before = record.line;
            match record.change {
                Ok(LineChange::Put(item)) if digests.len() < WRITTEN => digests.push(again(&item, format)),
                Ok(LineChange::Put(item)) => digests.push(digest(&item)),
                Ok(LineChange::Delete(keys)) => digests.push(digest(&keys)),
                Err(problem) => assert!(!problem.is_empty()),
            }
        })
    });
    if format == Format::DynamodbJson {
        checked(content);
    }
    digests
}

fn digest(item: &Item) -> ItemsDigest {
    ItemsDigest::of(item, &mut Vec::new()).expect("an item that was read has only numbers that are some")
}

/// Checks that an item is the same after it was written and read again, in every format.
fn again(item: &Item, format: Format) -> ItemsDigest {
    let expected = digest(item);
    let mut line = Vec::new();
    json::write_line(item, &mut line).expect("an item is written");
    match json::read_line(1, &line).expect("what was written is read") {
        LineChange::Put(again) => assert_eq!(digest(&again), expected, "{item:?}"),
        LineChange::Delete(keys) => panic!("{item:?} became {keys:?}"),
    }
    line.clear();
    // Other items nest deeper than DynamoDB allows.
    let written = json_lines::write_line(item, &mut line);
    match json_lines::read_line(1, &line) {
        Ok(again) => assert_eq!(digest(&again), expected, "{item:?}"),
        Err(error) => {
            let deep = error.problem.contains("nested deeper") || error.problem.contains("recursion limit");
            assert!(format != Format::JsonLines && deep, "{written:?} {error}: {item:?}");
        }
    }
    if let Ok(columns) = Columns::of(&[], std::slice::from_ref(item)) {
        let mut file = Vec::new();
        write_header(&columns, &mut file).expect("a header is written");
        write_row(&columns, item, &mut file).expect("a row is written");
        let mut rows = ::csv::ReaderBuilder::new().from_reader(file.as_slice());
        let columns = Columns::read(rows.headers().expect("a header")).expect("columns");
        let row = rows.records().next();
        if item.is_empty() {
            return expected;
        }
        let row = row.expect("a row").expect("a row in UTF-8");
        assert_eq!(digest(&read_row(&columns, &row).expect("an item")), expected, "{item:?}");
    }
    expected
}

/// Checks that the other reader accepts what the fast reader accepts, with the same result.
fn checked(content: &[u8]) {
    let keys = KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::S }, sort: None };
    let mut checker = Checker::new(keys);
    for line in content.split(|byte| *byte == b'\n') {
        let Some((text, _)) = checker.item(line) else { continue };
        let read = json::read_line(1, line).expect("what the quick reader takes is an item");
        let LineChange::Put(item) = read else { panic!("an item became a deletion") };
        assert_eq!(checker.digest(&text), Some(digest(&item)), "{item:?}");
    }
}

pub(crate) fn all(mut reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map(|_| bytes)
}
