//! Every command of the README is run, or is known to be run elsewhere.

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

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use command::{nextbasket, shop_csv};
use hyper::Method;
use nextbasket::api_client::ApiClient;
use serde_json::Value;

const README: &str = include_str!("../../README.md");

/// The lines of the blocks marked `sh`.
fn commands() -> Vec<&'static str> {
    let blocks = README.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).collect()
}

/// Splits as a shell does, for words and single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

async fn curl(line: &str, api: &ApiClient) -> Value {
    let words = words(line);
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let method = after("-X").map_or(Method::GET, |method| method.parse().unwrap());
    let body = after("-d").map(|body| serde_json::from_str(body).unwrap());
    let url = words.iter().find(|word| word.starts_with("http://")).unwrap();
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("the README's address");
    api.call(method, path, body.as_ref()).await.unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[tokio::test]
async fn every_command_of_the_readme_works() {
    let folder = tempfile::tempdir().unwrap();
    fs::rename(shop_csv(folder.path()), folder.path().join("purchases.csv")).unwrap();
    let catalogue = "product_id,name,categories,price\ncoffee-espresso-1kg,Espresso beans 1 kg,coffee|whole beans,19.90\n";
    fs::write(folder.path().join("catalogue.csv"), catalogue).unwrap();
    let mut demo = nextbasket(&["demo", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let serving = lines.find(|line| line.starts_with("Serving at http://")).expect("the demo serves");
    let address = serving.trim_start_matches("Serving at http://").trim_end_matches(". Try:");
    let api = ApiClient::new(address.parse().unwrap());
    let mut ran = 0;
    for line in commands() {
        if line.starts_with("curl ") {
            let answer = curl(line, &api).await;
            assert!(!answer.is_null(), "{line}");
        } else if let Some(arguments) = line.strip_prefix("cargo run -- ") {
            run_in(folder.path(), arguments);
        } else {
            let elsewhere = [
                "cargo run",              // the demo above
                "cargo test --workspace", // this very run
                "sam build",              // tests/sam
                "export $(cat nextbasket-data/access-key)",
                "sam local invoke PurchasesFunction -e events/purchases-post.json",
                "sam deploy --guided", // asks, and needs an account
            ];
            assert!(elsewhere.contains(&line), "no test runs `{line}`");
        }
        ran += 1;
    }
    assert!(ran >= 15, "only {ran} commands were found");
    demo.kill().unwrap();
    demo.wait().unwrap();
}

fn run_in(folder: &Path, arguments: &str) {
    let arguments = words(arguments);
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments.first() != Some(&"serve") {
        let output = nextbasket(&arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let listen = arguments.iter().position(|word| *word == "127.0.0.1:8080").unwrap();
    arguments[listen] = "127.0.0.1:0";
    let mut server = nextbasket(&arguments).current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(server.stdout.take().unwrap()).lines().next();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(first.is_some_and(|line| line.unwrap().starts_with("http://127.0.0.1:")), "{arguments:?}");
}
