//! The product's own answers on a real shop's purchases, judged by the purchases that came after.
//!
//! Needs a folder with `online_retail.train.csv.gz` and `online_retail.truth.json`, named by NEXTBASKET_DATA.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use command::{Server, succeed};
use nextbasket::api_client::escape;
use nextbasket_recommender::ProductIx;
use nextbasket_recommender::evaluate::Evaluation;

#[tokio::test]
async fn answers_over_http_recall_the_next_basket_of_a_real_shop() {
    let Some(shop) = std::env::var_os("NEXTBASKET_DATA").map(PathBuf::from) else {
        println!("skipped: NEXTBASKET_DATA names no folder with a real shop's purchases");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let train = shop.join("online_retail.train.csv.gz");
    succeed(&["import", train.to_str().unwrap(), "--data", data, "--currency", "GBP"]);
    println!("{}", succeed(&["train", "--data", data]));
    let truth = std::fs::read(shop.join("online_retail.truth.json")).unwrap();
    let truth: BTreeMap<String, BTreeSet<String>> = serde_json::from_slice(&truth).unwrap();
    let server = Server::start(&["--data", data]);
    let api = server.api();
    let mut evaluation = Evaluation::new();
    let mut numbers: HashMap<String, ProductIx> = HashMap::new();
    let mut number = |id: &str| {
        let next = ProductIx::new(u32::try_from(numbers.len()).unwrap());
        *numbers.entry(id.to_owned()).or_insert(next)
    };
    for (user, bought) in &truth {
        let answer = api.get(&format!("/users/{}/recommendations?limit=20", escape(user))).await.unwrap();
        let mut known = BTreeSet::new();
        let mut list = Vec::new();
        for item in answer["items"].as_array().unwrap() {
            let product = number(item["productId"].as_str().unwrap());
            assert!(!list.contains(&product), "{user} is recommended {} twice", item["name"]);
            list.push(product);
            if item["reasons"].as_array().unwrap().iter().any(|reason| reason["kind"] == "boughtAgain") {
                known.insert(product);
            }
        }
        assert_eq!(list.len(), 20, "{user}");
        let bought: BTreeSet<ProductIx> = bought.iter().map(|id| number(id)).collect();
        evaluation.add(&list, &bought, |product| known.contains(&product));
    }
    let report = evaluation.report();
    println!("{report:#?}");
    let at_10 = report.at.iter().find(|quality| quality.k == 10).unwrap();
    assert!(at_10.recall >= 0.175, "R@10 {}", at_10.recall);
    assert!(at_10.ndcg >= 0.28, "nDCG@10 {}", at_10.ndcg);
}
