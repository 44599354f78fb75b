//! Tables of all types, dumped, restored and verified, in every format and to either place.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
    OnDemandThroughput, Projection, ProjectionType, ScalarAttributeType, SseSpecification, SseType,
    StreamSpecification, StreamViewType, Tag, TimeToLiveSpecification,
};
use common::{ID, World, assert_same, items, run, small};
use nextbasket_dynamodb::item::{Item, text};
use nextbasket_testkit::Fault;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_all_types_survive_every_format() {
    let world = World::start().await;
    let (s, n, b) = (ScalarAttributeType::S, ScalarAttributeType::N, ScalarAttributeType::B);
    let tables: [(&str, Vec<common::Key<'_>>); 3] = [
        ("of-texts", vec![("id", s.clone())]),
        ("of-numbers", vec![("at", n), ("raw key", b.clone())]),
        ("of-binary", vec![("b", b), ("s", s)]),
    ];
    let seed = nextbasket_domain::Random::system().unwrap().draw();
    for (table, keys) in &tables {
        world.make_table(table, keys).await;
        world.put_all(table, &items(keys, 299, seed)).await;
    }
    world.put("of-texts", large()).await;
    world.put_all("of-numbers", &items(&tables[1].1, 300, seed)[299..]).await;
    world.put_all("of-binary", &items(&tables[2].1, 300, seed)[299..]).await;
    for (table, _) in &tables {
        let there = world.items(table).await;
        for (n, (format, gzip)) in [
            ("dynamodb-json", true),
            ("csv", true),
            ("csv", false),
            ("json-lines", true),
            ("json-lines", false),
        ]
        .into_iter()
        .enumerate()
        {
            let to = if n % 2 == 0 {
                world.local(&format!("{table}-{n}"))
            } else {
                world.s3(&format!("{table}-{n}"))
            };
            let dumped = world
                .done("dump", json!({ "table": table, "to": to, "format": format, "gzip": gzip, "segments": 3, "batchSize": 40 }))
                .await;
            assert_eq!(
                (&dumped["items"], &dumped["refused"]),
                (&json!(300), &json!(0)),
                "seed {seed}: {dumped}"
            );
            let verified = world.done("verify", json!({ "dump": to, "table": table })).await;
            assert_eq!(verified["equal"], true, "seed {seed}, {format}: {verified}");
            let copy = format!("{table}-copy-{n}");
            let restored = world.done("restore", json!({ "from": to, "table": copy, "create": true })).await;
            assert_eq!(
                (&restored["written"], &restored["refused"]),
                (&json!(300), &json!(0)),
                "seed {seed}: {restored}"
            );
            assert_same(&world.items(&copy).await, &there, &format!("seed {seed}, {format}"));
            let verified = world.done("verify", json!({ "table": table, "other": { "table": copy } })).await;
            assert_eq!(verified["equal"], true, "{format}: {verified}");
        }
    }
}

/// An item of nearly 400 KB whose text takes six times its size in JSON.
fn large() -> Item {
    let mut item = small("large", 1);
    item.insert("text".to_owned(), text("\u{1}".repeat(200_000)));
    item.insert("raw".to_owned(), AttributeValue::B(Blob::new(vec![0xff; 190_000])));
    item
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_has_the_layout_of_awss_exports_and_what_proves_it() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &items(&ID, 50, 7)).await;
    let to = world.s3("exports/daily");
    let dumped = world.done("dump", json!({ "table": "orders", "to": to, "segments": 2 })).await;
    let folder = dumped["dumps"][0]["folder"].as_str().unwrap().to_owned();
    let read = async |name: &str| world.content(&format!("{folder}/{name}")).await;
    let json_of = async |name: &str| serde_json::from_slice::<Value>(&read(name).await).unwrap();
    let export = folder.rsplit('/').next().unwrap();
    assert!(folder.starts_with(&format!("{to}/AWSDynamoDB/")), "{folder}");
    let (millis, hash) = export.split_once('-').unwrap();
    assert!(millis.len() == 14 && millis.parse::<u64>().is_ok() && hash.len() == 8, "{export}");
    assert_eq!(read("_started").await, b"");
    let summary = json_of("manifest-summary.json").await;
    assert_eq!(summary["version"], "2020-06-30");
    assert_eq!(summary["itemCount"], 50);
    assert_eq!(summary["outputFormat"], "DYNAMODB_JSON");
    assert_eq!(summary["exportType"], "FULL_EXPORT");
    assert_eq!(summary["s3Prefix"], "exports/daily");
    let key = format!("exports/daily/AWSDynamoDB/{export}/manifest-files.json");
    assert_eq!(summary["manifestFilesS3Key"], json!(key));
    for of in ["manifest-summary", "manifest-files"] {
        let md5 = nextbasket_jobs_dump::manifest::md5_base64(&read(&format!("{of}.json")).await);
        assert_eq!(read(&format!("{of}.md5")).await, md5.into_bytes());
    }
    let lines = String::from_utf8(read("manifest-files.json").await).unwrap();
    let mut items = 0;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = line["dataFileS3Key"].as_str().unwrap();
        let content = world.content(&format!("s3://{}/{key}", world.stack.bucket("JobsBucket"))).await;
        assert_eq!(line["md5Checksum"], json!(nextbasket_jobs_dump::manifest::md5_base64(&content)));
        assert!(key.ends_with(".json.gz"), "{key}");
        items += line["itemCount"].as_u64().unwrap();
    }
    assert_eq!(items, 50);
    let record = json_of("nextbasket-dump.json").await;
    assert_eq!((&record["complete"], &record["count"]), (&json!(true), &json!(50)));
    assert!(record["window"]["from"].as_str().unwrap() <= record["window"]["to"].as_str().unwrap());
    assert!(record["note"].as_str().unwrap().contains("not a snapshot"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_again_as_it_was() {
    let world = World::start().await;
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let index = GlobalSecondaryIndex::builder()
        .index_name("byCity")
        .key_schema(key("city", KeyType::Hash))
        .key_schema(key("at", KeyType::Range))
        .projection(
            Projection::builder().projection_type(ProjectionType::Include).non_key_attributes("name").build(),
        )
        .build()
        .unwrap();
    let client = world.client();
    client
        .create_table()
        .table_name("full")
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("id", ScalarAttributeType::S))
        .attribute_definitions(attribute("city", ScalarAttributeType::S))
        .attribute_definitions(attribute("at", ScalarAttributeType::N))
        .key_schema(key("id", KeyType::Hash))
        .global_secondary_indexes(index)
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewImage)
                .build()
                .unwrap(),
        )
        .tags(Tag::builder().key("team").value("shop").build().unwrap())
        .send()
        .await
        .unwrap();
    let ttl = TimeToLiveSpecification::builder().attribute_name("expireAt").enabled(true).build().unwrap();
    client.update_time_to_live().table_name("full").time_to_live_specification(ttl).send().await.unwrap();
    world.put("full", small("a", 1)).await;
    world.done("dump", json!({ "table": "full", "to": world.local("d") })).await;
    let restored =
        world.done("restore", json!({ "from": world.local("d"), "table": "again", "create": true })).await;
    assert_eq!((&restored["created"], &restored["notes"]), (&json!(true), &json!([])));
    let settings = async |table: &str| {
        let mut settings = nextbasket_jobs_dump::manifest::TableSettings::read(&client, table).await.unwrap();
        (settings.table_arn, settings.table_id, settings.created_at) = (None, None, None);
        settings.create_table.table_name = String::new();
        settings
    };
    let (was, is) = (settings("full").await, settings("again").await);
    assert_eq!(is, was);
    assert_eq!(was.time_to_live.as_deref(), Some("expireAt"));
    assert_eq!(was.create_table.global_secondary_indexes[0].projection.non_key_attributes, ["name"]);
    assert_eq!(was.tags.len(), 1);
    assert!(was.create_table.stream_specification.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_may_not_be_read_are_named_beside_the_dump() {
    let world = World::start().await;
    world.make_table("shy", &ID).await;
    let proxy = world.stack.proxy().await;
    let engine = world.engine_through(proxy.dynamodb(), world.stack.s3());
    proxy.inject("ListTagsOfResource", 1..=u64::MAX, Fault::Deny);
    let dumped = run(&engine, "dump", json!({ "table": "shy", "to": world.local("d") })).await;
    let dump = &dumped.result.unwrap()["dumps"][0];
    let notes =
        json!(["tags could not be read: table shy: refused: AccessDeniedException: made by the fault proxy"]);
    assert_eq!((&dump["complete"], &dump["notes"]), (&json!(true), &notes));
    let settings = std::path::Path::new(dump["folder"].as_str().unwrap()).join("nextbasket-table.json");
    let settings: Value = serde_json::from_slice(&std::fs::read(settings).unwrap()).unwrap();
    assert_eq!((&settings["unread"], &settings["tags"]), (&notes, &json!([])));
    let restored =
        world.done("restore", json!({ "from": world.local("d"), "table": "again", "create": true })).await;
    let note = format!("when it was dumped, {}", notes[0].as_str().unwrap());
    assert_eq!(restored["notes"], json!([note]));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_come_back_with_the_table_and_what_is_not_made_again_is_named() {
    let world = World::start().await;
    let client = world.client();
    let limits = OnDemandThroughput::builder().max_read_request_units(500).max_write_request_units(200);
    let key = "arn:aws:kms:us-east-1:000000000000:key/12345678-1234-1234-1234-123456789012";
    let encrypted = SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(key);
    client
        .create_table()
        .table_name("limited")
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("id")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap(),
        )
        .key_schema(KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap())
        .on_demand_throughput(limits.build())
        .sse_specification(encrypted.build())
        .send()
        .await
        .unwrap();
    let to = world.local("limited");
    world.done("dump", json!({ "table": "limited", "to": to })).await;
    let again = json!({ "from": to, "table": "again", "create": true });
    let restored = world.done("restore", again.clone()).await;
    let note = format!("not recreated: encryption with the KMS key {key}");
    assert_eq!(restored["notes"], json!([note]));
    let described = client.describe_table().table_name("again").send().await.unwrap().table.unwrap();
    let limits = described.on_demand_throughput.unwrap();
    assert_eq!((limits.max_read_request_units, limits.max_write_request_units), (Some(500), Some(200)));

    // A table that exists is not merged with the dump without a word.
    let failure = world.failed("restore", again).await;
    let problem = "already exists, so it cannot be created. Restore without create to write into it, or give";
    assert!(failure.starts_with(&format!("table \"again\" {problem}")), "{failure}");
    world.done("restore", json!({ "from": to, "table": "again" })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_chooses_and_the_dump_says_so() {
    let world = World::start().await;
    world.make_table("numbers", &ID).await;
    world.put_all("numbers", &(0..100).map(|n| small(&format!("i{n}"), n)).collect::<Vec<_>>()).await;
    let to = world.local("some");
    let dumped = world.done("dump", json!({ "table": "numbers", "to": to, "where": "n < 30" })).await;
    assert_eq!(dumped["items"], 30);
    let folder = dumped["dumps"][0]["folder"].clone();
    let verified = world.done("verify", json!({ "dump": folder, "table": "numbers" })).await;
    assert_eq!((&verified["equal"], &verified["left"]["count"]), (&json!(true), &json!(30)));
    world.put("numbers", small("one more", 5)).await;
    let verified = world.done("verify", json!({ "dump": folder, "table": "numbers" })).await;
    assert_eq!(verified["equal"], false);
    let problem = verified["problems"][0].as_str().unwrap();
    assert!(problem.contains("has 30 items, table numbers has 31"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_refuses_what_its_columns_cannot_hold_and_says_which_item() {
    let world = World::start().await;
    world.make_table("mixed", &ID).await;
    let mut with_more = small("b", 2);
    with_more.insert("more".to_owned(), text("x"));
    let mut of_text = small("c", 3);
    of_text.insert("n".to_owned(), text("three"));
    world.put_all("mixed", &[small("a", 1), with_more, of_text]).await;
    let to = world.local("csv");
    let parameters =
        json!({ "table": "mixed", "to": to, "format": "csv", "gzip": false, "columns": ["n:N", "id:S"] });
    let job = world.run("dump", parameters).await;
    let result = job.result.unwrap();
    assert_eq!((&result["items"], &result["refused"]), (&json!(1), &json!(2)));
    assert_eq!(result["dumps"][0]["complete"], false);
    let mut refused: Vec<String> = world.refused(&job.job_id).await.iter().map(Value::to_string).collect();
    refused.sort();
    assert_eq!(
        refused,
        [
            r#"{"reason":"attribute \"more\": there is no column for it","refused":{"id":{"S":"b"}}}"#,
            r#"{"reason":"attribute \"n\": it has type S, but the column has N","refused":{"id":{"S":"c"}}}"#,
        ]
    );
    let folder = result["dumps"][0]["folder"].as_str().unwrap();
    let data: Vec<_> =
        std::fs::read_dir(format!("{folder}/data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(std::fs::read_to_string(&data[0]).unwrap(), "n:N,id:S\n1,a\n");
    let verified = world.done("verify", json!({ "dump": folder })).await;
    assert_eq!(
        verified["problems"],
        json!(["nextbasket-dump.json: 2 items were rejected: the dump is not complete"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_attribute_begins_a_new_file_with_a_wider_header() {
    let world = World::start().await;
    world.make_table("wide", &ID).await;
    let items: Vec<_> = (0..40)
        .map(|n| {
            let mut item = small(&format!("i{n}"), n);
            item.insert(format!("only-{}", n % 4), text("x"));
            item
        })
        .collect();
    world.put_all("wide", &items).await;
    for to in [world.local("w"), world.s3("w")] {
        let parameters = json!({ "table": "wide", "to": to, "format": "csv", "segments": 1, "batchSize": 1 });
        let dumped = world.done("dump", parameters).await;
        let files = dumped["dumps"][0]["files"].as_u64().unwrap();
        assert!((2..=5).contains(&files), "{files} files");
        let verified = world.done("verify", json!({ "dump": to, "table": "wide" })).await;
        assert_eq!(verified["equal"], true, "{verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tables_are_dumped_at_once_and_found_by_their_names() {
    let world = World::start().await;
    for table in ["one", "two"] {
        world.make_table(table, &ID).await;
        world.put(table, small(table, 1)).await;
    }
    let to = world.s3("both");
    let dumped = world.done("dump", json!({ "tables": ["one", "two"], "to": to })).await;
    assert_eq!((dumped["items"].as_u64(), dumped["dumps"].as_array().unwrap().len()), (Some(2), 2));
    for table in ["one", "two"] {
        assert_eq!(world.done("verify", json!({ "dump": to, "table": table })).await["equal"], true);
    }
    let failure = world.failed("verify", json!({ "dump": to })).await;
    assert!(failure.contains("contains dumps of several tables (one in s3://"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn older_dumps_go_and_the_newest_good_ones_stay() {
    let world = World::start().await;
    world.make_table("kept", &ID).await;
    world.make_table("other", &ID).await;
    world.put("kept", small("a", 1)).await;
    for to in [world.local("k"), world.s3("k")] {
        let other = world.done("dump", json!({ "table": "other", "to": to })).await;
        let mut folders = Vec::new();
        for n in 0..4 {
            let parameters = json!({ "table": "kept", "to": to, "keep": { "count": 2, "days": 3 } });
            let dumped = world.done("dump", parameters).await;
            folders.push(dumped["dumps"][0]["folder"].clone());
            let removed = &dumped["dumps"][0]["removed"];
            match n {
                // Beyond the count, but younger than the days.
                0..=2 => assert_eq!(removed, &Value::Null),
                _ => assert_eq!(removed, &json!([folders[1], folders[0]]), "the newest stays, and one more"),
            }
            let days = if n == 2 { 4 } else { 0 };
            world.forward(std::time::Duration::from_secs(60 + days * 24 * 3600));
        }
        let left = world.done("verify", json!({ "dump": folders[2] })).await;
        assert_eq!(left["equal"], true);
        assert_eq!(world.done("verify", json!({ "dump": other["dumps"][0]["folder"] })).await["equal"], true);
        let gone = world.failed("verify", json!({ "dump": folders[0] })).await;
        assert!(gone.contains("not found"), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_is_dumped_and_restored() {
    let world = World::start().await;
    world.make_table("empty", &ID).await;
    for to in [world.local("e"), world.s3("e")] {
        assert_eq!(world.done("dump", json!({ "table": "empty", "to": to })).await["items"], 0);
        assert_eq!(world.done("verify", json!({ "dump": to, "table": "empty" })).await["equal"], true);
        let restored = world.done("restore", json!({ "from": to, "table": "empty" })).await;
        assert_eq!((&restored["written"], &restored["created"]), (&json!(0), &json!(false)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_stops_the_job_with_one_message() {
    let world = World::start().await;
    let failure = world.failed("dump", json!({ "table": "nowhere", "to": world.local("x") })).await;
    assert_eq!(failure, "table \"nowhere\" not found");
    world.make_table("there", &ID).await;
    world.done("dump", json!({ "table": "there", "to": world.local("x") })).await;
    let failure = world.failed("restore", json!({ "from": world.local("x"), "table": "nowhere" })).await;
    assert_eq!(failure, "table \"nowhere\" not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_says_what_there_is_to_read() {
    let world = World::start().await;
    world.make_table("known", &ID).await;
    world.put_all("known", &(0..200).map(|n| small(&format!("i{n}"), n)).collect::<Vec<_>>()).await;
    let to = world.local("known");
    world.done("dump", json!({ "table": "known", "to": to })).await;
    let engine = world.engine();
    for (kind, parameters) in [
        ("dump", json!({ "table": "known", "to": to, "dryRun": true, "readUnits": 5 })),
        ("restore", json!({ "from": to, "table": "known", "dryRun": true, "writeUnits": 10 })),
        ("verify", json!({ "dump": to, "dryRun": true, "readUnits": 5 })),
        ("archive", json!({ "table": "known", "where": "n > 5", "to": to, "dryRun": true, "readUnits": 5 })),
    ] {
        let estimate = engine.estimate(kind, &parameters).await.unwrap();
        assert_eq!(estimate.items, Some(200), "{kind}");
        assert!(estimate.bytes.unwrap() > 0 && estimate.seconds.is_some(), "{kind}: {estimate:?}");
        // A job that was submitted so says the same, and does nothing.
        let result = world.done(kind, parameters).await;
        assert_eq!((&result["dryRun"], &result["estimate"]["items"]), (&json!(true), &json!(200)), "{kind}");
    }
    assert_eq!(world.items("known").await.len(), 200);
    let parameters = json!({ "left": { "table": "known" }, "right": { "dump": to }, "output": world.local("x"), "dryRun": true });
    let estimate = engine.estimate("diff", &parameters).await.unwrap();
    assert_eq!(estimate.items, Some(400));
}
