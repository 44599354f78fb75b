//! The edges of the HTTP API: what paths, bodies and sizes may be, and that no request for one user reaches another.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails there"
)]

mod api;
#[path = "api/settled.rs"]
mod settled;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use api::{Answer, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nextbasket_domain::{Line, Purchase, PurchaseId, Timestamp, UserId};
use serde_json::json;
use settled::{ASK, product, purchase, settled, unchanged, with};

/// How clients write an id into a path.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    /// All but letters and digits, as the strictest do.
    Everything,
    /// The same with hexadecimal digits in lower case.
    EverythingInLowerCase,
    /// Only what no address may hold, as JavaScript's `encodeURI` does.
    Sparing,
}

const ENCODINGS: [Encoding; 3] = [Encoding::Everything, Encoding::EverythingInLowerCase, Encoding::Sparing];

impl Encoding {
    fn of(self, id: &str) -> String {
        let mut text = String::new();
        for byte in id.bytes() {
            let plain = match self {
                Self::Sparing => byte.is_ascii_graphic() && !b"\"<>`{}^|\\%".contains(&byte),
                _ => byte.is_ascii_alphanumeric(),
            };
            match (plain, self) {
                (true, _) => text.push(char::from(byte)),
                (false, Self::EverythingInLowerCase) => write!(text, "%{byte:02x}").unwrap(),
                (false, _) => write!(text, "%{byte:02X}").unwrap(),
            }
        }
        text
    }
}

/// Ids that look like others, or like another route, to somebody on the way.
const TRICKY: &[&str] = &[
    "ada?",
    "ada?old",
    "ada/",
    "ada/purchases/o1",
    "ada/purchases",
    "ada/recommendations",
    "/ada",
    "//ada",
    "./ada",
    "../ada",
    "x/../ada",
    "x/%2e%2e/ada",
    "..",
    ".",
    "...",
    "%2e%2e",
    "%2E",
    "ada%3Fold",
    "ada%2Fpurchases%2Fo1",
    "ada%253F",
    "%61da",
    "ada#",
    "ada#old",
    "ada\\purchases\\o1",
    "..\\ada",
    "ada;",
    "ada;purchases/o1",
    "ada;v=1",
    "ada+old",
    "ada old",
    "ada ",
    " ada",
    "ada&old",
    "ada=",
    "ada%",
    "%",
    "%%",
    "ada:443",
    "@ada",
    "ADA",
    "adä",
    "ad\u{430}",
    "ada\u{200b}",
    "purchases",
    "recommendations",
    "ada,grace",
    "*",
    "{userId}",
];

fn buy(user: &str, id: &str) -> String {
    with(with(purchase(), "/userId", json!(user)), "/purchaseId", json!(id)).to_string()
}

/// The items of all tables that are about the users `ada` and `grace`.
async fn of_the_others(world: &World) -> BTreeSet<String> {
    world.system.drain(|_| ()).await.unwrap();
    let items = world.items().await.into_iter();
    items
        .filter(|item| {
            item.contains(r#""userId": "S(\"ada\")"#) || item.contains(r#""userId": "S(\"grace\")"#)
        })
        .collect()
}

fn purchase_ids(answer: &Answer) -> Vec<String> {
    let items = answer.body.as_ref().and_then(|body| body["items"].as_array().cloned()).unwrap_or_default();
    items.iter().map(|item| item["purchaseId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_an_id_is_reached_by_their_paths_alone() {
    let world = settled().await;
    let before = of_the_others(&world).await;
    assert!(before.len() >= 10, "{before:#?}");
    let mut accepted = 0;
    for user in TRICKY {
        let bought = world.send("POST", "/purchases", buy(user, "own-1")).await;
        // The same text as a purchase's id.
        let named = world.send("POST", "/purchases", buy("mallory", user)).await;
        if bought.status == 400 {
            for (answer, field) in [(&bought, "userId"), (&named, "purchaseId")] {
                let problem = (answer.status, answer.text("/code"), answer.text("/field"));
                assert_eq!(problem, (400, "invalid_field", field), "{user}: {answer:#?}");
            }
            continue;
        }
        assert_eq!((bought.status, named.status), (201, 201), "{user}: {bought:#?} {named:#?}");
        accepted += 1;
        for encoding in ENCODINGS {
            let path = encoding.of(user);
            let of = format!("{user} as {path}");
            let listed = world.send("GET", &format!("/users/{path}/purchases"), "").await;
            assert_eq!((listed.status, purchase_ids(&listed)), (200, vec!["own-1".to_owned()]), "{of}");
            world.system.drain(|_| ()).await.unwrap();
            let shown = world.send("GET", &format!("/users/{path}/recommendations"), "").await;
            assert_eq!(shown.status, 200, "{of}: {shown:#?}");
            let again = format!("{encoding:?}");
            assert_eq!(world.send("POST", "/purchases", buy(user, &again)).await.status, 201);
            let removed = world.send("DELETE", &format!("/users/{path}/purchases/{again}"), "").await;
            assert_eq!(removed.status, 204, "{of}");
            let listed = world.send("GET", &format!("/users/{path}/purchases"), "").await;
            assert_eq!(purchase_ids(&listed), ["own-1"], "{of}");
            assert_eq!(world.send("POST", "/purchases", buy("mallory", user)).await.status / 100, 2);
            let removed = world.send("DELETE", &format!("/users/mallory/purchases/{path}"), "").await;
            assert_eq!(removed.status, 204, "{of}");
            let left = world.send("GET", "/users/mallory/purchases", "").await;
            assert_eq!(purchase_ids(&left), Vec::<String>::new(), "{of}");
            assert_eq!(world.send("DELETE", &format!("/users/{path}"), "").await.status, 202, "{of}");
            let listed = world.send("GET", &format!("/users/{path}/purchases"), "").await;
            assert_eq!(purchase_ids(&listed), Vec::<String>::new(), "{of}");
            assert_eq!(world.send("POST", "/purchases", buy(user, "own-1")).await.status, 201, "{of}");
        }
    }
    assert!(accepted >= 15, "{accepted} ids");
    assert_eq!(of_the_others(&world).await, before, "nobody else's data changed");
}

/// Paths in place of an id, which are not all written as a client would write an id. `{}` is the attacker's own.
const TRICKS: &[&str] = &[
    "{}%2Fada",
    "{}%2F..%2Fada",
    "{}/../ada",
    "{}/..%2fada",
    "{}%2F%2e%2e%2Fada",
    "{}/%2e%2e/ada",
    "{}%5C..%5Cada",
    "{}%252F..%252Fada",
    "{};/../ada",
    "{}%00ada",
    "{}%0d%0aada",
    "{}%2500",
    "{}%20",
    "{}%",
    "{}%C0%AFada",
    "{}%c0%ae%c0%ae%2fada",
    "{}//ada",
    "/{}/../ada",
    "./{}",
    "%2e/{}",
    "..;/ada",
    "%2e%2e",
    "..",
    ".",
    "",
    "%2F",
    "{}/",
    "{}%2F",
    "{}%2Fpurchases%2Fo1",
    "{}%3F/../ada",
    "{}%3Fx",
    "{}%23/../ada",
    "{}+ada",
    "{},ada",
    "{}&userId=ada",
    "{}%26userId%3Dada",
];

/// Every route with a user in its path.
fn routes_of_users(world: &World) -> Vec<String> {
    let template = world.system.machine().template();
    template.routes.iter().map(|route| route.key.clone()).filter(|key| key.contains("{userId}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_for_one_user_reaches_another() {
    let world = settled().await;
    let before = of_the_others(&world).await;
    let routes = routes_of_users(&world);
    assert_eq!(routes.len(), 4, "{routes:?}");
    assert_eq!(world.send("POST", "/purchases", buy("mallory", "m1")).await.status, 201);
    for route in &routes {
        let (method, pattern) = route.split_once(' ').unwrap();
        for trick in TRICKS {
            let id = trick.replace("{}", "mallory");
            let target = pattern.replace("{userId}", &id).replace("{purchaseId}", "o1");
            // Also as a query, a header that rewrites paths, and a parameter of the path.
            for target in [target.clone(), format!("{target}?userId=ada"), format!("{target};userId=ada")] {
                let rewriting = [("x-original-url", "/users/ada"), ("x-rewrite-url", "/users/ada")];
                let answer = world.send_with(method, &target, &rewriting, "").await;
                assert!(answer.status < 500, "{method} {target}: {answer:#?}");
                let shown = format!("{:?}", answer.body);
                for own in ["\"ada\"", "\"kept\"", "\"taken\"", "\"o1\""] {
                    assert!(!shown.contains(own), "{method} {target}: {answer:#?}");
                }
            }
        }
        assert_eq!(of_the_others(&world).await, before, "{route}");
    }
    // A decoded path is the route that it spells, of the user that it names; what follows a question mark is lost.
    for target in ["/users/mallory%2Fpurchases", "%2Fusers/mallory%2fpurchases%3Flimit=0"] {
        let answer = world.send("GET", &format!("/{}", target.trim_start_matches('/')), "").await;
        let found = if target.starts_with('/') { 200 } else { 404 };
        assert_eq!(answer.status, found, "{target}: {answer:#?}");
    }
    assert_eq!(of_the_others(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_from_before_whom_no_path_carries_is_served_by_body_and_erased_by_a_job() {
    let world = settled().await;
    let before = of_the_others(&world).await;
    let user = UserId::parse("ada/old").unwrap();
    let lines: Vec<Line> =
        serde_json::from_value(json!([{ "productId": "descaler2", "quantity": 1 }])).unwrap();
    for n in 0..3 {
        let purchase = Purchase {
            purchase_id: PurchaseId::parse(&format!("2025/{n}")).unwrap(),
            user_id: user.clone(),
            purchased_at: Timestamp::parse("2026-05-01T08:00:00Z").unwrap(),
            lines: lines.clone(),
            recommendation_id: None,
        };
        world.tables().purchases().unwrap().record(&purchase).await.unwrap();
    }
    world.system.drain(|_| ()).await.unwrap();
    let asked = json!({ "userId": "ada/old", "limit": 1 });
    assert_eq!(world.send("POST", "/recommendations", asked.to_string()).await.status, 200);
    world.train().await;
    let job = json!({
        "jobId": "erase", "kind": "delete",
        "parameters": { "table": "nextbasket-purchases", "where": r#"userId = "ada/old""# },
    });
    assert_eq!(world.send("POST", "/jobs", job.to_string()).await.status, 202);
    let begun = Instant::now();
    while world.send("GET", "/jobs/erase", "").await.text("/state") != "succeeded" {
        assert!(begun.elapsed() < Duration::from_secs(60), "the job does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.system.drain(|_| ()).await.unwrap();
    let left: Vec<_> = world.items().await.into_iter().filter(|item| item.contains("ada/old")).collect();
    let of_shop = |item: &&String| !item.starts_with("nextbasket-operations");
    assert_eq!(left.iter().find(of_shop), None, "neither purchases nor a history");
    assert_eq!(of_the_others(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_whatever_its_content_type_and_utf8_or_refused() {
    let world = settled().await;
    let types = [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("application/x-www-form-urlencoded"),
        Some("application/octet-stream"),
        Some("application/merge-patch+json"),
        Some("text/plain"),
    ];
    for (n, media) in types.iter().enumerate() {
        let headers: Vec<_> = media.iter().map(|media| ("content-type", *media)).collect();
        let body = buy("ada", &format!("käse-{n}"));
        let answer = world.send_with("POST", "/purchases", &headers, body.clone()).await;
        assert_eq!((answer.status, answer.text("/purchaseId")), (201, &*format!("käse-{n}")), "{media:?}");
        let mut broken = body.into_bytes();
        let at = broken.windows(2).position(|pair| pair == "ä".as_bytes()).unwrap();
        broken[at + 1] = b'x';
        for bytes in [broken, b"\xff\xfe{\x00}\x00".to_vec()] {
            let answer = world.send_with("POST", "/purchases", &headers, bytes).await;
            let problem = (answer.status, answer.text("/code"), answer.text("/field"));
            assert_eq!(problem, (400, "invalid_json", "body"), "{media:?}: {answer:#?}");
        }
        let compressed = [headers, vec![("content-encoding", "gzip")]].concat();
        let answer = world.send_with("POST", "/purchases", &compressed, &b"\x1f\x8b\x08\x00"[..]).await;
        assert_eq!((answer.status, answer.text("/code")), (415, "unsupported_encoding"), "{media:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_is_one_however_it_is_written() {
    let world = settled().await;
    let text = purchase().to_string();
    assert!(text.contains("\"quantity\":2") && text.contains("790"));
    for (n, (quantity, amount)) in
        [("2.0", "790.00"), ("20e-1", "7.9e2"), ("0.2E+1", "79000e-2")].iter().enumerate()
    {
        let body = text.replace("\"quantity\":2", &format!("\"quantity\":{quantity}"));
        let body = body.replace("790", amount).replace("\"p1\"", &format!("\"whole-{n}\""));
        let answer = world.send("POST", "/purchases", body).await;
        assert_eq!(answer.status, 201, "{answer:#?}");
        let stored = answer.body.unwrap();
        assert_eq!(stored["lines"][1]["quantity"].to_string(), "2");
        assert_eq!(stored["lines"][0]["unitPrice"]["amount"].to_string(), "790");
    }
    for (quantity, code) in
        [("1.5", "invalid_field"), ("1e400", "invalid_json"), ("2.0000000001", "invalid_field")]
    {
        let body = text.replace("\"quantity\":2", &format!("\"quantity\":{quantity}"));
        let answer = world.send("POST", "/purchases", body).await;
        assert_eq!((answer.status, answer.text("/code")), (400, code), "{quantity}: {answer:#?}");
    }
    let (method, target) = ASK.split_once(' ').unwrap();
    let answer =
        world.send(method, target, r#"{"limit":2.0,"boost":[{"category":"Care","factor":2e0}]}"#).await;
    assert_eq!(answer.body.unwrap()["items"].as_array().unwrap().len(), 2);
    let job = r#"{"kind":"rebuild-history","parameters":{"segments":2.0},"dryRun":true}"#;
    assert_eq!(world.send("POST", "/jobs", job).await.status, 200);
    let version = world.send("PUT", "/models/current", r#"{"version":7.0}"#).await;
    assert_eq!(version.text("/code"), "model_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_of_any_id_has_every_call_by_query() {
    let world = settled().await;
    let ids =
        ["Käse 1/2", "popular", "related", "a?b", "a#b", "..", "a%2Fb", "a&b=c", "a+b", "a\\b", "http://a/b"];
    for id in ids {
        let query = format!("productId={}", Encoding::Everything.of(id));
        let put = world.send("PUT", &format!("/products?{query}"), product().to_string()).await;
        assert_eq!((put.status, put.text("/productId")), (201, id), "{put:#?}");
        let got = world.send("GET", &format!("/products?{query}"), "").await;
        assert_eq!((got.status, &got.body), (200, &put.body), "{id}");
        let related = world.send("GET", &format!("/products/related?{query}&kind=similar&limit=3"), "").await;
        assert_eq!(related.status, 200, "{id}: {related:#?}");
        let items = related.body.unwrap()["items"].as_array().unwrap().clone();
        assert!(!items.is_empty() && items.iter().all(|item| item["productId"] != id), "{id}: {items:?}");
    }
    for id in ids {
        let query = format!("productId={}", Encoding::EverythingInLowerCase.of(id));
        assert_eq!(world.send("DELETE", &format!("/products?{query}"), "").await.status, 204);
        let gone = world.send("GET", &format!("/products?{query}"), "").await;
        assert_eq!((gone.status, gone.text("/code")), (404, "product_not_found"), "{id}");
    }
    assert_eq!(world.send("GET", "/products/descaler", "").await.status, 200, "nothing else went with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_largest_products_can_be_answered_and_none_is_left_out() {
    let world = World::empty().await;
    // As large as a product can be, of characters that have escapes in JSON.
    let value = "\u{1}".repeat(1_020);
    let attributes: serde_json::Map<_, _> = (0..31).map(|n| (format!("a{n:02}"), json!(value))).collect();
    let body =
        json!({ "name": "Large", "categories": ["Large", "Other"], "attributes": attributes }).to_string();
    let ids: BTreeSet<String> = (0..60).map(|n| format!("large-{n:02}")).collect();
    for id in &ids {
        assert_eq!(world.send("PUT", &format!("/products/{id}"), body.clone()).await.status, 201);
    }
    for category in ["", "&category=Large", "&category=Other"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let page = world.send("GET", &format!("/products?limit=100{category}{cursor}"), "").await;
            assert_eq!(page.status, 200, "{category}: {:?}", page.text("/message"));
            let body = page.body.as_ref().unwrap();
            let items = body["items"].as_array().unwrap();
            found.extend(items.iter().map(|item| item["productId"].as_str().unwrap().to_owned()));
            pages += 1;
            match page.text("/cursor") {
                "" => break,
                text => cursor = format!("&cursor={text}"),
            }
        }
        assert!(pages > 2, "{category}: {pages} pages");
        assert_eq!(found.len(), ids.len(), "{category}: none twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), ids, "{category}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_query_cannot_hold_is_excluded_in_a_body() {
    let world = settled().await;
    let ids: Vec<String> = (0..99).map(|n| format!("{n:0>100}")).chain(["descaler".to_owned()]).collect();
    let query: Vec<String> = ids.iter().map(|id| format!("exclude={id}")).collect();
    let answer = world.send("GET", &format!("/users/ada/recommendations?{}", query.join("&")), "").await;
    assert_eq!((answer.status, answer.text("/message")), (431, "Request Header Fields Too Large"));
    for body in [json!({ "exclude": ids }), json!({ "filter": { "exclude": ids } })] {
        let answer = world.send("POST", "/recommendations", body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:#?}");
        let items = answer.body.unwrap()["items"].as_array().unwrap().clone();
        assert!(items.len() >= 4 && items.iter().all(|item| item["productId"] != "descaler"), "{items:?}");
    }
    let both = json!({ "exclude": ["descaler"], "filter": { "exclude": ["descaler1"] } });
    let answer = world.send("POST", "/recommendations", both.to_string()).await;
    let items = answer.body.unwrap()["items"].as_array().unwrap().clone();
    assert!(!items.is_empty());
    assert!(items.iter().all(|item| item["productId"] != "descaler" && item["productId"] != "descaler1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_tampered_cursor_is_shown() {
    const SCRIPT: &str = "<script>alert(1)</script>";
    let world = settled().await;
    let before = world.items().await;
    for list in ["/users/ada/recommendations", "/products/popular", "/products/descaler/related"] {
        let cursor = world.send("GET", &format!("{list}?limit=1"), "").await.cursor();
        // A version and a digest, then the length of the answer's id, the id, and the place in the list.
        let own = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        let (head, position) = own.split_at(9);
        let place = &position[1 + usize::from(position[0])..];
        for text in [SCRIPT.repeat(200), SCRIPT.to_owned(), format!("default.1.{SCRIPT}")] {
            let length = [text.len() & 0x7f, text.len() >> 7].map(|part| u8::try_from(part).unwrap());
            let length = if length[1] == 0 { vec![length[0]] } else { vec![length[0] | 0x80, length[1]] };
            let tampered = [head, &length, text.as_bytes(), place].concat();
            let target = format!("{list}?limit=1&cursor={}", URL_SAFE_NO_PAD.encode(tampered));
            let answer = world.send("GET", &target, "").await;
            assert_eq!(answer.status, 200, "{list}: {answer:#?}");
            assert!(!format!("{answer:?}").contains("script"), "{list}: {answer:#?}");
        }
        let tail = [place, SCRIPT.as_bytes()].concat();
        let tampered =
            URL_SAFE_NO_PAD.encode([head, &position[..position.len() - place.len()], &tail].concat());
        let answer = world.send("GET", &format!("{list}?limit=1&cursor={tampered}"), "").await;
        assert_eq!((answer.status, answer.text("/code")), (400, "invalid_cursor"), "{list}: {answer:#?}");
    }
    unchanged(&world, &before).await;
}
