//! Files into the tables: what is taken, what is refused, and that nothing is lost on the way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::time::Duration;

use common::{World, result, run};
use nextbasket_domain::UserId;
use nextbasket_domain::history::fold;
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, Job, JobError, JobState, Kinds};
use nextbasket_jobs_shop::Import;
use nextbasket_jobs_shop::import::refusals::flat;
use nextbasket_testkit::Fault;
use serde_json::{Value, json};

const HEADER: &str = "user_id,product_id,timestamp,quantity,price,product_name,basket_id";

/// So many purchases of two lines each, whose lines stand far apart in the file.
fn csv(purchases: u32) -> String {
    let mut csv = format!("{HEADER}\n");
    for (line, price) in [(0, "19.90"), (1, "3.50")] {
        for n in 0..purchases {
            let (user, day) = (n % 50, 1 + n % 28);
            let product = (n + line) % 40;
            writeln!(csv, "u{user},p{product},2026-01-{day:02}T10:00:00,1,{price},Product {product},b{n}")
                .unwrap();
        }
    }
    csv
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_this_machine_is_imported_once_and_refusals_keep_their_lines_and_reasons() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.csv");
    let lines = [
        HEADER,
        "ada,beans,2026-01-01T10:00:00,1,19.90,Beans,b1",
        ",beans,2026-01-01T10:00:00,1,19.90,Beans,b2",
        "ada,beans,2026-01-02T10:00:00,-1,19.90,Beans,b3",
        "ada,beans,yesterday,1,19.90,Beans,b4",
        "ada,filters,2026-01-01T10:00:00,2,2.50,Filters,b1",
    ];
    fs::write(&file, lines.join("\n")).unwrap();
    let parameters = json!({ "source": file });
    let job = world.run("import", parameters.clone()).await;
    let first = result(&job);
    assert_eq!((&first["records"], &first["taken"], &first["refused"]), (&json!(5), &json!(2), &json!(3)));
    assert_eq!(first["written"]["newPurchases"], 1);
    assert_eq!(first["written"]["newProducts"], 2);
    assert_eq!(
        first["read"][0]["summary"]["refused"],
        json!({ "missing_user": 1, "cancellation": 1, "bad_time": 1 })
    );
    assert!(first["read"][0]["text"].as_str().unwrap().contains("1 purchase of 1 user, 2 products"));
    let refused = world.refused(&job.job_id).await;
    let found: Vec<_> = refused.iter().map(|line| (&line["refused"]["line"], &line["reason"])).collect();
    let [user, cancelled, time] = ["missing_user", "cancellation", "bad_time"].map(|reason| json!(reason));
    assert_eq!(found, [(&json!(3), &user), (&json!(4), &cancelled), (&json!(5), &time)]);
    let flat: Value = serde_json::from_str(&flat(&refused[1].to_string()).unwrap()).unwrap();
    assert_eq!(flat["record"], lines[3]);
    assert_eq!(flat["file"], file.to_str().unwrap());
    let ada = UserId::parse("ada").unwrap();
    let stored = world.tables().purchases().unwrap().newest(&ada).await.unwrap().items;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].lines.iter().map(|line| line.quantity).collect::<Vec<_>>(), [1, 2]);

    let before = (world.items("PURCHASES_TABLE").await, world.items("PRODUCTS_TABLE").await);
    let again = world.run("import", parameters).await;
    assert_eq!(
        result(&again)["written"],
        json!({
            "newPurchases": 0, "knownPurchases": 1, "changedPurchases": 0, "differingPurchases": 0,
            "erasedPurchases": 0,
            "newProducts": 0, "changedProducts": 0, "knownProducts": 2,
        })
    );
    assert_eq!((world.items("PURCHASES_TABLE").await, world.items("PRODUCTS_TABLE").await), before);

    // The same basket with other content does not replace what is there.
    fs::write(&file, lines[..2].join("\n").replace("19.90", "21.90")).unwrap();
    let other = world.run("import", json!({ "source": file })).await;
    assert_eq!(result(&other)["written"]["differingPurchases"], 1);
    let refused = world.refused(&other.job_id).await;
    assert_eq!(refused[0]["reason"], "purchase_differs");
    assert_eq!(refused[0]["refused"]["raw"]["purchaseId"], "b1");
    assert_eq!(world.items("PURCHASES_TABLE").await, before.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_replaces_what_it_says_otherwise_and_nothing_else() {
    let world = World::start().await;
    let beans = json!({ "productId": "beans", "name": "Beans", "categories": ["coffee", "whole"] });
    let filters =
        json!({ "productId": "filters", "name": "Filters", "price": { "amount": 299, "currency": "EUR" } });
    let source = world.object("in/catalogue.jsonl", format!("{beans}\n{filters}\n")).await;
    let parameters = json!({ "source": source, "kind": "products" });
    assert_eq!(result(&world.run("import", parameters.clone()).await)["written"]["newProducts"], 2);
    assert_eq!(result(&world.run("import", parameters.clone()).await)["written"]["knownProducts"], 2);
    let ground = beans.to_string().replace("whole", "ground");
    world.object("in/catalogue.jsonl", format!("{ground}\n{filters}\n")).await;
    let third = world.run("import", parameters).await;
    let written = &result(&third)["written"];
    assert_eq!((&written["changedProducts"], &written["knownProducts"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_files_under_a_prefix_are_imported_gzip_or_not() {
    let world = World::start().await;
    let file = |user: &str, id: &str| format!("{HEADER}\n{user},beans,2026-01-01,1,1.00,Beans,{id}\n");
    world.object("orders/2026/1.csv", file("ada", "b1")).await;
    world.object("orders/2026/2.csv.gz", gzip(file("bob", "b2").as_bytes())).await;
    world.object("orders/2026/empty", "").await;
    let other = world.object("orders-elsewhere.csv", file("eve", "b3")).await;
    let prefix = other.replace("orders-elsewhere.csv", "orders/");
    let job = world.run("import", json!({ "source": prefix, "width": 2, "assign": "random" })).await;
    assert_eq!(result(&job)["files"], 2);
    assert_eq!(result(&job)["written"]["newPurchases"], 2);
    assert_eq!(job.stages[0].split["files"], 2);
    assert_eq!(job.stages[0].split["bytes"], job.stages[0].progress.bytes);
    assert!(job.stages[0].progress.bytes > 100, "{:?}", job.stages[0]);
    let users: BTreeSet<_> = world
        .items("PURCHASES_TABLE")
        .await
        .iter()
        .map(|item| item["userId"].as_s().unwrap().clone())
        .collect();
    assert_eq!(users, ["ada", "bob"].map(str::to_owned).into());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use flate2::write::GzEncoder;
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_that_breaks_off_what_stood_before_is_imported_and_the_break_is_told() {
    let world = World::start().await;
    let whole = gzip(csv(3_000).as_bytes());
    let source = world.object("in/cut.csv.gz", &whole[..whole.len() / 2]).await;
    let job = world.run("import", json!({ "source": source })).await;
    assert_eq!(result(&job)["brokenOff"][0]["source"], source);
    assert!(result(&job)["written"]["newPurchases"].as_u64().unwrap() > 100, "{:#}", result(&job));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_fails_the_job_with_the_file_and_the_reason() {
    let world = World::start().await;
    let other = world.object("in/other.csv", "customer,sku\n1,2\n").await;
    let empty = world.object("in/empty.csv", "").await;
    let missing = other.replace("other.csv", "missing.csv");
    for (source, says) in [
        (other, ["other.csv", "user_id"]),
        (empty, ["empty.csv", "empty"]),
        (missing, ["missing.csv", "not found"]),
    ] {
        let job = world.run("import", json!({ "source": source })).await;
        assert_eq!(job.state, JobState::Failed);
        let failure = job.failure.unwrap();
        assert!(says.iter().all(|word| failure.contains(word)), "{failure}");
    }
}

#[tokio::test]
async fn parameters_that_no_file_can_be_read_with_are_refused_by_name() {
    let world = World::start().await;
    let engine = world.engine();
    for (parameters, field) in [
        (json!({}), "parameters"),
        (json!([]), "parameters"),
        (json!({ "source": "s3://x" }), "parameters.source"),
        (json!({ "source": 7 }), "parameters.source"),
        (json!({ "source": "a.csv" }), "parameters.source"),
        (json!({ "source": "/a.csv", "currency": "euro" }), "parameters.currency"),
        (json!({ "source": "/a.csv", "map": "user=x" }), "parameters.map"),
        (json!({ "source": "/a.csv", "timeFormat": "dd" }), "parameters.timeFormat"),
        (json!({ "source": "/a.csv", "batchItems": 0 }), "parameters.batchItems"),
        (json!({ "source": "/a.csv", "readBytes": 1 }), "parameters.readBytes"),
        (json!({ "source": "/a.csv", "kind": "prices" }), "parameters.kind"),
        (json!({ "source": "/a.csv", "width": 0 }), "parameters.width"),
        (json!({ "source": "/a.csv", "assign": "fair" }), "parameters.assign"),
        (json!({ "source": "/a.csv", "writeUnits": -1 }), "parameters.writeUnits"),
        (json!({ "source": "/a.csv", "sourse": "b" }), "parameters.sourse"),
        (json!({ "source": "/a.csv", "sources": ["/b.csv"] }), "parameters.sources"),
        (json!({ "sources": ["/a.csv", "b.csv"] }), "parameters.sources"),
        (json!({ "source": "/a.csv", "onChange": "merge" }), "parameters.onChange"),
        (json!({ "source": "/a.csv", "kind": "products", "onChange": "add" }), "parameters.onChange"),
    ] {
        match engine.submit(None, "import", parameters.clone()).await {
            Err(JobError::Refused(refusal)) => assert_eq!(refusal.field, field, "{parameters}"),
            other => panic!("{parameters}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn files_of_this_machine_are_not_for_whoever_submits_from_elsewhere() {
    let world = World::start().await;
    let engine = Engine::new(world.engine().site().clone(), Kinds::default().with(Import(world.tables())));
    let refused = engine.submit(None, "import", json!({ "source": "/etc/hosts" })).await.unwrap_err();
    assert!(
        matches!(&refused, JobError::Refused(refusal) if refusal.field == "parameters.source"),
        "{refused}"
    );
    // Nor for a worker elsewhere, when it comes upon a job that was submitted at this machine.
    let job = world.engine().submit(None, "import", json!({ "source": "/etc/hosts" })).await.unwrap();
    let ended =
        nextbasket_job_engine::pool::drive(&engine, &job.job_id, 1, &Default::default()).await.unwrap();
    assert_eq!(ended.unwrap().state, JobState::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does() {
    let content = csv(6_000);
    let quiet = World::start().await;
    let source = quiet.object("in/orders.csv", content.clone()).await;
    result(&quiet.run("import", json!({ "source": source })).await);
    let wanted = (quiet.items("PURCHASES_TABLE").await, quiet.items("PRODUCTS_TABLE").await);
    assert_eq!(wanted.0.len(), 6_000);
    for seed in [1, 2] {
        let world = World::start().await;
        let source = world.object("in/orders.csv", content.clone()).await;
        let parameters = json!({ "source": source, "batchItems": 1_000, "width": 3 });
        let (job, kills) = world.run_with_kills("import", parameters, seed, 1_500).await;
        let found = (world.items("PURCHASES_TABLE").await, world.items("PRODUCTS_TABLE").await);
        assert_eq!(job.state, JobState::Succeeded, "seed {seed}: {:?}", job.failure);
        assert!(found == wanted, "seed {seed}: the tables differ after {kills} kills");
        let written = &result(&job)["written"];
        let counted = ["newPurchases", "knownPurchases"].map(|name| written[name].as_u64().unwrap());
        assert_eq!(counted[0] + counted[1], 6_000, "seed {seed}");
        // Of each worker at most one group had arrived without being counted.
        assert!(counted[1] <= kills * 3 * 400, "seed {seed}: {written}");
        assert!(kills > 0, "seed {seed}: it was never killed");
    }
}

/// Orders whose lines are far apart, among invalid lines and lines that contradict others.
fn scattered(purchases: u32) -> String {
    let mut text = csv(purchases);
    let mut lines: Vec<&str> = text.lines().collect();
    let header = lines.remove(0);
    let mut more = vec![header.to_owned()];
    for (n, line) in lines.iter().enumerate() {
        more.push((*line).to_owned());
        if n % 40 == 7 {
            more.push(format!(",p1,2026-01-01T10:00:00,1,1.00,Nobody's,x{n}"));
        }
        if n % 90 == 11 {
            // Together with its other line, the quantity is above the limit.
            more.push(format!("{}\r", line.replace("10:00:00,1,", "10:00:00,1000000,")));
        }
    }
    text = more.join("\n");
    text
}

/// The job's refused lines, by line number of the file.
async fn refused_lines(world: &World, job: &Job) -> Vec<String> {
    let mut lines = world.refused(&job.job_id).await;
    lines.sort_by_key(|line| line["refused"]["line"].as_u64());
    lines
        .iter()
        .map(|line| format!("{} {} {}", line["refused"]["line"], line["reason"], line["refused"]["record"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_reading_is_killed_at_any_place_is_gone_on_with_there_and_comes_to_the_same() {
    let content = scattered(2_500);
    let quiet = World::start().await;
    let source = quiet.object("in/orders.csv", content.clone()).await;
    let job = quiet.run("import", json!({ "source": source })).await;
    let summary = &result(&job)["read"][0]["summary"];
    assert_eq!((&summary["purchases"], &summary["users"]), (&json!(2_500), &json!(50)));
    assert_eq!(summary["refused"], json!({ "missing_user": 125, "bad_quantity": 56 }));
    let wanted = (quiet.items("PURCHASES_TABLE").await, quiet.items("PRODUCTS_TABLE").await);
    let refused = refused_lines(&quiet, &job).await;
    assert_eq!(refused.len(), 181);
    let parameters = json!({ "readBytes": 65_536, "batchItems": 400, "width": 2 });
    let kills = [("PUT run/", 2), ("PUT run/", 3), ("GET run/", 9), ("PUT -side", 2), ("PUT purchases-", 2)];
    for (name, bytes) in
        [("orders.csv", content.clone().into_bytes()), ("orders.csv.gz", gzip(content.as_bytes()))]
    {
        let world = World::start().await;
        let proxy = world.stack.s3_proxy().await;
        let engine = world.engine_through(world.stack.dynamodb(), proxy.s3());
        let mut parameters = parameters.clone();
        parameters["source"] = json!(world.object(&format!("in/{name}"), bytes).await);
        let submitted = engine.submit(None, "import", parameters).await.unwrap();
        for (operation, calls) in kills {
            let last = proxy.calls(operation) + calls;
            proxy.inject(operation, last..=u64::MAX, Fault::Delay(Duration::from_secs(600)));
            let stop = Stop::default();
            tokio::select! {
                ended = drive(&engine, &submitted.job_id, 2, &stop) => panic!("{name}: {operation}: {ended:?}"),
                () = async {
                    while proxy.calls(operation) < last {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                } => {}
            }
            proxy.heal();
            world.forward(Duration::from_secs(90));
        }
        let ended = drive(&engine, &submitted.job_id, 2, &Stop::default()).await.unwrap().unwrap();
        let again = &result(&ended)["read"][0]["summary"];
        assert_eq!(again.to_string().replace("\"gzip\"", "\"plain\""), summary.to_string(), "{name}");
        assert_eq!(refused_lines(&world, &ended).await, refused, "{name}");
        let found = (world.items("PURCHASES_TABLE").await, world.items("PRODUCTS_TABLE").await);
        assert!(found == wanted, "{name}: the tables differ");
        // Each kill costs the stretch that was being written; without checkpoints it would cost all of them.
        let stretches = u64::try_from(content.len().div_ceil(65_536)).unwrap();
        let runs = proxy.calls("PUT run/");
        assert!(runs <= stretches + 4, "{name}: {runs} of {stretches}");
        assert_eq!(world.objects(&ended.job_id, "/run/").await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_source_does_not_answer_an_import_waits_and_loses_nothing() {
    let world = World::start().await;
    let proxy = world.stack.s3_proxy().await;
    let engine = world.engine_through(world.stack.dynamodb(), proxy.s3());
    let source = world.object("in/orders.csv", csv(300)).await;
    // More faults than the client itself retries.
    proxy.inject("HEAD in/", 1..=5, Fault::ServerError);
    proxy.inject("GET in/", 1..=5, Fault::ServerError);
    let job = run(&engine, "import", json!({ "source": source })).await;
    assert_eq!(result(&job)["written"]["newPurchases"], 300);
    assert!(proxy.calls("HEAD in/") > 5 && proxy.calls("GET in/") > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_removed_once_it_is_written() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", csv(1_000)).await;
    let job = world.run("import", json!({ "source": source })).await;
    assert_eq!(result(&job)["written"]["newPurchases"], 1_000);
    assert_eq!(world.objects(&job.job_id, "purchases-").await, [""; 0]);
    assert_eq!(world.objects(&job.job_id, "products-").await, [""; 0]);
    for name in ["/run/", "-side", "-index", "-layout"] {
        assert_eq!(world.objects(&job.job_id, name).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttles_and_lost_answers_lose_no_purchase() {
    let world = World::start().await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    let source = world.object("in/orders.csv", csv(600)).await;
    proxy.inject("PutItem", 20..=140, Fault::Throttle);
    proxy.inject("PutItem", 160..=170, Fault::DropAfter);
    proxy.inject("PutItem", 200..=203, Fault::ServerError);
    let job = run(&engine, "import", json!({ "source": source })).await;
    let written = &result(&job)["written"];
    assert_eq!(world.items("PURCHASES_TABLE").await.len(), 600);
    assert_eq!(
        written["newPurchases"].as_u64().unwrap() + written["knownPurchases"].as_u64().unwrap(),
        600,
        "{written}"
    );
    assert_eq!(written["differingPurchases"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_stops_the_job_at_once_with_one_clear_sentence() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", csv(2_000)).await;
    let table = world.stack.table("PURCHASES_TABLE").to_owned();
    let unprotect =
        world.stack.dynamodb().update_table().table_name(&table).deletion_protection_enabled(false);
    unprotect.send().await.unwrap();
    world.stack.dynamodb().delete_table().table_name(&table).send().await.unwrap();
    let job = world.run("import", json!({ "source": source })).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.contains(&table) && failure.contains("ResourceNotFoundException"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_are_in_line_when_the_job_ends_if_it_was_asked_for() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", csv(500)).await;
    let parameters = json!({ "source": source, "histories": true });
    let job = world.run("import", parameters.clone()).await;
    assert_eq!(result(&job)["histories"], json!({ "users": 50, "changed": 50 }));
    let tables = world.tables();
    let (history, purchases) = (tables.history().unwrap(), tables.purchases().unwrap());
    for user in (0..50).map(|n| UserId::parse(&format!("u{n}")).unwrap()) {
        let baskets = history.baskets(&user).await.unwrap();
        assert_eq!(baskets.len(), 10);
        assert_eq!(baskets, fold(purchases.newest(&user).await.unwrap().items));
    }
    let again = world.run("import", parameters).await;
    assert_eq!(result(&again)["histories"], json!({ "users": 50, "changed": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_hold_purchases_whose_writing_was_never_confirmed() {
    let world = World::start().await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    let source = world.object("in/orders.csv", csv(20)).await;
    // Each purchase is written, and its answer lost: the next attempt finds it there.
    for call in 0..200 {
        proxy.inject("PutItem", 2 * call + 1..=2 * call + 1, Fault::DropAfter);
    }
    let job = run(&engine, "import", json!({ "source": source, "histories": true })).await;
    proxy.heal();
    let tables = world.tables();
    let (history, purchases) = (tables.history().unwrap(), tables.purchases().unwrap());
    for user in (0..20).map(|n| UserId::parse(&format!("u{n}")).unwrap()) {
        let folded = fold(purchases.newest(&user).await.unwrap().items);
        assert!(!folded.is_empty(), "{user}");
        assert_eq!(history.baskets(&user).await.unwrap(), folded, "{:#}", result(&job));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_reads_everything_writes_nothing_and_says_what_an_import_says() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", scattered(700)).await;
    let check = json!({ "source": source, "check": true, "histories": true, "report": true });
    let checked = world.run("import", check).await;
    assert_eq!(world.items("PURCHASES_TABLE").await.len() + world.items("PRODUCTS_TABLE").await.len(), 0);
    assert_eq!(world.objects(&checked.job_id, "/stage-").await, [""; 0]);
    let stages: Vec<_> = checked.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(stages, ["split", "gather", "merge"]);
    let imported = world.run("import", json!({ "source": source, "report": true })).await;
    let (checked_result, imported_result) = (result(&checked), result(&imported));
    for name in ["files", "records", "taken", "refused", "read"] {
        assert_eq!(checked_result[name], imported_result[name], "{name}");
    }
    assert_eq!(checked_result["written"]["newPurchases"], 0);
    assert_eq!(refused_lines(&world, &checked).await, refused_lines(&world, &imported).await);
    assert_eq!(report(&world, &checked).await, report(&world, &imported).await);
}

/// The output with the summaries that name persons.
async fn report(world: &World, job: &Job) -> Value {
    let key = result(job)["report"].as_str().unwrap();
    serde_json::from_slice(&world.engine().site().objects.get(key).await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_are_named_in_the_report_alone_and_it_is_the_same_in_any_number_of_batches() {
    let world = World::start().await;
    let mut content = csv(400);
    for n in 0..90 {
        writeln!(content, "guest-account,p{n},2025-12-31T10:00:{:02},1,1.00,,g{n}", n % 60).unwrap();
    }
    let source = world.object("in/orders.csv", content).await;
    let one = world.run("import", json!({ "source": source, "report": true })).await;
    let parameters =
        json!({ "source": source, "report": true, "readBytes": 4_096, "width": 3, "check": true });
    let many = world.run("import", parameters).await;
    assert!(many.stages[1].batches > 3, "{:?}", many.stages);
    let whole = report(&world, &one).await;
    assert_eq!(report(&world, &many).await, whole);
    let summary = &whole[0]["summary"];
    let first: Vec<_> =
        summary["samples"].as_array().unwrap().iter().map(|sample| &sample["purchaseId"]).collect();
    assert_eq!(first, ["g0", "g60", "g1"]);
    assert_eq!(
        summary["warnings"],
        json!([{ "kind": "frequentUser", "userId": "guest-account", "purchases": 90, "of": 490 }])
    );
    assert_eq!(summary["revenue"], json!({ "EUR": 400 * (1_990 + 350) + 9_000 }));
    let text = whole[0]["text"].as_str().unwrap();
    assert!(
        text.contains("user guest-account, purchase g0") && text.contains("--guest guest-account"),
        "{text}"
    );
    // The job's record outlives purchases that are erased.
    for job in [&one, &many] {
        let kept = serde_json::to_string(&job).unwrap();
        assert!(!kept.contains("guest-account") && !kept.contains("g60"), "{kept}");
        assert!(kept.contains("one user has 90 of 490 purchases"), "{kept}");
    }
    let silent = world.run("import", json!({ "source": source, "check": true })).await;
    assert_eq!(world.objects(&silent.job_id, "").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_are_imported_each_file_once() {
    let world = World::start().await;
    let file = |user: &str, id: &str| format!("{HEADER}\n{user},beans,2026-01-01,1,1.00,Beans,{id}\n");
    let first = world.object("orders/1.csv", file("ada", "b1")).await;
    world.object("orders/2.csv", file("bob", "b2")).await;
    let other = world.object("more.csv", file("eve", "b3")).await;
    let prefix = first.replace("1.csv", "");
    let job = world.run("import", json!({ "sources": [other, prefix, first] })).await;
    assert_eq!(result(&job)["files"], 3);
    assert_eq!(result(&job)["written"]["newPurchases"], 3);
    let read: Vec<_> =
        result(&job)["read"].as_array().unwrap().iter().map(|file| file["source"].clone()).collect();
    assert_eq!(read[0], other);
    let broken = world.object("broken.csv", "customer,sku\n1,2\n").await;
    let failed = world.run("import", json!({ "sources": [first, broken] })).await;
    assert_eq!(failed.state, JobState::Failed);
    assert!(failed.failure.as_deref().unwrap().contains("broken.csv"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_have_changed_since_the_last_export_are_changed_once_with_their_histories() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", csv(60)).await;
    let import = |on_change: &str| json!({ "source": source, "histories": true, "onChange": on_change });
    result(&world.run("import", import("keep")).await);
    // Each of ten orders has one line more, and one of them another quantity as well.
    let grown: String = (0..10)
        .map(|n| format!("u{n},extra,2026-01-{:02}T10:00:00,1,9.00,Extra,b{n}\n", 1 + n % 28))
        .collect();
    let changed = csv(60).replace("u3,p3,2026-01-04T10:00:00,1,", "u3,p3,2026-01-04T10:00:00,7,");
    world.object("in/orders.csv", format!("{changed}{grown}")).await;
    let written = async |on_change: &str| {
        let job = world.run("import", import(on_change)).await;
        let counts = ["newPurchases", "knownPurchases", "changedPurchases", "differingPurchases"];
        (counts.map(|name| result(&job)["written"][name].as_u64().unwrap()), job)
    };
    let (counts, job) = written("keep").await;
    assert_eq!((counts, job.total.refused), ([0, 50, 0, 10], 10));
    let (counts, job) = written("add").await;
    assert_eq!((counts, job.total.refused), ([0, 50, 10, 1], 1));
    let refused = world.refused(&job.job_id).await;
    assert_eq!(refused[0]["refused"]["raw"]["purchaseId"], "b3");
    assert_eq!(result(&job)["histories"]["changed"], 10);
    assert_eq!(written("add").await.0, [0, 59, 0, 1]);
    let (counts, job) = written("replace").await;
    assert_eq!((counts, job.total.refused), ([0, 59, 1, 0], 0));
    let (counts, job) = written("replace").await;
    assert_eq!((counts, &result(&job)["histories"]["changed"]), ([0, 60, 0, 0], &json!(0)));
    let tables = world.tables();
    let (history, purchases) = (tables.history().unwrap(), tables.purchases().unwrap());
    for user in (0..50).map(|n| UserId::parse(&format!("u{n}")).unwrap()) {
        let folded = fold(purchases.newest(&user).await.unwrap().items);
        assert_eq!(history.baskets(&user).await.unwrap(), folded, "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_of_an_erased_user_are_neither_replaced_nor_added() {
    let world = World::start().await;
    let source = world.object("in/orders.csv", csv(60)).await;
    let tables = world.tables();
    let user = UserId::parse("u7").unwrap();
    let until = nextbasket_domain::Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
    let random = nextbasket_domain::Random::system().unwrap();
    tables.erased_users().unwrap().remember(user.as_str(), until, &random, until).await.unwrap();
    for on_change in ["replace", "add"] {
        let job = world.run("import", json!({ "source": source, "onChange": on_change })).await;
        assert_eq!(result(&job)["written"]["erasedPurchases"], 2, "{:#}", result(&job));
        assert!(tables.purchases().unwrap().newest(&user).await.unwrap().items.is_empty());
    }
}
