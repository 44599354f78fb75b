//! The profiles as data: each is complete, and recognises the exports that it is for and no others.

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
use std::fs;
use std::path::Path;

use export_files::{columns, expected, names};
use toml::{Table, Value};

fn profiles() -> BTreeMap<String, Table> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut profiles = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let table =
                fs::read_to_string(&path).unwrap().parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            profiles.insert(name, table);
        }
    }
    profiles
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
        other => panic!("{other:?} is no text"),
    }
}

fn tables(profile: &Table, key: &str) -> Vec<Table> {
    let tables = profile.get(key).map(|value| value.as_array().unwrap().as_slice()).unwrap_or_default();
    tables.iter().map(|table| table.as_table().unwrap().clone()).collect()
}

fn table(profile: &Table, key: &str) -> Table {
    profile.get(key).map(|value| value.as_table().unwrap().clone()).unwrap_or_default()
}

fn folded(names: &[String]) -> BTreeSet<String> {
    names.iter().map(|name| name.trim().to_lowercase()).collect()
}

/// Whether a file with these columns has all of `header`.
fn has_all(columns: &[String], header: &[String]) -> bool {
    folded(header).is_subset(&folded(columns))
}

/// The profile with the longest header that is in `columns`.
fn recognised(columns: &[String], profiles: &BTreeMap<String, Table>) -> Option<String> {
    let mut fitting: Vec<_> = profiles
        .iter()
        .map(|(name, profile)| (texts(&profile["header"]), name))
        .filter(|(header, _)| has_all(columns, header))
        .map(|(header, name)| (header.len(), name.clone()))
        .collect();
    fitting.sort();
    if let [.., (second, one), (first, other)] = fitting.as_slice() {
        assert_ne!(second, first, "{one} and {other} fit equally well");
    }
    fitting.pop().map(|(_, name)| name)
}

#[test]
fn an_export_is_recognised_by_its_own_profile() {
    let profiles = profiles();
    for name in names() {
        let export = expected(&name);
        let (columns, records) = columns(&name, &export.files[0]);
        assert_eq!(recognised(&columns, &profiles), export.profile, "{name}");
        // A row with all lines of an order counts once for each line.
        assert!(records <= export.records, "{name}");
        if let Some(profile) = &export.profile {
            assert_eq!(profiles[profile]["kind"].as_str().unwrap(), export.kind, "{name}");
        }
    }
}

#[test]
fn every_profile_has_an_export_to_show_that_it_is_right() {
    let shown: BTreeSet<_> = names().iter().filter_map(|name| expected(name).profile).collect();
    assert_eq!(shown, profiles().into_keys().collect());
}

#[test]
fn a_joined_file_is_recognised_by_its_header_and_not_taken_for_lines_of_orders() {
    let profiles = profiles();
    let mut joined = 0;
    for name in names() {
        let export = expected(&name);
        let Some(profile) = &export.profile else { continue };
        let joins = tables(&profiles[profile], "join");
        assert_eq!(joins.len(), export.files.len() - 1, "{name}");
        let (mut here, _) = columns(&name, &export.files[0]);
        for (join, file) in joins.iter().zip(&export.files[1..]) {
            let (there, _) = columns(&name, file);
            assert!(has_all(&there, &texts(&join["header"])), "{name}: {file}");
            assert_eq!(recognised(&there, &profiles), None, "{name}: {file}");
            let (mine, theirs) = match &join["on"] {
                Value::Table(on) => (texts(&on["here"]), texts(&on["there"])),
                on => (texts(on), texts(on)),
            };
            assert!(has_all(&here, &mine) && has_all(&there, &theirs), "{name}: {file}");
            here.extend(there);
            joined += 1;
        }
    }
    assert!(joined >= 5, "{joined}");
}

/// The names of our columns in a profile.
const OURS: [&str; 13] = [
    "user_id",
    "product_id",
    "product_name",
    "timestamp",
    "quantity",
    "price",
    "line_total",
    "currency",
    "basket_id",
    "recommendation_id",
    "categories",
    "available",
    "attributes",
];

#[test]
fn the_columns_that_a_profile_names_are_in_its_exports() {
    let profiles = profiles();
    for name in names() {
        let export = expected(&name);
        let Some(profile) = &export.profile else { continue };
        let profile = &profiles[profile];
        let all: Vec<_> = export.files.iter().flat_map(|file| columns(&name, file).0).collect();
        let items = profile.contains_key("items");
        let there = |column: &String| {
            column == "=product_name"
                || (items && column.starts_with("item."))
                || has_all(&all, std::slice::from_ref(column))
        };
        for (ours, theirs) in table(profile, "columns") {
            assert!(OURS.contains(&ours.as_str()), "{name}: {ours}");
            // A currency, a sale price or a second name of a column are not in every file.
            let optional = ours == "currency" || export.files[0].ends_with(".xml");
            assert!(optional || texts(&theirs).iter().any(there), "{name}: {ours} = {theirs:?}");
        }
        let time = table(profile, "time");
        for key in ["columns", "zone_column", "hour", "clock", "days_after", "order", "by"] {
            let named = time.get(key).map(texts).unwrap_or_default();
            assert!(named.iter().all(there), "{name}: time.{key}");
        }
        for rule in tables(profile, "keep") {
            assert!(texts(&rule["column"]).iter().all(there), "{name}: {rule:?}");
        }
        let skips = tables(profile, "skip");
        assert!(
            skips.is_empty() || skips.iter().any(|rule| texts(&rule["column"]).iter().all(there)),
            "{name}"
        );
        let fill_down = table(profile, "fill_down");
        assert!(fill_down.get("by").is_none_or(|by| texts(by).iter().all(there)), "{name}");
    }
}

#[test]
fn a_profile_has_all_that_a_purchase_or_a_product_needs() {
    for (name, profile) in profiles() {
        assert!(!profile["title"].as_str().unwrap().is_empty());
        assert!(texts(&profile["header"]).len() >= 3, "{name}: a short header fits too much");
        let columns = table(&profile, "columns");
        let timed = columns.contains_key("timestamp")
            || ["columns", "days_after"].iter().any(|key| table(&profile, "time").contains_key(*key));
        match profile["kind"].as_str().unwrap() {
            "purchases" => {
                assert!(
                    columns.contains_key("user_id") && columns.contains_key("product_id") && timed,
                    "{name}"
                );
            }
            "products" => {
                assert!(columns.contains_key("product_id") && columns.contains_key("product_name"), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
        assert!(!(columns.contains_key("price") && columns.contains_key("line_total")), "{name}");
    }
}
