//! What the console's overview says, from the first purchase to a verified dump.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod console;

use command::Server;
use console::Page;
use serde_json::{Value, json};

const OVERVIEW: &str = "/console/api/overview";

fn codes(overview: &Value) -> Vec<&str> {
    overview["attention"].as_array().unwrap().iter().map(|found| found["code"].as_str().unwrap()).collect()
}

fn purchase(id: &str, user: &str, products: &[&str]) -> Value {
    let lines: Vec<Value> = products.iter().map(|id| json!({ "productId": id, "quantity": 1 })).collect();
    json!({ "purchaseId": id, "userId": user, "lines": lines })
}

#[test]
fn the_overview_follows_a_shop_from_its_first_purchase_to_a_verified_dump() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    let page = Page::of_folder(server.address, folder.path());

    let empty = page.get(OVERVIEW);
    assert_eq!(codes(&empty), ["no_purchases"], "{empty:#}");
    assert_eq!(empty["attention"][0]["severity"], "info");
    assert_eq!((&empty["freshness"], &empty["model"]), (&Value::Null, &json!({})));
    assert_eq!(empty["jobs"], json!({ "running": [], "failed": [] }));

    for (n, user) in ["ada", "ben", "cleo"].iter().enumerate() {
        page.post("/purchases", &purchase(&format!("p{n}"), user, &["espresso", "filter"]));
    }
    let bought = page.until(OVERVIEW, "histories are written", |overview| {
        overview["freshness"]["samples"].as_u64() >= Some(1)
    });
    assert_eq!(bought["traffic"]["purchases"], 3.0, "{bought:#}");
    assert!(bought["freshness"]["medianMs"].as_f64() <= bought["freshness"]["maxMs"].as_f64());
    let hours = bought["traffic"]["byHour"].as_array().unwrap();
    assert_eq!(hours.iter().filter_map(|hour| hour["purchases"].as_f64()).sum::<f64>(), 3.0);
    let missing = ["dump_missing"; 4];
    assert_eq!(codes(&bought), [&["no_model"][..], &missing].concat());
    let purchases = bought["cost"]["parts"].as_array().unwrap();
    let purchases = purchases.iter().find(|part| part["table"] == "nextbasket-purchases").unwrap();
    assert!(purchases["writeUnits"].as_f64() >= Some(3.0), "{purchases}");

    page.call("PUT", "/products/espresso", Some(&json!({ "name": "Espresso" })));
    let trained = page.job("train", &json!({}));
    assert_eq!(trained["state"], "succeeded", "{trained:#}");
    let answer = page.get("/users/ada/recommendations");
    let mut next = purchase("p9", "ada", &["espresso"]);
    next["recommendationId"] = answer["recommendationId"].clone();
    page.post("/purchases", &next);
    let failed =
        page.job("dump", &json!({ "tables": ["nextbasket-none"], "to": "s3://nextbasket-dumpsbucket/x" }));
    assert_eq!(failed["state"], "failed", "{failed:#}");
    // The list of jobs is read anew after some seconds.
    let known =
        page.until(OVERVIEW, "the failure is seen", |overview| codes(overview).contains(&"job_failed"));
    assert_eq!(known["attention"][0]["code"], "job_failed", "errors are first: {known:#}");
    assert_eq!(known["attention"][0]["link"], json!(format!("#/jobs/{}", failed["jobId"].as_str().unwrap())));
    assert_eq!(known["jobs"]["failed"][0]["jobId"], failed["jobId"]);
    assert_eq!(known["jobs"]["lastTraining"]["jobId"], trained["jobId"]);
    assert_eq!(known["model"]["live"]["version"], 1);
    assert!(!codes(&known).contains(&"no_model"));
    assert_eq!((&known["traffic"]["answers"], &known["traffic"]["conversions"]), (&json!(1.0), &json!(1.0)));

    let tables = ["products", "purchases", "history", "model"].map(|table| format!("nextbasket-{table}"));
    let dumped = page.job("dump", &json!({ "tables": tables, "to": "s3://nextbasket-dumpsbucket/daily" }));
    assert_eq!(dumped["state"], "succeeded", "{dumped:#}");
    let dumps = dumped["result"]["dumps"].as_array().unwrap();
    let of_purchases = dumps.iter().find(|dump| dump["table"] == "nextbasket-purchases").unwrap();
    let verified = page.job("verify", &json!({ "dump": of_purchases["folder"] }));
    assert_eq!(verified["result"]["equal"], true, "{verified:#}");
    let safe = page.until(OVERVIEW, "the dump was verified", |overview| {
        overview["dumps"].as_array().unwrap().iter().any(|dump| dump.get("verifiedAt").is_some())
    });
    assert_eq!(codes(&safe), [""; 0], "{safe:#}");
    for dump in safe["dumps"].as_array().unwrap() {
        let is_of_purchases = dump["table"] == "nextbasket-purchases";
        assert_eq!((&dump["lastGoodAt"], &dump["scheduled"]), (&dumped["endedAt"], &json!(true)), "{dump}");
        assert_eq!(dump.get("verifiedAt").is_some(), is_of_purchases, "{dump}");
        assert!(!is_of_purchases || dump["items"] == 4, "{dump}");
    }
}

#[test]
fn a_folder_without_purchases_shows_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["--data", data, "--writable"]);
    let page = Page::of_folder(server.address, folder.path());
    let session = page.get("/console/api/session");
    assert_eq!(session["place"], json!({ "kind": "folder", "name": data }));
    assert_eq!(session["writable"], true);
    assert_eq!(session["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(session["buckets"]["dumps"], "nextbasket-dumpsbucket");
    assert_eq!(session["tables"]["operations"], "nextbasket-operations");
}
