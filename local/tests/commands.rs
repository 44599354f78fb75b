//! The commands on a data folder: what they do, and that it lasts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod command;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use command::{Server, fail, run, shop_csv, succeed};
use hyper::Method;
use serde_json::{Value, json};

#[test]
fn a_shop_is_imported_trained_and_asked_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());

    let first = succeed(&["import", csv, "--data", data]);
    assert!(first.contains("new purchases (0 were there already)"), "{first}");
    let again = succeed(&["import", csv, "--data", data]);
    assert!(again.contains("Nothing changed: everything in"), "{again}");
    let report: Value = serde_json::from_str(&succeed(&["import", csv, "--data", data, "--json"])).unwrap();
    assert_eq!(report["written"]["newPurchases"], 0);
    assert!(report["written"]["knownPurchases"].as_u64().unwrap() > 100);
    assert_eq!(report["refusedFile"], Value::Null);

    let before = succeed(&["recommend", "ada", "--data", data]);
    assert!(before.contains("There is no model yet"), "{before}");
    let trained = succeed(&["train", "--data", data]);
    assert!(trained.starts_with("Model 1 is live: "), "{trained}");
    let answer: Value =
        serde_json::from_str(&succeed(&["recommend", "ada", "--data", data, "--json"])).unwrap();
    assert_eq!(answer["modelVersion"], 1);
    assert_eq!(answer["items"].as_array().unwrap().len(), 10);
    assert_eq!(answer["items"][0]["reasons"][0]["kind"], "boughtAgain");
    let table = succeed(&["recommend", "ada", "--data", data, "--limit", "3"]);
    assert!(table.contains("You bought it in"), "{table}");
    let related = succeed(&["related", "coffee-espresso-1kg", "--data", data, "--kind", "similar"]);
    assert!(related.contains(" shoppers who bought “"), "{related}");
    assert!(succeed(&["train", "--data", data]).starts_with("Model 2 is live: "));
}

#[test]
fn what_a_file_holds_that_is_no_purchase_is_refused_by_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("lines.csv");
    let lines = [
        "user_id,product_id,timestamp,quantity,price,product_name,basket_id",
        "ada,beans,2026-01-01T10:00:00,1,19.90,Beans,b1",
        ",beans,2026-01-01T10:00:00,1,19.90,Beans,b2",
        "ada,beans,2026-01-02T10:00:00,-1,19.90,Beans,b3",
        "ada,beans,yesterday,1,19.90,Beans,b4",
    ];
    fs::write(&csv, lines.join("\n")).unwrap();
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    let (output, out, err) = run(&["import", csv, "--data", data]);
    assert!(out.contains("1 new purchases"), "{out}");
    // A line without a user and a cancellation are not purchases; a line with a broken time may be one.
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("1 malformed lines were rejected: 1 bad_time"), "{err}");
    let refused = fs::read_to_string(refused_file(data)).unwrap();
    let refused: Vec<Value> = refused.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> =
        refused.iter().map(|r| (r["line"].as_u64().unwrap(), r["reason"].as_str().unwrap())).collect();
    assert_eq!(found, [(3, "missing_user"), (4, "cancellation"), (5, "bad_time")]);

    // The same basket with other content does not replace what is there.
    fs::write(csv, lines[..2].join("\n").replace("19.90", "21.90")).unwrap();
    let (output, out, err) = run(&["import", csv, "--data", data]);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("Nothing was imported: all 1 purchases of ")
            && err.contains("differ from what is stored"),
        "{err}"
    );
    assert!(!out.contains("was there already") && !out.contains("Now there"), "{out}");
    assert!(fs::read_to_string(refused_file(data)).unwrap().contains("purchase_differs"));

    // A file with only returns and lines without a user besides purchases is a success.
    fs::write(csv, lines[..4].join("\n")).unwrap();
    let out = succeed(&["import", csv, "--data", data]);
    assert!(out.contains("Nothing changed"), "{out}");
}

/// The file with the rejected lines of `lines.csv`.
fn refused_file(data: &str) -> std::path::PathBuf {
    let mut found = fs::read_dir(format!("{data}/refused")).unwrap().map(|entry| entry.unwrap().path());
    let file = found.next().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("lines.csv-") && name.ends_with(".jsonl"), "{name}");
    assert_eq!(found.next(), None, "one file has one file of rejected lines");
    file
}

#[test]
fn an_import_of_nothing_says_so_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("lines.csv");
    let data = folder.path().join("data");
    let (path, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    let header = "user_id,product_id,timestamp,quantity";
    fs::write(&csv, format!("{header}\nada,beans,never,1\nada,beans,soon,1\n,beans,2026-01-01,1\n")).unwrap();
    let (output, out, err) = run(&["import", path, "--data", data]);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(
        err.contains("Nothing was imported: all 3 lines of ")
            && err.contains(": 2 bad_time, 1 missing_user; see "),
        "{err}"
    );
    assert!(!out.contains("already") && !out.contains("Now there"), "{out}");
    let refused = refused_file(data);
    assert_eq!(fs::read_to_string(&refused).unwrap().lines().count(), 3);

    // A dry run says the same and changes nothing.
    let err = fail(&["import", path, "--data", data, "--dry-run"], 1);
    assert!(err.contains("Nothing would be imported: all 3 lines of "), "{err}");
    assert_eq!(fs::read_to_string(&refused).unwrap().lines().count(), 3);

    // A file that has nothing but lines that are not purchases.
    fs::write(&csv, format!("{header}\n,beans,2026-01-01,1\nada,beans,2026-01-01,-2\n")).unwrap();
    let err = fail(&["import", path, "--data", data], 1);
    assert!(
        err.contains("all 2 lines of ") && err.contains("1 missing_user") && err.contains("1 cancellation"),
        "{err}"
    );

    fs::write(&csv, format!("{header}\n")).unwrap();
    let out = succeed(&["import", path, "--data", data]);
    assert!(out.contains("Nothing to import: ") && out.contains("has no lines but its header"), "{out}");
    assert!(!out.contains("already"), "{out}");
    assert_eq!(fs::read_to_string(&refused).unwrap(), "", "of an import without refused lines");
}

#[test]
fn a_catalogue_is_imported_and_only_its_changes_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalogue.jsonl");
    let beans = json!({ "productId": "beans", "name": "Beans", "categories": ["coffee", "whole"] });
    let filters =
        json!({ "productId": "filters", "name": "Filters", "price": { "amount": 299, "currency": "EUR" } });
    fs::write(&file, format!("{beans}\n{filters}\n")).unwrap();
    let data = folder.path().join("data");
    let import = ["import", file.to_str().unwrap(), "--data", data.to_str().unwrap(), "--kind", "products"];
    assert!(succeed(&import).contains("2 new and 0 changed products"));
    assert!(succeed(&import).contains("Nothing changed"));
    fs::write(&file, format!("{}\n{filters}\n", beans.to_string().replace("whole", "ground"))).unwrap();
    assert!(succeed(&import).contains("0 new and 1 changed products (1 were there already)"));
}

#[tokio::test]
async fn commands_work_through_the_server_that_has_the_folder_open() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    let server = Server::start(&["--data", data]);
    let (_, out, err) = run(&["import", csv, "--data", data]);
    assert!(out.contains("new purchases (0 were there already)"), "{out}\n{err}");
    succeed(&["train", "--data", data]);
    let through: Value =
        serde_json::from_str(&succeed(&["recommend", "ada", "--data", data, "--json"])).unwrap();
    let direct = server.api().get("/users/ada/recommendations").await.unwrap();
    assert_eq!(through["items"], direct["items"]);
    let refused = fail(&["serve", "--data", data, "--listen", "127.0.0.1:0"], 1);
    assert!(refused.contains("is in use by the server at http://") && refused.contains(data), "{refused}");
    assert!(server.stop());
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_and_reaches_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(&["--data", data]);
    let api = server.api();
    api.call(Method::PUT, "/products/beans", Some(&json!({ "name": "Beans" }))).await.unwrap();
    for n in 0..20 {
        let purchase = json!({
            "purchaseId": format!("p{n}"), "userId": "ada", "lines": [{ "productId": "beans", "quantity": 1 }],
        });
        api.call(Method::POST, "/purchases", Some(&purchase)).await.unwrap();
    }
    server.kill();
    let answer: Value =
        serde_json::from_str(&succeed(&["recommend", "ada", "--data", data, "--json"])).unwrap();
    assert_eq!(answer["items"][0]["reasons"][0]["times"], 20, "{answer}");
    let server = Server::start(&["--data", data]);
    let purchases = server.api().get("/users/ada/purchases?limit=100").await.unwrap();
    assert_eq!(purchases["items"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_server_gives_reasons_in_the_shops_own_words_or_says_what_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let (data, texts) = (folder.path().join("data"), folder.path().join("texts"));
    let (data, texts) = (data.to_str().unwrap(), texts.to_str().unwrap());
    let serve = ["serve", "--data", data, "--listen", "127.0.0.1:0", "--reason-texts", texts];
    assert!(fail(&serve, 1).contains("--reason-texts: texts of reasons: folder"));
    fs::create_dir(texts).unwrap();
    let english = include_str!("../../functions/recommendations/texts/en.ftl");
    let file = Path::new(texts).join("en.ftl");
    fs::write(&file, english.replace("catalogue =", "catalog =")).unwrap();
    let said = fail(&serve, 1);
    assert!(said.contains("en.ftl: message \"catalogue\" is missing. Copy it"), "{said}");
    fs::write(&file, english.replace("From the catalogue", "From our shelf")).unwrap();
    let server = Server::start(&["--data", data, "--reason-texts", texts]);
    let api = server.api();
    api.call(Method::PUT, "/products/beans", Some(&json!({ "name": "Beans" }))).await.unwrap();
    let answer = api.get("/products/popular").await.unwrap();
    assert_eq!(answer["items"][0]["reasons"][0]["text"], "From our shelf", "{answer}");
}

/// How long until a purchase shows in its user's recommendations, over HTTP and through the stream.
#[tokio::test]
async fn a_purchase_is_part_of_the_answer_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    succeed(&["import", csv, "--data", data]);
    succeed(&["train", "--data", data]);
    let server = Server::start(&["--data", data]);
    let api = server.api();
    let mut waits = Vec::new();
    for n in 0..10_u32 {
        let user = format!("newcomer-{n}");
        let purchase = json!({
            "purchaseId": "p1", "userId": user, "lines": [{ "productId": "matcha-ceremonial-30g", "quantity": 1 }],
        });
        let path = format!("/users/{user}/recommendations");
        let cold = api.get(&path).await.unwrap();
        assert_eq!(cold["items"][0]["reasons"][0]["kind"], "popular");
        api.call(Method::POST, "/purchases", Some(&purchase)).await.unwrap();
        let posted = Instant::now();
        loop {
            let answer = api.get(&path).await.unwrap();
            if answer["items"].as_array().unwrap().iter().any(|item| {
                item["productId"] == "matcha-ceremonial-30g" && item["reasons"][0]["kind"] == "boughtAgain"
            }) {
                break;
            }
            assert!(posted.elapsed() < Duration::from_secs(2), "{n}: not after {:?}", posted.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        waits.push(posted.elapsed());
    }
    waits.sort();
    println!("a purchase showed after {:?} (median of {}), {:?} at most", waits[5], waits.len(), waits[9]);
}
