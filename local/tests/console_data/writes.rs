//! Writing items: exactly, never over somebody else's change, and only where that is allowed.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::site::Site;

const ITEM: &str = "/console/api/tables/things/item";
const ITEMS: &str = "/console/api/tables/things/items";

fn key(id: &str, n: &str) -> Value {
    json!({ "id": { "S": id }, "n": { "N": n } })
}

fn with(mut item: Value, name: &str, value: Value) -> Value {
    item[name] = value;
    item
}

fn read(site: &Site, id: &str) -> Vec<Value> {
    let ask = json!({ "key": { "hash": { "S": id } }, "consistent": true });
    site.post(ITEMS, &ask)["items"].as_array().unwrap().clone()
}

/// A map in a map, 31 deep: an item may be nested 32 deep.
fn deep() -> Value {
    (0..31).fold(json!({ "S": "deep" }), |inner, _| json!({ "M": { "x": inner } }))
}

#[tokio::test]
async fn hostile_items_come_back_exactly() {
    let site = Site::writable();
    site.table("things").await;
    let id = "<img src=x onerror=alert(1)> \"'`{}\\ 🫖 \u{202e} é e\u{301}";
    let hostile = json!({
        "id": { "S": id },
        "n": { "N": "99999999999999999999999999999999999999" },
        "digits": { "N": "-1.2345678901234567890123456789012345678" },
        "numbers": { "NS": ["12345678901234567890123456789012345678", "-0.5"] },
        "raw": { "B": "AP8A/w==" },
        "raws": { "BS": ["AA==", "/w=="] },
        "nothing": { "S": "" },
        "no bytes": { "B": "" },
        "texts": { "SS": ["", "a", "\u{0}"] },
        "deep": deep(),
        "list": { "L": [{ "NULL": true }, { "BOOL": false }, { "L": [] }, { "M": {} }, { "S": "</script>" }] },
        "size": { "S": "a reserved word" },
        "Item": { "M": { "S": { "S": "the name of a type" } } },
        "a.b[0]": { "S": "looks like a path" },
        "#n :v": { "S": "looks like a placeholder" },
        "ünïcode": { "S": "\u{1} \n\t\u{7f} 日本語" },
    });
    site.call("PUT", ITEM, &json!({ "item": hostile }));
    let found = read(&site, id);
    let sorted = |mut item: Value| {
        for set in ["texts", "raws", "numbers"] {
            let members =
                item[set].as_object_mut().unwrap().values_mut().next().unwrap().as_array_mut().unwrap();
            members.sort_by_key(ToString::to_string);
        }
        item
    };
    assert_eq!(found.len(), 1);
    assert_eq!(sorted(found[0].clone()), sorted(hostile.clone()));

    // And it can be changed as it was read.
    let changed = with(found[0].clone(), "n2", json!({ "N": "1" }));
    let (status, answer) = site.call("PUT", ITEM, &json!({ "item": changed, "before": found[0] }));
    assert_eq!(status, 200, "{answer}");
    let again = read(&site, id);
    assert_eq!(sorted(again[0].clone()), sorted(changed));
    let own = json!({ "id": hostile["id"], "n": hostile["n"] });
    let (status, answer) = site.call("DELETE", ITEM, &json!({ "key": own, "before": again[0] }));
    assert_eq!((status, read(&site, id).len()), (200, 0), "{answer}");
}

#[tokio::test]
async fn an_item_that_others_have_changed_stays() {
    let site = Site::writable();
    site.table("things").await;
    let old = with(key("a", "1"), "v", json!({ "N": "1" }));
    site.call("PUT", ITEM, &json!({ "item": old }));
    let new = with(key("a", "1"), "v", json!({ "N": "2" }));
    assert_eq!(site.refused("PUT", ITEM, &json!({ "item": new })).1, "item_exists");

    // Another attribute has come, which no condition on the attributes that were read would notice.
    let others =
        site.dynamodb.update_item().table_name("things").key("id", AttributeValue::S("a".to_owned()));
    let others = others.key("n", AttributeValue::N("1".to_owned())).update_expression("SET seen = :yes");
    others.expression_attribute_values(":yes", AttributeValue::Bool(true)).send().await.unwrap();
    let changed = with(old.clone(), "seen", json!({ "BOOL": true }));
    for (method, body) in [
        ("PUT", json!({ "item": new, "before": old })),
        ("DELETE", json!({ "key": key("a", "1"), "before": old })),
        ("PUT", json!({ "item": key("b", "1"), "before": key("b", "1") })),
    ] {
        let (status, code, field) = site.refused(method, ITEM, &body);
        assert_eq!((status, code.as_str(), field.as_str()), (409, "item_changed", "before"), "{body}");
    }
    assert_eq!(read(&site, "a"), std::slice::from_ref(&changed));
    assert_eq!(read(&site, "b").len(), 0);

    // A number in another form is the same number.
    let same = with(changed, "v", json!({ "N": "1.0" }));
    let (status, answer) = site.call("PUT", ITEM, &json!({ "item": new, "before": same }));
    assert_eq!((status, read(&site, "a")), (200, vec![new]), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_no_item_is_refused_by_its_field() {
    let site = Site::writable();
    site.table("things").await;
    for (body, field) in [
        (json!({ "item": { "id": { "S": "a" } } }), "item"),
        (json!({ "item": { "id": { "S": "" }, "n": { "N": "1" } } }), "item"),
        (json!({ "item": with(key("a", "1"), "v", json!({ "N": "one" })) }), "item"),
        (json!({ "item": with(key("a", "1"), "v", json!({ "N": 1 })) }), "item"),
        (json!({ "item": with(key("a", "1"), "v", json!("plain")) }), "item"),
        (
            json!({ "item": with(key("a", "1"), "v", json!({ "N": "123456789012345678901234567890123456789" })) }),
            "item",
        ),
        (json!({ "item": key("a", "1"), "before": key("a", "2") }), "before"),
        (json!({ "item": key("a", "1"), "after": {} }), "after"),
        (json!({}), "item"),
    ] {
        let (status, _, at) = site.refused("PUT", ITEM, &body);
        assert_eq!((status, at.as_str()), (400, field), "{body}");
    }
    let large = json!({ "item": with(key("a", "1"), "v", json!({ "S": "x".repeat(500_000) })) });
    assert_eq!(site.refused("PUT", ITEM, &large).1, "table_refused");
    let huge = json!({ "item": with(key("a", "1"), "v", json!({ "S": "x".repeat(9_000_000) })) });
    assert_eq!(site.refused("PUT", ITEM, &huge).0, 413);
    assert_eq!(read(&site, "a").len(), 0);
}

#[tokio::test]
async fn nothing_is_written_by_a_console_that_only_reads() {
    let site = Site::start(&[]);
    site.table("things").await;
    for (method, path, body) in [
        ("PUT", ITEM, json!({ "item": key("a", "1") })),
        ("DELETE", ITEM, json!({ "key": key("a", "1"), "before": key("a", "1") })),
        ("DELETE", "/console/api/locks", json!({ "name": "nightly", "fence": 1 })),
    ] {
        let (status, code, _) = site.refused(method, path, &body);
        assert_eq!((status, code.as_str()), (403, "read_only"), "{method} {path}");
    }
    assert_eq!(read(&site, "a").len(), 0);
}

#[tokio::test]
async fn the_state_of_jobs_and_erased_users_are_not_written() {
    let site = Site::writable();
    let operations = format!("/console/api/tables/{}/item", site.stack_table("operations"));
    let item = json!({ "pk": { "S": "lock" }, "sk": { "S": "mine" } });
    for (method, body) in
        [("PUT", json!({ "item": item })), ("DELETE", json!({ "key": item, "before": item }))]
    {
        let (status, code, _) = site.refused(method, &operations, &body);
        assert_eq!((status, code.as_str()), (403, "operations_table"), "{method}");
    }

    let purchase =
        json!({ "userId": "ada", "purchaseId": "p1", "lines": [{ "productId": "x", "quantity": 1 }] });
    site.post("/purchases", &purchase);
    let purchases = site.stack_table("purchases");
    let read = json!({ "where": "userId = 'ada'" });
    let stored = site.post(&format!("/console/api/tables/{purchases}/items"), &read)["items"][0].clone();
    assert!(stored.is_object());
    let (status, answer) = site.send("DELETE", "/users/ada", b"");
    assert!(status < 300, "{answer}");
    let path = format!("/console/api/tables/{purchases}/item");
    let (status, code, _) = site.refused("PUT", &path, &json!({ "item": stored }));
    assert_eq!((status, code.as_str()), (409, "user_erased"));
}
