//! Wrong requests over all routes: each is refused by a code and a field, and nothing is written.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails there"
)]

mod api;
#[path = "api/settled.rs"]
mod settled;

use api::{Answer, World};
use serde_json::{Value, json};
use settled::{ASK, POST, PUT, basket, product, purchase, settled, unchanged, with};

/// What a refused request must look like.
struct Wrong {
    request: &'static str,
    body: String,
    status: u16,
    code: &'static str,
    field: &'static str,
}

#[allow(clippy::needless_pass_by_value, reason = "a table reads better without borrows")]
fn wrong(request: &'static str, body: impl ToString, code: &'static str, field: &'static str) -> Wrong {
    Wrong { request, body: body.to_string(), status: 400, code, field }
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn ids(number: usize) -> Value {
    (0..number).map(|n| json!(format!("p{n}"))).collect()
}

fn lines(number: usize, id: &str) -> Value {
    (0..number).map(|n| json!({ "productId": format!("{id}{n}"), "quantity": 1 })).collect()
}

fn bodies() -> Vec<Wrong> {
    let long = "x".repeat(257);
    let set = |pointer: &str, value: Value| with(purchase(), pointer, value);
    let describe = |pointer: &str, value: Value| with(product(), pointer, value);
    let asked = |pointer: &str, value: Value| with(basket(), pointer, value);
    let soon = nextbasket_domain::Clock::system().now().plus_millis(90_000_000);
    vec![
        wrong(POST, "", "invalid_json", "body"),
        wrong(POST, "purchase", "invalid_json", "body"),
        wrong(POST, "{\"purchaseId\":\"p1\"", "invalid_json", "body"),
        wrong(POST, format!("{} {{}}", purchase()), "invalid_json", "body"),
        wrong(POST, purchase().to_string().replace("790", "NaN"), "invalid_json", "body"),
        wrong(POST, purchase().to_string().replace("790", "Infinity"), "invalid_json", "body"),
        wrong(POST, purchase().to_string().replace("790", "1e999"), "invalid_json", "body"),
        wrong(POST, json!([purchase()]), "invalid_field", "body"),
        wrong(POST, "null", "invalid_field", "body"),
        wrong(POST, without(purchase(), "purchaseId"), "missing_field", "purchaseId"),
        wrong(POST, without(purchase(), "userId"), "missing_field", "userId"),
        wrong(POST, without(purchase(), "lines"), "missing_field", "lines"),
        wrong(POST, set("/lines/0", json!({ "productId": "a" })), "missing_field", "lines[0].quantity"),
        wrong(POST, set("/total", json!(5)), "unknown_field", "total"),
        wrong(POST, set("/lines/1/colour", json!("red")), "unknown_field", "lines[1].colour"),
        wrong(POST, set("/lines/0/unitPrice/vat", json!(19)), "unknown_field", "lines[0].unitPrice.vat"),
        wrong(POST, set("/purchaseId", json!("")), "invalid_field", "purchaseId"),
        wrong(POST, set("/purchaseId", json!(1001)), "invalid_field", "purchaseId"),
        wrong(POST, set("/userId", json!(long)), "invalid_field", "userId"),
        wrong(POST, set("/userId", json!("a\nb")), "invalid_field", "userId"),
        wrong(POST, set("/userId", json!("a/b")), "invalid_field", "userId"),
        wrong(POST, set("/userId", json!("ada?old")), "invalid_field", "userId"),
        wrong(POST, set("/userId", json!("..")), "invalid_field", "userId"),
        wrong(POST, set("/purchaseId", json!("2026/17")), "invalid_field", "purchaseId"),
        wrong(POST, set("/purchaseId", json!("a%2Fb")), "invalid_field", "purchaseId"),
        wrong(POST, set("/purchaseId", json!(".")), "invalid_field", "purchaseId"),
        wrong(POST, set("/userId", Value::Null), "invalid_field", "userId"),
        wrong(POST, set("/recommendationId", json!("\u{85}")), "invalid_field", "recommendationId"),
        wrong(POST, set("/purchasedAt", json!("1969-12-31T23:59:59Z")), "invalid_field", "purchasedAt"),
        wrong(POST, set("/purchasedAt", json!(soon)), "invalid_field", "purchasedAt"),
        wrong(POST, set("/purchasedAt", json!("2026-05-31")), "invalid_field", "purchasedAt"),
        wrong(POST, set("/purchasedAt", json!("2026-02-30T00:00:00Z")), "invalid_field", "purchasedAt"),
        wrong(POST, set("/purchasedAt", json!(1_780_000_000)), "invalid_field", "purchasedAt"),
        wrong(POST, set("/lines", json!([])), "invalid_field", "lines"),
        wrong(POST, set("/lines", json!({})), "invalid_field", "lines"),
        wrong(POST, set("/lines", lines(1001, "p")), "invalid_field", "lines"),
        wrong(POST, set("/lines", lines(850, &"x".repeat(240))), "invalid_field", "lines"),
        wrong(POST, set("/lines/0", json!("descaler")), "invalid_field", "lines[0]"),
        wrong(POST, set("/lines/1/productId", json!("")), "invalid_field", "lines[1].productId"),
        wrong(POST, set("/lines/1/quantity", json!(0)), "invalid_field", "lines[1].quantity"),
        wrong(POST, set("/lines/1/quantity", json!(-1)), "invalid_field", "lines[1].quantity"),
        wrong(POST, set("/lines/1/quantity", json!(1.5)), "invalid_field", "lines[1].quantity"),
        wrong(POST, set("/lines/1/quantity", json!("2")), "invalid_field", "lines[1].quantity"),
        wrong(POST, set("/lines/1/quantity", json!(1_000_001)), "invalid_field", "lines[1].quantity"),
        wrong(POST, set("/lines/1/quantity", json!(u64::MAX)), "invalid_field", "lines[1].quantity"),
        wrong(
            POST,
            set("/lines/0/unitPrice/amount", json!(-1)),
            "invalid_field",
            "lines[0].unitPrice.amount",
        ),
        wrong(
            POST,
            set("/lines/0/unitPrice/amount", json!(7.9)),
            "invalid_field",
            "lines[0].unitPrice.amount",
        ),
        wrong(
            POST,
            set("/lines/0/unitPrice/currency", json!("euro")),
            "invalid_field",
            "lines[0].unitPrice.currency",
        ),
        wrong(
            POST,
            set("/lines/0/unitPrice/currency", json!("eur")),
            "invalid_field",
            "lines[0].unitPrice.currency",
        ),
        wrong(
            POST,
            format!("{{\"userId\":\"ada\",{}", &purchase().to_string()[1..]),
            "invalid_field",
            "userId",
        ),
        wrong("POST /purchases?dryRun=true", purchase(), "unknown_field", "dryRun"),
        Wrong { status: 413, ..wrong(POST, " ".repeat(262_145), "body_too_large", "body") },
        Wrong {
            status: 409,
            ..wrong(POST, set("/purchaseId", json!("taken")), "purchase_differs", "purchaseId")
        },
        wrong(PUT, "", "invalid_json", "body"),
        wrong(PUT, "[]", "invalid_field", "body"),
        wrong(PUT, without(product(), "name"), "missing_field", "name"),
        wrong(PUT, describe("/productId", json!("descaler")), "unknown_field", "productId"),
        wrong(PUT, describe("/updatedAt", json!("2026-01-01T00:00:00Z")), "unknown_field", "updatedAt"),
        wrong(PUT, describe("/name", json!("")), "invalid_field", "name"),
        wrong(PUT, describe("/name", json!("x".repeat(1025))), "invalid_field", "name"),
        wrong(PUT, describe("/categories", json!("Coffee")), "invalid_field", "categories"),
        wrong(PUT, describe("/categories", ids(11)), "invalid_field", "categories"),
        wrong(PUT, describe("/categories", json!(["a", "b", "a"])), "invalid_field", "categories"),
        wrong(PUT, describe("/categories", json!(["a", ""])), "invalid_field", "categories[1]"),
        wrong(PUT, describe("/categories", json!(["x".repeat(129)])), "invalid_field", "categories[0]"),
        wrong(PUT, describe("/price/amount", json!(18.9)), "invalid_field", "price.amount"),
        wrong(PUT, describe("/price", json!({ "amount": 1 })), "missing_field", "price.currency"),
        wrong(PUT, describe("/available", json!("yes")), "invalid_field", "available"),
        wrong(PUT, describe("/attributes/volume", json!(250)), "invalid_field", "attributes.volume"),
        wrong(PUT, describe("/attributes/a\u{7}", json!("")), "invalid_field", "attributes"),
        wrong("PUT /products/descaler?force", product(), "unknown_field", "force"),
        Wrong { status: 413, ..wrong(PUT, "x".repeat(300_000), "body_too_large", "body") },
        wrong("PUT /products/a%00b", product(), "invalid_field", "productId"),
        wrong(
            PUT,
            product().to_string().replace(r#""volume""#, r#""volume":"1 l","volume""#),
            "invalid_field",
            "attributes.volume",
        ),
        wrong(
            "POST /jobs",
            r#"{"kind":"rebuild-history","parameters":{"segments":{"a":1,"a":2}}}"#,
            "invalid_field",
            "parameters.segments.a",
        ),
        wrong(ASK, "{", "invalid_json", "body"),
        wrong(ASK, "\"cart\"", "invalid_field", "body"),
        wrong(ASK, asked("/colour", json!(1)), "unknown_field", "colour"),
        wrong(ASK, asked("/filter/colour", json!(1)), "unknown_field", "filter.colour"),
        wrong(ASK, asked("/userId", json!("")), "invalid_field", "userId"),
        wrong(ASK, asked("/basket", ids(101)), "invalid_field", "basket"),
        wrong(ASK, asked("/basket/0", json!(7)), "invalid_field", "basket[0]"),
        wrong(ASK, asked("/limit", json!(0)), "invalid_field", "limit"),
        wrong(ASK, asked("/limit", json!(101)), "invalid_field", "limit"),
        wrong(ASK, asked("/limit", json!("5")), "invalid_field", "limit"),
        wrong(ASK, asked("/filter/available", json!(1)), "invalid_field", "filter.available"),
        wrong(ASK, asked("/filter/exclude", ids(101)), "invalid_field", "filter.exclude"),
        wrong(ASK, asked("/exclude", ids(100)), "invalid_field", "exclude"),
        wrong(ASK, asked("/filter/categories", ids(101)), "invalid_field", "filter.categories"),
        wrong(ASK, asked("/boost/0/factor", json!(-1)), "invalid_field", "boost[0].factor"),
        wrong(ASK, asked("/boost/1/factor", json!(100.5)), "invalid_field", "boost[1].factor"),
        wrong(ASK, asked("/boost/0/productId", json!("both")), "invalid_field", "boost[0]"),
        wrong(ASK, asked("/boost/0", json!({ "factor": 1 })), "invalid_field", "boost[0]"),
        wrong(ASK, asked("/boost/0/productId", Value::Null), "invalid_field", "boost[0].productId"),
        wrong(ASK, asked("/boost/0", json!({ "category": "Coffee" })), "missing_field", "boost[0].factor"),
        wrong(ASK, asked("/pin", ids(21)), "invalid_field", "pin"),
        wrong(ASK, asked("/scenario", json!("my cart")), "invalid_field", "scenario"),
        wrong(ASK, asked("/cursor", json!("")), "invalid_cursor", "cursor"),
        wrong("POST /recommendations?limit=5", basket(), "unknown_field", "limit"),
        Wrong { status: 413, ..wrong(ASK, "x".repeat(262_145), "body_too_large", "body") },
    ]
}

fn targets() -> Vec<Wrong> {
    let bad = |request, field| wrong(request, "", "invalid_field", field);
    let unknown = |request, field| wrong(request, "", "unknown_field", field);
    let cursor = |request| wrong(request, "", "invalid_cursor", "cursor");
    vec![
        bad("GET /users/ada/purchases?limit=0", "limit"),
        bad("GET /users/ada/purchases?limit=101", "limit"),
        bad("GET /users/ada/purchases?limit=abc", "limit"),
        bad("GET /users/ada/purchases?limit=", "limit"),
        bad("GET /users/ada/purchases?limit=-5", "limit"),
        bad("GET /users/ada/purchases?limit=99999999999999999999", "limit"),
        bad("GET /users/ada/purchases?limit=5&limit=5", "limit"),
        bad("GET /users/ada/purchases?limit=%zz", "limit"),
        unknown("GET /users/ada/purchases?category=Coffee", "category"),
        cursor("GET /users/ada/purchases?cursor=AAAA"),
        cursor("GET /users/ada/purchases?cursor="),
        bad("GET /users/a%00b/purchases", "userId"),
        bad("DELETE /users/ada/purchases/a%0Ab", "purchaseId"),
        bad("DELETE /users/%C2%85/purchases/p1", "userId"),
        bad("DELETE /users/%2E%2E", "userId"),
        bad("DELETE /users/ada%5Cgrace", "userId"),
        bad("DELETE /users/ada%23grace", "userId"),
        bad("DELETE /users/ada%253Fold", "userId"),
        bad("DELETE /users/ada/purchases/%2e", "purchaseId"),
        bad("GET /users/%252e%252e/recommendations", "userId"),
        unknown("DELETE /users/ada/purchases/kept?force=1", "force"),
        unknown("DELETE /users/ada?dryRun=true", "dryRun"),
        bad("DELETE /users/a%09", "userId"),
        bad("GET /users/%7F/recommendations", "userId"),
        bad("GET /users/ada/recommendations?limit=1.5", "limit"),
        bad("GET /users/ada/recommendations?category=", "category"),
        bad("GET /users/ada/recommendations?category=%FF", "category"),
        bad("GET /users/ada/recommendations?category=a&category=b", "category"),
        bad("GET /users/ada/recommendations?exclude=a&exclude=", "exclude"),
        bad("GET /users/ada/recommendations?scenario=my%20cart", "scenario"),
        unknown("GET /users/ada/recommendations?window=day", "window"),
        unknown("GET /users/ada/recommendations?Limit=5", "Limit"),
        cursor("GET /users/ada/recommendations?cursor=%F0%9F%A5%96"),
        bad("GET /products/descaler/related?kind=alike", "kind"),
        bad("GET /products/descaler/related?kind=", "kind"),
        bad("GET /products/a%1Fb/related", "productId"),
        Wrong { status: 404, ..wrong("GET /products/no/related", "", "product_not_found", "productId") },
        bad("GET /products/popular?window=year", "window"),
        bad("GET /products/popular?limit=1000", "limit"),
        unknown("GET /products/popular?kind=together", "kind"),
        bad("GET /products?category=a%0Ab", "category"),
        bad("GET /products?100%=x", "query"),
        unknown("GET /products?exclude=a", "exclude"),
        cursor("GET /products?cursor=eyJ2IjoxfQ"),
        Wrong { status: 404, ..wrong("GET /products/no", "", "product_not_found", "productId") },
        unknown("GET /products/descaler?fields=name", "fields"),
        bad("GET /products/%C2%9F", "productId"),
        unknown("DELETE /products/descaler?all", "all"),
        bad("DELETE /products/%01", "productId"),
        bad("DELETE /products?productId=%01", "productId"),
        bad("PUT /products?productId=a&productId=a", "productId"),
        bad("GET /products?productId=", "productId"),
        wrong("DELETE /products", "", "missing_field", "productId"),
        wrong("PUT /products", product(), "missing_field", "productId"),
        wrong("GET /products/related", "", "missing_field", "productId"),
        unknown("GET /products?productId=descaler&limit=5", "limit"),
        unknown("GET /products/descaler?productId=milk", "productId"),
        unknown("DELETE /products/descaler?productId=milk", "productId"),
    ]
}

async fn send(world: &World, request: &str, body: &str) -> Answer {
    let (method, target) = request.split_once(' ').unwrap();
    world.send(method, target, body.to_owned()).await
}

fn assert_problem(answer: &Answer, status: u16, code: &str, field: &str, of: &str) {
    let found = (answer.status, answer.text("/code"), answer.text("/field"));
    assert_eq!(found, (status, code, field), "{of}: {answer:#?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{of}");
    assert!(answer.text("/detail").len() < 1_000, "{of}: {answer:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_refused_by_code_and_field_and_writes_nothing() {
    let world = settled().await;
    let before = world.items().await;
    let cases: Vec<Wrong> = bodies().into_iter().chain(targets()).collect();
    assert!(cases.len() >= 100);
    for Wrong { request, body, status, code, field } in &cases {
        let answer = send(&world, request, body).await;
        let of: String = format!("{request} {body}").chars().take(300).collect();
        assert_problem(&answer, *status, code, field, &of);
    }
    let path = format!("/products/{}", "x".repeat(257));
    for method in ["GET", "PUT", "DELETE"] {
        let answer = world.send(method, &path, product().to_string()).await;
        assert_problem(&answer, 400, "invalid_field", "productId", method);
    }
    let many: Vec<String> = (0..101).map(|n| format!("exclude=p{n}")).collect();
    let answer = send(&world, &format!("GET /products/popular?{}", many.join("&")), "").await;
    assert_problem(&answer, 400, "invalid_field", "exclude", "101 products to exclude");
    unchanged(&world, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_takes_or_no_path_can_be_is_refused_by_the_gateway() {
    let world = settled().await;
    let before = world.items().await;
    for (request, status) in [
        ("GET /nowhere", 404),
        ("GET /purchases", 404),
        ("PUT /purchases", 404),
        ("PATCH /products/descaler", 404),
        ("POST /products/descaler", 404),
        ("DELETE /users/ada%2Fx", 404),
        ("GET /products/descaler%2Fmore", 404),
        ("DELETE /users/ada/purchases", 404),
        ("DELETE /users//purchases/kept", 404),
        ("GET /users//recommendations", 404),
        ("GET /products//related", 404),
        ("DELETE /users/", 404),
        ("GET /products/descaler/related/more", 404),
        ("DELETE /products/100%", 400),
        ("PUT /products/%FF", 400),
        ("DELETE /users/%zz", 400),
        ("GET /users/%C3/purchases", 400),
    ] {
        let answer = send(&world, request, "{}").await;
        assert_eq!(answer.status, status, "{request}: {answer:#?}");
        assert!(!answer.text("/message").is_empty(), "{request}");
        assert_eq!(answer.headers["content-type"], "application/json", "{request}");
    }
    unchanged(&world, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let world = settled().await;
    let before = world.items().await;
    let lists = [
        "/users/ada/purchases",
        "/users/grace/purchases",
        "/users/ada/recommendations",
        "/users/grace/recommendations",
        "/products/descaler/related",
        "/products/descaler/related?kind=similar",
        "/products/descaler1/related",
        "/products/popular",
        "/products/popular?window=day",
        "/products",
        "/products?category=Care",
        "/products?category=Coffee",
    ];
    let page = |list: &str, more: &str| format!("{list}{}{more}", if list.contains('?') { "&" } else { "?" });
    let mut cursors = Vec::new();
    for list in lists {
        cursors.push(world.send("GET", &page(list, "limit=1"), "").await.cursor());
    }
    for (own, cursor) in lists.iter().zip(&cursors) {
        for list in lists {
            let answer = world.send("GET", &page(list, &format!("limit=1&cursor={cursor}")), "").await;
            if list == *own {
                assert_eq!(answer.status, 200, "{list}: {answer:#?}");
            } else {
                assert_problem(&answer, 400, "invalid_cursor", "cursor", &format!("{own} in {list}"));
            }
        }
    }
    unchanged(&world, &before).await;
}
