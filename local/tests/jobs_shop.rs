//! `rebuild-history`, `refresh-popular` and `models` from the command line.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use command::{Server, fail, shop_csv, succeed};
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::folder::running_server;
use serde_json::{Value, json};

fn json_of(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(arguments)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_that_were_lost_are_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    succeed(&["import", csv, "--data", data]);
    let server = Server::start(&["--data", data]);
    let key = nextbasket_machine::access::read_key_file(Path::new(data)).unwrap();
    let dynamodb = running_server(Path::new(data)).unwrap().unwrap().dynamodb;
    let dynamodb = aws_sdk_dynamodb::Client::new(&sdk_config(&format!("http://{dynamodb}"), &key));
    let remove = async || {
        let delete = dynamodb.delete_item().table_name("nextbasket-history");
        delete.key("userId", AttributeValue::S("ada".to_owned())).send().await.unwrap();
    };
    remove().await;
    let said = succeed(&["rebuild-history", "--user", "ada", "--data", data]);
    assert!(said.starts_with("Looked at 1 users: 1 histories were brought in line"), "{said}");
    remove().await;
    let all = json_of(&["rebuild-history", "--data", data, "--json"]);
    assert_eq!((&all["state"], &all["result"]["changed"]), (&json!("succeeded"), &json!(1)), "{all}");
    assert!(all["result"]["users"].as_u64().unwrap() > 10, "{all}");
    let again = succeed(&["rebuild-history", "--data", data]);
    assert!(again.contains(": 0 histories were brought in line, 0 without purchases removed."), "{again}");
    assert!(server.stop());
    let estimate = succeed(&["rebuild-history", "--data", data, "--dry-run"]);
    assert!(estimate.contains("Estimate: ") && estimate.contains("read and"), "{estimate}");
}

#[test]
fn what_is_popular_is_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    // A folder that is still empty.
    succeed(&["lock", "acquire", "first", "--data", data]);
    assert!(succeed(&["refresh-popular", "--data", data]).contains("There are no purchases"));
    succeed(&["import", csv, "--data", data]);
    let said = succeed(&["refresh-popular", "--products", "5", "--data", data]);
    assert!(said.contains("; new lists: ") && said.contains(" (5)"), "{said}");
    assert!(fail(&["refresh-popular", "--products", "0", "--data", data], 2).contains("--products"));
}

#[test]
fn a_model_is_rolled_back_and_forth() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("data");
    let (csv, data) = (csv.to_str().unwrap(), data.to_str().unwrap());
    succeed(&["lock", "acquire", "first", "--data", data]);
    assert!(succeed(&["models", "--data", data]).contains("There is no model yet"));
    succeed(&["import", csv, "--data", data]);
    let trained = json_of(&["train", "--data", data, "--json"]);
    assert_eq!(trained["modelVersion"], 1);
    assert!(trained["purchases"].as_u64().unwrap() > 100 && trained["seconds"]["counting"].is_number());
    succeed(&["train", "--data", data, "--threads", "1"]);
    let live = || {
        let models = json_of(&["models", "list", "--data", data, "--json"]);
        let items = models["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|model| (model["version"].as_u64().unwrap(), model["live"] == true))
            .collect::<Vec<_>>()
    };
    assert_eq!(live(), [(2, true), (1, false)]);
    assert_eq!(succeed(&["models", "use", "1", "--data", data]), "Model 1 is live.\n");
    assert_eq!(live(), [(1, true), (2, false)]);
    assert_eq!(json_of(&["recommend", "ada", "--data", data, "--json"])["modelVersion"], 1);
    let table = succeed(&["models", "--data", data]);
    assert!(table.contains("live") && table.contains("Purchases"), "{table}");
    let wrong = fail(&["models", "use", "9", "--data", data], 1);
    assert!(wrong.contains("model 9 not found"), "{wrong}");
}
