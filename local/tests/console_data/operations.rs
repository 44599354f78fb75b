//! Kinds of job, batches, dumps and locks.

use serde_json::{Value, json};

use crate::command::succeed;
use crate::site::Site;

#[test]
fn the_schemas_of_kinds_take_what_jobs_are_submitted_with() {
    let site = Site::start(&[]);
    let (products, dumps) = (site.stack_table("products"), site.bucket("dumps"));
    let place = format!("s3://{dumps}/nightly");
    let kinds = site.get("/console/api/kinds");
    let kinds = kinds["items"].as_array().unwrap();
    assert_eq!(kinds.len(), 17);
    for (kind, parameters, taken) in [
        ("train", json!({}), true),
        ("train", json!({ "params": { "maxGap": 5 }, "segments": 4, "gate": 0.1 }), true),
        ("train", json!({ "segments": 0 }), false),
        ("train", json!({ "gates": 0.1 }), false),
        ("count", json!({ "table": products, "where": "available = true" }), true),
        ("count", json!({ "table": products, "set": "available = true" }), false),
        ("update", json!({ "table": products, "set": "available = true", "limit": 5 }), true),
        ("update", json!({ "table": products }), false),
        ("delete", json!({ "table": products, "where": "available = false", "writeUnits": 5.5 }), true),
        ("delete", json!({ "table": products }), false),
        ("dump", json!({ "table": products, "to": place, "keep": { "count": 3 } }), true),
        ("dump", json!({ "table": products, "to": place, "keep": {} }), false),
        ("dump", json!({ "to": place }), false),
        ("rebuild-history", json!({ "user": "ada", "width": 2 }), true),
        ("refresh-popular", json!({ "products": 0 }), false),
    ] {
        let schema = &kinds.iter().find(|known| known["kind"] == kind).unwrap()["schema"];
        let validator = jsonschema::validator_for(schema).unwrap();
        assert_eq!(validator.is_valid(&parameters), taken, "{kind} {parameters}");
        let job = json!({ "kind": kind, "parameters": parameters, "dryRun": true });
        let (status, answer) = site.call("POST", "/jobs", &job);
        assert_eq!(status < 300, taken, "{job}: {answer}");
    }
    let writes =
        |kind: &str| kinds.iter().find(|known| known["kind"] == kind).unwrap()["writesTables"] == json!(true);
    assert!(writes("delete") && writes("train") && !writes("count") && !writes("verify"));
}

#[tokio::test]
async fn the_batches_of_a_job_are_shown_in_pages_and_by_state() {
    let site = Site::start(&[]);
    site.table("things").await;
    succeed(&[
        "fill",
        "things",
        "--count",
        "2000",
        "--data",
        site.folder.path().join("data").to_str().unwrap(),
    ]);
    // At this rate it would take an hour.
    let slow = json!({ "table": "things", "segments": 250, "readUnits": 0.1, "width": 4 });
    let id = site.submit("count", &slow);
    let path = format!("/console/api/jobs/{id}/batches");
    let running = site.until(|| {
        let page = site.get(&format!("{path}?state=running"));
        Some(page).filter(|page| !page["items"].as_array().unwrap().is_empty())
    });
    let batch = &running["items"][0];
    assert!(
        batch["holder"].is_string() && batch["startedAt"].is_string() && batch["attempts"] == 1,
        "{batch}"
    );
    let (mut numbers, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = site.get(&format!("{path}?stage=0{cursor}"));
        numbers
            .extend(page["items"].as_array().unwrap().iter().map(|batch| batch["batch"].as_u64().unwrap()));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(numbers, (0..250).collect::<Vec<_>>());
    let waiting = site.get(&format!("{path}?state=waiting"));
    assert!(waiting["items"].as_array().unwrap().len() >= 90, "{waiting}");
    for (query, field) in [("stage=7", "stage"), ("cursor=AAAA", "cursor")] {
        let (status, _, at) = site.refused("GET", &format!("{path}?{query}"), &json!({}));
        assert_eq!((status, at.as_str()), (400, field));
    }
    let (status, _) = site.send("DELETE", &format!("/jobs/{id}"), b"");
    assert!(status < 300);
    site.ended(&id);
    assert_eq!(site.get(&path), json!({ "items": [] }));
    let unknown = site.refused("GET", "/console/api/jobs/nothing/batches", &json!({}));
    assert_eq!((unknown.0, unknown.1.as_str()), (404, "job_not_found"));
}

#[tokio::test]
async fn dumps_are_listed_with_what_proves_them() {
    let site = Site::start(&[]);
    let (products, dumps) = (site.stack_table("products"), site.bucket("dumps"));
    for id in ["beans", "milk", "filter"] {
        let product = json!({ "name": id, "categories": ["coffee"] });
        let (status, answer) = site.call("PUT", &format!("/products/{id}"), &product);
        assert!(status < 300, "{answer}");
    }
    assert_eq!(site.get("/console/api/dumps"), json!({ "items": [], "problems": [] }));
    let place = format!("s3://{dumps}/nightly");
    let whole = site.run("dump", &json!({ "table": products, "to": place }));
    assert_eq!(whole["state"], "succeeded", "{whole}");
    let some = json!({ "table": products, "to": format!("s3://{dumps}"), "where": "productId = 'beans'", "format": "csv" });
    assert_eq!(site.run("dump", &some)["state"], "succeeded");
    let listed = |filtered: bool| -> Value {
        let dumps = site.get("/console/api/dumps");
        let dumps = dumps["items"].as_array().unwrap();
        assert_eq!(dumps.len(), 2, "{dumps:?}");
        dumps.iter().find(|dump| dump["filtered"] == json!(filtered)).unwrap().clone()
    };
    let dump = listed(false);
    assert_eq!(
        (&dump["table"], &dump["kind"], &dump["complete"]),
        (&json!(products), &json!("dump"), &json!(true))
    );
    assert_eq!((dump["items"].as_u64(), dump["format"].as_str()), (Some(3), Some("DYNAMODB_JSON")), "{dump}");
    assert!(
        dump["bytes"].as_u64().unwrap() > 0 && dump["readAt"].is_string() && dump.get("verifiedAt").is_none()
    );
    assert_eq!(listed(true)["format"], "CSV");

    // The newest verification counts, also of a dump that is found damaged later.
    assert_eq!(site.run("verify", &json!({ "dump": place }))["state"], "succeeded");
    assert_eq!(listed(false)["verifiedOk"], json!(true));
    let location = dump["location"].as_str().unwrap().strip_prefix(&format!("s3://{dumps}/")).unwrap();
    let objects =
        site.s3.list_objects_v2().bucket(&dumps).prefix(format!("{location}/data/")).send().await.unwrap();
    let file = objects.contents()[0].key().unwrap();
    site.s3.put_object().bucket(&dumps).key(file).body(b"broken".to_vec().into()).send().await.unwrap();
    site.run("verify", &json!({ "dump": place }));
    assert_eq!(listed(false)["verifiedOk"], json!(false));
    assert_eq!(listed(true).get("verifiedOk"), None);
}

#[test]
fn a_dead_lock_is_released_and_a_living_one_stays() {
    let site = Site::writable();
    let data = site.folder.path().join("data");
    let acquire = |name: &str, lease: &str| {
        let options = ["--holder", "me", "--note", "a note", "--data", data.to_str().unwrap()];
        succeed(&[&["lock", "acquire", name, "--lease", lease], &options[..]].concat());
    };
    acquire("living", "10m");
    acquire("dead", "1s");
    let locks = site.until(|| {
        let locks = site.get("/console/api/locks");
        Some(locks).filter(|locks| locks["items"][0]["expired"] == json!(true))
    });
    let names: Vec<&Value> = locks["items"].as_array().unwrap().iter().map(|lock| &lock["name"]).collect();
    assert_eq!(names, ["dead", "living"]);
    let living = &locks["items"][1];
    assert_eq!(
        (&living["holder"], &living["note"], &living["fence"]),
        (&json!("me"), &json!("a note"), &json!(1))
    );
    assert_eq!(living["expired"], json!(false));

    let release = |name: &str, fence: u64| {
        let (status, code, _) =
            site.refused("DELETE", "/console/api/locks", &json!({ "name": name, "fence": fence }));
        (status, code)
    };
    assert_eq!(release("living", 1), (409, "lock_held".to_owned()));
    assert_eq!(release("dead", 7), (409, "lock_changed".to_owned()));
    assert_eq!(release("nobody's", 1), (404, "lock_not_found".to_owned()));
    assert_eq!(release("dead", 1), (200, String::new()));
    assert_eq!(site.get("/console/api/locks")["items"].as_array().unwrap().len(), 1);
    // Its next holder has a fence that the dead one never had.
    let shown = succeed(&["lock", "acquire", "dead", "--json", "--data", data.to_str().unwrap()]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["fence"], 3);
}
