//! Request bodies, passed to the functions' own handlers.

use nextbasket_domain::purchase::{MAX_LINES, MAX_QUANTITY};
use nextbasket_http::request::MAX_LIMIT;
use nextbasket_job_engine::JobId;
use nextbasket_testkit::events::ApiAnswer;
use serde_json::Value;

use crate::world::{RUNTIME, WORLD, is_ok};

/// The first byte chooses the call.
pub fn check(data: &[u8]) {
    let Some((&call, body)) = data.split_first() else { return };
    // API Gateway passes a body that is not text as base64, and the handlers decode it first.
    let Ok(body) = std::str::from_utf8(body) else { return };
    match call % 4 {
        0 => purchase(body),
        1 => product(body),
        2 => recommendations(body),
        _ => job(body),
    }
}

/// The same body in other bytes: parsed and serialized by serde.
fn written_again(body: &str) -> String {
    serde_json::from_str::<Value>(body).expect("a body that was taken is JSON").to_string()
}

fn purchase(body: &str) {
    let post = |body: &str| WORLD.send("POST /purchases", &[], "", Some(body));
    let first = post(body);
    if !is_ok(&first) {
        return;
    }
    assert_eq!(first.status, 201, "{first:?}");
    let lines = first.body["lines"].as_array().expect("lines");
    assert!((1..=MAX_LINES).contains(&lines.len()));
    assert!(
        lines.iter().all(|line| (1..=u64::from(MAX_QUANTITY)).contains(&line["quantity"].as_u64().unwrap()))
    );
    for again in [body.to_owned(), written_again(body), first.body.to_string()] {
        let again = post(&again);
        assert_eq!((again.status, &again.body), (200, &first.body));
    }
    let id = |name: &str| first.body[name].as_str().unwrap().to_owned();
    let (user, purchase) = (id("userId"), id("purchaseId"));
    let path = [("userId", user.as_str()), ("purchaseId", purchase.as_str())];
    let removed = WORLD.send("DELETE /users/{userId}/purchases/{purchaseId}", &path, "", None);
    assert_eq!(removed.status, 204, "{removed:?}");
}

fn product(body: &str) {
    let path = [("productId", "fuzzed")];
    let put = |body: &str| WORLD.send("PUT /products/{productId}", &path, "", Some(body));
    let first = put(body);
    if !is_ok(&first) {
        return;
    }
    let described = |answer: &ApiAnswer| {
        let mut product = answer.body.clone();
        let fields = product.as_object_mut().expect("a product");
        assert_eq!(fields.remove("productId"), Some("fuzzed".into()));
        assert!(fields.remove("updatedAt").is_some());
        product
    };
    let product = described(&first);
    for again in [written_again(body), product.to_string()] {
        let again = put(&again);
        assert_eq!((again.status, described(&again)), (200, product.clone()));
    }
    assert_eq!(described(&WORLD.send("GET /products/{productId}", &path, "", None)), product);
    assert_eq!(WORLD.send("DELETE /products/{productId}", &path, "", None).status, 204);
}

fn recommendations(body: &str) {
    let ask = |body: &str| WORLD.send("POST /recommendations", &[], "", Some(body));
    let first = ask(body);
    if !is_ok(&first) {
        return;
    }
    let limit = serde_json::from_str::<Value>(body).unwrap()["limit"].as_u64().unwrap_or(10);
    for answer in [&first, &ask(&written_again(body))] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let items = answer.body["items"].as_array().expect("items");
        assert!(items.len() as u64 <= limit && limit <= MAX_LIMIT as u64, "{answer:?}");
        for item in items {
            assert!(item["productId"].is_string() && item["score"].is_number(), "{answer:?}");
            assert!(item["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{answer:?}");
        }
        assert_eq!(answer.body["items"], first.body["items"]);
    }
}

fn job(body: &str) {
    let post = |body: &str| WORLD.send("POST /jobs", &[], "", Some(body));
    let first = post(body);
    if !is_ok(&first) {
        return;
    }
    let again = written_again(body);
    if first.status == 200 {
        assert!(first.body["estimate"].is_object(), "{first:?}");
        assert_eq!(post(&again).status, 200);
        return;
    }
    assert_eq!(first.status, 202, "{first:?}");
    let id = JobId::parse(first.body["jobId"].as_str().expect("an id")).expect("an id");
    let path = [("jobId", id.as_str())];
    let shown = WORLD.send("GET /jobs/{jobId}", &path, "", None);
    assert_eq!(
        (&shown.body["kind"], &shown.body["parameters"]),
        (&first.body["kind"], &first.body["parameters"])
    );
    // A job without an id of its own becomes a second job.
    let second = post(&again);
    assert_eq!(second.status, 202, "{second:?}");
    for job in [first, second] {
        let id = JobId::parse(job.body["jobId"].as_str().expect("an id")).expect("an id");
        let cancelled = WORLD.send("DELETE /jobs/{jobId}", &[("jobId", id.as_str())], "", None);
        // With an id of its own the second is the first one, which is cancelled then.
        assert!(matches!(cancelled.status, 200 | 202), "{cancelled:?}");
        // No worker runs here, so planning ends the job.
        RUNTIME.block_on(WORLD.engine.plan(&id)).expect("a cancelled job ends");
    }
}
