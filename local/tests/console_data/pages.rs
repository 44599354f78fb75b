//! Reading: pages, counts, conditions, and what they consume.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use serde_json::{Value, json};

use crate::site::Site;

const ITEMS: &str = "/console/api/tables/things/items";
const COUNT: &str = "/console/api/tables/things/count";

/// `things`: 40 items of each of 6 ids, in three cities.
async fn filled() -> Site {
    let site = Site::start(&[]);
    site.table("things").await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let all: Vec<(usize, usize)> = (0..6).flat_map(|id| (0..40).map(move |n| (id, n))).collect();
    for some in all.chunks(24) {
        let write = |&(id, n): &(usize, usize)| {
            let put = PutRequest::builder()
                .item("id", text(&format!("thing {id}")))
                .item("n", AttributeValue::N(n.to_string()))
                .item("city", text(["Faro", "Köln", "Oslo"][(id + n) % 3]))
                .item("size", AttributeValue::N((n % 5).to_string()));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        };
        let batch =
            site.dynamodb.batch_write_item().request_items("things", some.iter().map(write).collect());
        batch.send().await.unwrap();
    }
    site
}

/// All pages of a request: the ids and numbers of the items, in their order.
fn all(site: &Site, ask: &Value, limit: u32) -> Vec<(String, i64)> {
    let mut ask = ask.clone();
    ask["limit"] = json!(limit);
    let mut found = Vec::new();
    loop {
        let page = site.post(ITEMS, &ask);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit as usize, "{page}");
        assert_eq!(page["complete"], json!(page.get("cursor").is_none()), "{page}");
        found.extend(items.iter().map(|item| {
            let number = item["n"]["N"].as_str().unwrap().parse().unwrap();
            (item["id"]["S"].as_str().unwrap().to_owned(), number)
        }));
        match page.get("cursor") {
            Some(cursor) => ask["cursor"] = cursor.clone(),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_page_ends_where_the_next_begins() {
    let site = filled().await;
    let thing = json!({ "hash": { "S": "thing 3" } });
    let range = |op: &str, values: Value| json!({ "key": { "hash": { "S": "thing 3" }, "range": { "op": op, "values": values } } });
    for (ask, expected) in [
        (json!({}), 240),
        (json!({ "where": "size = 2" }), 48),
        (json!({ "where": "size = 2 AND city = 'Köln'" }), 16),
        (json!({ "where": "size = 7" }), 0),
        (json!({ "key": thing }), 40),
        (json!({ "key": thing, "descending": true }), 40),
        (json!({ "key": thing, "where": "size < 2" }), 16),
        (json!({ "key": thing, "where": "n <> 7 AND size < 2" }), 16),
        (json!({ "where": "id = 'thing 3' AND n >= 30" }), 10),
        (range("between", json!([{ "N": "5" }, { "N": "9.0" }])), 5),
        (range("<", json!([{ "N": "5" }])), 5),
        (json!({ "index": "by-city" }), 240),
        (json!({ "index": "by-city", "key": { "hash": { "S": "Köln" } } }), 80),
        (
            json!({ "index": "by-city", "key": { "hash": { "S": "Köln" } }, "where": "size = 1 OR size = 4" }),
            32,
        ),
    ] {
        let whole = all(&site, &ask, 1000);
        assert_eq!(whole.len(), expected, "{ask}");
        for limit in [1, 7, 50] {
            assert_eq!(all(&site, &ask, limit), whole, "{ask} in pages of {limit}");
        }
        let mut each = whole.clone();
        each.sort_unstable();
        each.dedup();
        assert_eq!(each.len(), expected, "{ask}: an item came twice");
        let count = site.post(COUNT, &ask);
        assert_eq!(
            (count["count"].as_u64(), count.get("cursor")),
            (Some(expected as u64), None),
            "{ask}: {count}"
        );
    }
    let numbers = |ask: Value| all(&site, &ask, 7).into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    assert_eq!(numbers(json!({ "key": thing })), (0..40).collect::<Vec<_>>());
    assert_eq!(numbers(json!({ "key": thing, "descending": true })), (0..40).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wrong_request_is_refused_by_its_field() {
    let site = filled().await;
    let page = site.post(ITEMS, &json!({ "limit": 5 }));
    let key = json!({ "hash": { "S": "thing 3" } });
    for (ask, field) in [
        (json!({ "limit": 0 }), "limit"),
        (json!({ "limit": 1001 }), "limit"),
        (json!({ "where": "size =" }), "where"),
        (json!({ "index": "by-country" }), "index"),
        (json!({ "key": { "hash": { "N": "3" } } }), "key.hash"),
        (json!({ "key": { "hash": { "S": "" } } }), "key.hash"),
        (json!({ "key": { "hash": "thing 3" } }), "key.hash"),
        (
            json!({ "key": { "hash": { "S": "a" }, "range": { "op": "=", "values": [{ "S": "a" }] } } }),
            "key.range.values",
        ),
        (
            json!({ "key": { "hash": { "S": "a" }, "range": { "op": "between", "values": [{ "N": "1" }] } } }),
            "key.range.values",
        ),
        (
            json!({ "key": { "hash": { "S": "a" }, "range": { "op": "beginsWith", "values": [{ "N": "1" }] } } }),
            "key.range.op",
        ),
        (json!({ "index": "by-city", "consistent": true }), "consistent"),
        (json!({ "descending": true }), "descending"),
        (json!({ "key": key, "cursor": page["cursor"] }), "cursor"),
        (json!({ "cursor": "AAAA" }), "cursor"),
        (json!({ "page": 1 }), "page"),
    ] {
        let (status, _, at) = site.refused("POST", ITEMS, &ask);
        assert_eq!((status, at.as_str()), (400, field), "{ask}");
    }
    let nowhere = site.refused("POST", "/console/api/tables/nowhere/items", &json!({}));
    assert_eq!((nowhere.0, nowhere.1.as_str()), (404, "table_not_found"));
}

/// 24 items of 380 KB are some 1,140 read units: more than a call may consume.
#[tokio::test]
async fn a_long_scan_ends_early_and_goes_on_from_its_cursor() {
    let site = Site::start(&[]);
    site.table("things").await;
    for n in 0..24 {
        let put = site.dynamodb.put_item().table_name("things");
        let put = put
            .item("id", AttributeValue::S("large".to_owned()))
            .item("n", AttributeValue::N(n.to_string()))
            .item("text", AttributeValue::S("x".repeat(380_000)));
        put.send().await.unwrap();
    }
    for path in [ITEMS, COUNT] {
        let (mut ask, mut found, mut calls) = (json!({ "where": "n >= 12" }), 0, 0);
        loop {
            let page = site.post(path, &ask);
            let (read, units) = (page["scanned"].as_u64().unwrap(), page["units"].as_f64().unwrap());
            assert!(read > 0 && read < 24 && units < 700.0, "{} {}", page["scanned"], page["units"]);
            found +=
                page["items"].as_array().map_or_else(|| page["count"].as_u64().unwrap() as usize, Vec::len);
            calls += 1;
            match page.get("cursor") {
                Some(cursor) => ask["cursor"] = cursor.clone(),
                None => break,
            }
        }
        assert!(found == 12 && calls > 1, "{path}: {found} items in {calls} calls");
    }
    // The bytes of an answer are limited, too.
    let mut found = all(&site, &json!({}), 1000);
    found.dedup();
    assert_eq!(found.len(), 24);
    let page = site.post(ITEMS, &json!({}));
    assert!(page["items"].as_array().unwrap().len() < 14, "an answer has some 4 MB of items");
}

#[tokio::test]
async fn tables_are_described_as_they_are() {
    let site = filled().await;
    let tables = site.get("/console/api/tables");
    let tables = tables["items"].as_array().unwrap();
    let named = |name: &str| tables.iter().find(|table| table["name"] == name).unwrap();
    let things = named("things");
    assert_eq!(things["key"], json!([{ "name": "id", "type": "S" }, { "name": "n", "type": "N" }]));
    let index = json!([{ "name": "by-city", "kind": "global", "key": [{ "name": "city", "type": "S" }], "projection": "ALL" }]);
    assert_eq!(things["indexes"], index);
    assert_eq!((&things["ofStack"], &things["editable"]), (&json!(false), &json!(false)));
    assert_eq!((&things["billing"], &things["status"]), (&json!("PAY_PER_REQUEST"), &json!("ACTIVE")));
    let purchases = named(&site.stack_table("purchases"));
    assert_eq!((&purchases["ofStack"], purchases["stream"].is_string()), (&json!(true), true));
    assert_eq!(named(&site.stack_table("operations"))["ttl"], "expireAt");
    assert_eq!(tables.iter().take_while(|table| table["ofStack"] == json!(true)).count(), 5);
}
