//! Exports of shop systems and public data sets, each read to exactly the purchases or products that are in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

#[path = "common/export_files.rs"]
mod export_files;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use export_files::{
    ExpectedExport, ExpectedLine, ExpectedPrice, ExpectedProduct, ExpectedPurchase, content, expected, names,
};
use nextbasket_domain::{Currency, Product, Purchase, Timestamp};
use nextbasket_importer::{
    FileRole, ImportError, ImportOptions, ImportSummary, JoinedFiles, RecordKind, read_joined_purchases,
    read_products,
};

fn options() -> ImportOptions {
    let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    ImportOptions { currency: None, ..ImportOptions::new(now, Currency::EUR) }
}

/// The purchases and products of a folder's files, or why they cannot be read.
fn read(
    name: &str,
    export: &ExpectedExport,
) -> Result<(Vec<Purchase>, Vec<Product>, ImportSummary), ImportError> {
    let open = |file: &String| {
        let bytes = content(name, file);
        Box::new(move || Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn Read + Send>))
            as Box<dyn FnMut() -> std::io::Result<Box<dyn Read + Send>>>
    };
    let mut files: Vec<_> = export.files.iter().map(open).collect();
    let mut refused = Vec::new();
    if export.kind == "products" {
        let import = read_products(&mut *files[0], &options(), &mut refused, &mut |_| {})?;
        return Ok((Vec::new(), import.products, import.summary));
    }
    for other in 1..files.len() {
        let role = JoinedFiles::role(&mut files, other, RecordKind::Purchases, &options())?;
        assert!(matches!(role, FileRole::JoinedTo(_, 0)), "{name}: {}", export.files[other]);
    }
    let FileRole::Records(joined) = JoinedFiles::role(&mut files, 0, RecordKind::Purchases, &options())?
    else {
        panic!("{name}: the first file holds the lines of orders");
    };
    let import = read_joined_purchases(&mut *files[0], &joined, &options(), &mut refused, &mut |_| {})?;
    Ok((import.purchases, Vec::new(), import.summary))
}

/// The purchases as the expected ones are written. A user that is expected to be a visitor of its own must not be that of
/// another purchase.
fn shown(purchases: &[Purchase], export: &ExpectedExport) -> Vec<ExpectedPurchase> {
    let named: BTreeSet<&str> = export.purchases.iter().filter_map(|p| p.user_id.as_deref()).collect();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    purchases.iter().for_each(|purchase| *counts.entry(purchase.user_id.as_str()).or_default() += 1);
    let user = |purchase: &Purchase| {
        let user = purchase.user_id.as_str();
        (named.contains(user) || counts[user] > 1).then(|| user.to_owned())
    };
    let mut shown: Vec<_> = purchases
        .iter()
        .map(|purchase| ExpectedPurchase {
            purchased_at: purchase.purchased_at.to_string(),
            purchase_id: purchase.purchase_id.as_str().to_owned(),
            user_id: user(purchase),
            lines: purchase.lines.iter().map(ExpectedLine::of).collect(),
        })
        .collect();
    shown.sort();
    shown
}

fn shown_products(products: &[Product]) -> Vec<ExpectedProduct> {
    let mut shown: Vec<_> = products
        .iter()
        .map(|product| ExpectedProduct {
            product_id: product.product_id.as_str().to_owned(),
            name: product.name.clone(),
            categories: product.categories.iter().map(|category| category.as_str().to_owned()).collect(),
            price: product.price.map(ExpectedPrice::of),
            available: product.available,
        })
        .collect();
    shown.sort();
    shown
}

/// What differs from what is expected.
fn differences(name: &str) -> Option<String> {
    let mut export = expected(name);
    export.purchases.sort();
    export.products.sort();
    let (purchases, products, summary) = match read(name, &export) {
        Ok(read) => read,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let refused: BTreeMap<String, u64> =
        summary.tally.refused.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
    let (purchases, products) = (shown(&purchases, &export), shown_products(&products));
    if (&purchases, &products, &refused, summary.tally.records)
        == (&export.purchases, &export.products, &export.refused, export.records)
    {
        return None;
    }
    let beside = |missing: String, found: String| {
        if missing == found { String::new() } else { format!("expected {missing}\nnot {found}\n") }
    };
    let lines = |purchases: &[ExpectedPurchase], others: &[ExpectedPurchase]| {
        purchases
            .iter()
            .filter(|purchase| !others.contains(purchase))
            .map(|purchase| format!("\n  {purchase:?}"))
            .collect()
    };
    Some(format!(
        "{name}: {}{}{}",
        beside(lines(&export.purchases, &purchases), lines(&purchases, &export.purchases)),
        beside(format!("{:?}", export.products), format!("{products:?}")),
        beside(
            format!("{:?} of {}", export.refused, export.records),
            format!("{refused:?} of {}", summary.tally.records)
        ),
    ))
}

#[test]
fn an_export_gives_exactly_its_purchases_and_products() {
    let wrong: Vec<_> = names().iter().filter_map(|name| differences(name)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
