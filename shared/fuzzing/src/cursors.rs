//! Cursors of every list, as clients might forge them.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nextbasket_testkit::events::ApiAnswer;

use crate::world::{WORLD, is_ok};

/// A route, the parameters of its path, and the rest of its query.
type List = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const LISTS: [List; 7] = [
    ("GET /users/{userId}/purchases", &[("userId", "ada")], "limit=2"),
    ("GET /users/{userId}/recommendations", &[("userId", "ada")], "limit=2"),
    ("GET /products", &[], "limit=2"),
    ("GET /products", &[], "limit=2&category=Coffee"),
    ("GET /products/popular", &[], "limit=2"),
    ("GET /products/{productId}/related", &[("productId", "p1")], "limit=1"),
    ("GET /jobs", &[], "limit=1"),
];

/// What a cursor begins with: a version and a digest of its list.
const HEADER_BYTES: usize = 9;

/// The header of each list's cursors.
static HEADERS: LazyLock<[Vec<u8>; LISTS.len()]> = LazyLock::new(|| {
    for id in ["first", "second"] {
        let job = format!(r#"{{"kind":"refresh-popular","jobId":"{id}"}}"#);
        assert_eq!(WORLD.send("POST /jobs", &[], "", Some(&job)).status, 202);
    }
    LISTS.map(|list| {
        let page = ask(list, None);
        let cursor =
            page.body["cursor"].as_str().unwrap_or_else(|| panic!("{list:?} has one page: {page:?}"));
        URL_SAFE_NO_PAD.decode(cursor).unwrap()[..HEADER_BYTES].to_vec()
    })
});

fn ask((route, path, query): List, cursor: Option<&str>) -> ApiAnswer {
    let encode = |cursor: &str| cursor.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let query = cursor.map_or(query.to_owned(), |cursor| format!("{query}&cursor={}", encode(cursor)));
    WORLD.send(route, path, &query, None)
}

/// The first byte chooses the list, and whether the rest is a whole cursor or the position in one.
pub fn check(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let number = usize::from(choice & 0x7f) % LISTS.len();
    let cursor = if choice & 0x80 == 0 {
        URL_SAFE_NO_PAD.encode([&HEADERS[number], rest].concat())
    } else {
        let Ok(rest) = std::str::from_utf8(rest) else { return };
        rest.to_owned()
    };
    let mut answer = ask(LISTS[number], Some(&cursor));
    if !is_ok(&answer) {
        let code = answer.body["code"].as_str().unwrap_or_default();
        assert_eq!(code, "invalid_cursor", "{cursor}: {answer:?}");
        assert_eq!(answer.body["field"], "cursor", "{cursor}: {answer:?}");
        return;
    }
    // Wherever it begins, the list has an end.
    for _ in 0..40 {
        assert_eq!(answer.status, 200);
        assert!(answer.body["items"].as_array().expect("items").len() <= 2, "{answer:?}");
        let Some(next) = answer.body["cursor"].as_str() else { return };
        answer = ask(LISTS[number], Some(next));
    }
    panic!("the list does not end: {cursor}");
}
