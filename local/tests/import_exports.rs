//! Exports of shop systems, imported by the command as they are.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{fail, run, succeed};
use serde_json::Value;

/// A file of the exports that the importer's own tests read.
fn export(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/importer/tests/exports");
    folder.join(name).to_str().unwrap().to_owned()
}

fn written(folder: &Path, name: &str, content: &str) -> String {
    let path: PathBuf = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_files_of_an_export_are_joined_in_whatever_order_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let names = ["orders_dataset", "customers_dataset", "order_items_dataset"];
    let files = names.map(|name| export(&format!("olist/olist_{name}.csv")));
    let (output, out, err) =
        run(&["import", &files[0], &files[1], &files[2], "--data", data.to_str().unwrap(), "--json"]);
    // A line without its order is a fault of the export.
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(err.contains("1 malformed lines were rejected: 1 unmatched_row"), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["written"]["newPurchases"], 2, "{report}");
    let summaries = report["files"].as_array().unwrap();
    assert_eq!(
        summaries[0]["summary"]["joinedTo"].as_str().map(|other| other.ends_with("order_items_dataset.csv")),
        Some(true)
    );
    assert_eq!(summaries[2]["summary"]["revenue"]["BRL"], 2 * 2450 + 31000 + 29550, "{report}");
    let alone = fail(&["import", &files[2], "--data", data.to_str().unwrap()], 1);
    assert!(alone.contains("name that file too, the one with the columns order_id, customer_id"), "{alone}");
}

#[test]
fn what_was_recognised_is_said_and_can_be_turned_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (file, data) = (export("shopify-orders/orders_export_1.csv"), data.to_str().unwrap());
    let out = succeed(&["import", &file, "--data", data]);
    assert!(out.contains("recognised: Shopify orders"), "{out}");
    assert!(out.contains("product_id=Lineitem sku or Lineitem name"), "{out}");
    let again = succeed(&["import", &file, "--data", data]);
    assert!(again.contains("Nothing changed"), "{again}");
    let own = fail(&["import", &file, "--data", data, "--as", "none"], 1);
    assert!(own.contains("columns not found in the file: user_id") && own.contains("--map '"), "{own}");
    let unknown = fail(&["import", &file, "--data", data, "--as", "shopify-order"], 2);
    assert!(unknown.contains("did you mean shopify-orders?"), "{unknown}");
}

#[test]
fn a_file_that_can_be_read_in_two_ways_is_refused_until_somebody_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let file = written(
        folder.path(),
        "orders.csv",
        "user_id;product_id;timestamp;price;basket_id\nada;a;03/04/2024 10:00;1.250;1\n0;a;04/04/2024 10:00;2;2\n0;a;04/05/2024 10:00;2;3\n",
    );
    let number = fail(&["import", &file, "--data", data], 1);
    assert!(number.contains("column \"price\": \"1.250\" in line 2"), "{number}");
    let date = fail(&["import", &file, "--data", data, "--decimal", "comma"], 1);
    assert!(date.contains("--date-order day-first or --date-order month-first"), "{date}");
    let options =
        ["--decimal", "comma", "--date-order", "day-first", "--timezone", "Europe/Berlin", "--guest", "0"];
    let (_, out, _) =
        run(&[&["import", file.as_str(), "--data", data, "--json"], options.as_slice()].concat());
    let report: Value = serde_json::from_str(&out).unwrap();
    let sample = &report["file"]["samples"][0];
    assert_eq!(sample["purchasedAt"], "2024-04-03T08:00:00.000Z", "{report}");
    assert_eq!(sample["lines"][0]["unitPrice"]["amount"], 125_000);
    assert_eq!(
        (&report["file"]["users"], &report["file"]["samples"][1]["userId"]),
        (&3.into(), &"guest-2".into())
    );
    let zone = fail(&["import", &file, "--data", data, "--timezone", "Mars"], 2);
    assert!(zone.contains("unknown time zone \"Mars\""), "{zone}");
}

#[test]
fn a_shops_own_profile_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let profile = written(
        folder.path(),
        "till.toml",
        "title = \"Till\"\nheader = [\"Bon\"]\n[columns]\nuser_id = \"Karte\"\nproduct_id = \"Artikel\"\nbasket_id = \"Bon\"\ntimestamp = \"Tag\"\n\
         [[keep]]\ncolumn = \"Art\"\nvalues = [\"Verkauf\"]\n",
    );
    let file = written(
        folder.path(),
        "till.csv",
        "Bon;Tag;Karte;Artikel;Art\n1;24.12.2023;ada;Brot;Verkauf\n2;24.12.2023;ada;Brot;Training\n",
    );
    let out = succeed(&["import", &file, "--data", data, "--as", &profile]);
    assert!(out.contains("recognised: Till") && out.contains("1 skipped_row"), "{out}");
    let missing = fail(&["import", &file, "--data", data, "--as", "tills/none.toml"], 2);
    assert!(missing.contains("--as: cannot read tills/none.toml"), "{missing}");
    let broken = written(folder.path(), "broken.toml", "title = 1");
    let invalid = fail(&["import", &file, "--data", data, "--as", &broken], 2);
    assert!(invalid.contains("invalid profile"), "{invalid}");
}
