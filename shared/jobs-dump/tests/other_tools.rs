//! Files as other tools write them, made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeMap;
use std::io::Write;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use common::{ID, World, assert_same, items};
use nextbasket_job_engine::JobState;
use nextbasket_jobs_dump::json;
use serde_json::{Value, json};

/// Writes a file below the test's folder, and gives its path.
fn file(world: &World, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = world.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn rows(rows: &[&[(&str, &str)]]) -> Vec<BTreeMap<String, String>> {
    let cell = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut rows: Vec<BTreeMap<String, String>> =
        rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    rows.sort();
    rows
}

/// The refused records: where each stands, and why.
async fn refused(world: &World, parameters: Value) -> (Value, Vec<(Value, String)>) {
    let job = world.run("restore", parameters).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let mut refused: Vec<(Value, String)> = world
        .refused(&job.job_id)
        .await
        .into_iter()
        .map(|line| (line["refused"].clone(), line["reason"].as_str().unwrap().to_owned()))
        .collect();
    refused.sort_by_key(|(at, _)| at["line"].as_u64().or(at["item"].as_u64()));
    (job.result.unwrap(), refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_dynamodb_json_need_no_name_in_front() {
    let world = World::start().await;
    world.make_table("lines", &ID).await;
    let lines = "\u{feff}{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"1.0\"}}\n{\"Item\":{\"id\":{\"S\":\"b\"}}}\n{\"id\":{\"S\":7}}\n";
    let from = file(&world, "lines.jsonl", lines);
    let (result, refused) = refused(&world, json!({ "from": from, "table": "lines" })).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(1)), "{result}");
    assert_eq!(refused[0].0, json!({ "file": from, "line": 3 }));
    assert!(refused[0].1.contains("expected a string"), "{refused:?}");
    assert_eq!(
        world.items("lines").await,
        rows(&[&[("id", "S(\"a\")"), ("n", "N(\"1\")")], &[("id", "S(\"b\")")]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_without_types_is_text_except_for_the_key_and_what_is_said() {
    let world = World::start().await;
    let keys = [("shop", ScalarAttributeType::S), ("number", ScalarAttributeType::N)];
    world.make_table("sales", &keys).await;
    let csv = "\u{feff}shop,number,price,note,new\r\nberlin,1,2.50,\"a, \\b\",TRUE\r\nberlin,2,,,\r\nberlin,x,1,,\r\nberlin,4,oops,,\r\n";
    let from = file(&world, "sales.csv", csv);
    let parameters = json!({ "from": from, "table": "sales", "types": { "price": "N", "new": "BOOL" } });
    let (result, refused) = refused(&world, parameters).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(2)), "{result}");
    assert_eq!(
        refused[0],
        (json!({ "file": from, "line": 4 }), "column \"number:N\": \"x\" is not a number".to_owned())
    );
    assert_eq!(refused[1].1, "column \"price:N\": \"oops\" is not a number");
    let berlin = ("shop", "S(\"berlin\")");
    let one = [
        berlin,
        ("number", "N(\"1\")"),
        ("price", "N(\"2.5\")"),
        ("note", "S(\"a, \\\\b\")"),
        ("new", "Bool(true)"),
    ];
    assert_eq!(world.items("sales").await, rows(&[&one, &[berlin, ("number", "N(\"2\")")]]));

    let parameters = json!({
        "from": from, "table": "made", "create": true, "keys": ["number", "note:S"], "types": { "number": "N" },
    });
    let made = world.done("restore", parameters).await;
    assert_eq!((&made["created"], &made["written"]), (&json!(true), &json!(1)), "{made}");
    for (parameters, problem) in [
        (json!({ "from": from, "table": "made" }), None),
        (
            json!({ "from": from, "table": "sales", "keys": ["shop:S"] }),
            Some("those that were given shop (S)"),
        ),
        (
            json!({ "from": from, "table": "sales", "types": { "prize": "N" } }),
            Some("types: no column \"prize\""),
        ),
        (
            json!({ "from": file(&world, "n.csv", "a,b\n1,2\n"), "table": "sales" }),
            Some("no column \"shop\""),
        ),
        (
            json!({ "from": file(&world, "t.csv", "shop:S,b\n1,2\n"), "table": "sales" }),
            Some("column \"b\" has no type"),
        ),
        (
            json!({ "from": file(&world, "l.jsonl", "{}\n"), "table": "sales", "types": { "a": "N" } }),
            Some("CSV only"),
        ),
    ] {
        match problem {
            None => drop(world.done("restore", parameters).await),
            Some(problem) => {
                let failure = world.failed("restore", parameters).await;
                assert!(failure.contains(problem), "{failure}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_of_plain_json_is_restored_item_by_item() {
    let world = World::start().await;
    world.make_table("array", &ID).await;
    let array = "\u{feff}[\n  {\"id\": \"a\", \"n\": 12345678901234567890123456789012345678},\n  7, {\"n\": 1},\n\
                 {\"id\": \"b\", \"list\": [\"]\"]}\n]\n";
    for (name, content) in
        [("array.json", array.as_bytes().to_vec()), ("array.json.gz", gzip(array.as_bytes()))]
    {
        let from = file(&world, name, content);
        let (result, refused) = refused(&world, json!({ "from": from, "table": "array" })).await;
        assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(2)), "{result}");
        assert_eq!(refused[0], (json!({ "file": from, "item": 2 }), "must be an object".to_owned()));
        assert_eq!(refused[1].0["item"], 3);
    }
    assert_eq!(world.items("array").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_scan_prints_is_restored_a_page_or_several() {
    let world = World::start().await;
    world.make_table("scanned", &ID).await;
    let page = |ids: &[&str]| {
        let items: Vec<Value> =
            ids.iter().map(|id| json!({ "id": { "S": id }, "tags": { "SS": ["x"] } })).collect();
        json!({ "Items": items, "Count": ids.len(), "ScannedCount": 9, "ConsumedCapacity": null })
    };
    let pretty = serde_json::to_string_pretty(&page(&["a", "b"])).unwrap();
    let several = format!("{}\n{}{}", page(&[]), page(&["c"]), page(&["d", "e"]));
    let items = page(&["f"])["Items"].to_string();
    for (name, content, count) in [("one.json", pretty, 2), ("several", several, 5), ("items.json", items, 6)]
    {
        let from = file(&world, name, content);
        world.done("restore", json!({ "from": from, "table": "scanned" })).await;
        assert_eq!(world.items("scanned").await.len(), count, "{name}");
    }
    let from = file(
        &world,
        "wrong.json",
        json!({ "Items": [{ "id": { "S": "g" } }, { "id": "h" }, { "id": { "X": 1 } }] }).to_string(),
    );
    let (result, refused) =
        refused(&world, json!({ "from": from, "table": "scanned", "format": "scan" })).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(1), &json!(2)), "{result}");
    assert_eq!(refused[0].0, json!({ "file": from, "item": 2 }));
    assert!(
        refused[0].1.contains("a value with its type") && refused[1].1.contains("unknown type \"X\""),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_damaged_ends_with_a_sentence_that_says_where() {
    let world = World::start().await;
    world.make_table("damaged", &ID).await;
    for (name, content, problem) in [
        (
            "cut.json",
            "[{\"id\":\"a\"},\n{\"id\":\"b",
            "line 2, column 9: the file ends within a value: it is truncated",
        ),
        ("open.json", "[{\"id\":\"a\"}\n", "line 2, column 1: the file ends, but expected a comma or ]"),
        ("behind.json", "[{\"id\":\"a\"}] x", "line 1, column 14: expected the end of the file, found x"),
        (
            "pages.json",
            "{\"Items\":[{\"id\":{\"S\":\"a\"}}],\"Count\":1",
            "column 38: the file ends within a value",
        ),
        (
            "error.json",
            "{\"Items\":[{\"id\":{\"S\":\"a\"}}]}\nAn error occurred",
            "line 2, column 1: expected { or [",
        ),
        (
            "odd.txt",
            "id a",
            "its format cannot be recognised. Give format (--format): dynamodb-json, csv, json-lines, json or scan",
        ),
        ("object.json", "{\n  \"id\": \"a\"\n}", "object.json: its format cannot be recognised"),
    ] {
        let from = file(&world, name, content);
        let failure = world.failed("restore", json!({ "from": from, "table": "damaged" })).await;
        assert!(failure.contains(problem) && failure.contains(name), "{failure}");
    }
    let from = file(&world, "wide.json", b"\xff\xfe[\0]\0");
    let failure = world.failed("restore", json!({ "from": from, "table": "damaged" })).await;
    assert!(failure.contains("wide.json: the file is UTF-16, but expected UTF-8"), "{failure}");
    let from = file(&world, "cut.json.gz", &gzip(b"[{\"id\":\"a\"}]")[..20]);
    let failure =
        world.failed("restore", json!({ "from": from, "table": "damaged", "format": "json" })).await;
    assert!(failure.contains("invalid gzip data"), "{failure}");
}

/// The files of dynamodump for a table, as it indents them.
fn dynamodump(world: &World, table: &str) -> String {
    let schema = json!({
        "Table": {
            "AttributeDefinitions": [
                { "AttributeName": "id", "AttributeType": "N" },
                { "AttributeName": "name", "AttributeType": "S" },
            ],
            "TableName": table,
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "TableStatus": "ACTIVE",
            "CreationDateTime": "2018-01-28T01:30:19.926000+00:00",
            "ProvisionedThroughput": {
                "LastIncreaseDateTime": "1970-01-01T00:00:00+00:00",
                "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 25, "WriteCapacityUnits": 5,
            },
            "TableSizeBytes": 28, "ItemCount": 3,
            "TableArn": format!("arn:aws:dynamodb:ddblocal:000000000000:table/{table}"),
            "GlobalSecondaryIndexes": [{
                "IndexName": "byName", "IndexStatus": "ACTIVE", "IndexSizeBytes": 28, "ItemCount": 3,
                "KeySchema": [{ "AttributeName": "name", "KeyType": "HASH" }],
                "Projection": { "ProjectionType": "ALL" },
                "ProvisionedThroughput": { "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 5 },
            }],
        },
        "ResponseMetadata": { "HTTPStatusCode": 200 },
    });
    let item =
        |id: u32| json!({ "id": { "N": id.to_string() }, "name": { "S": "Doe" }, "raw": { "B": "aGk=" } });
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    file(world, &format!("dumps/{table}/schema.json"), pretty(&schema));
    let pages = [
        json!({ "Items": [item(1), item(2)], "Count": 2, "ScannedCount": 2, "LastEvaluatedKey": { "id": { "N": "2" } } }),
        json!({ "Items": [item(3)], "Count": 1, "ScannedCount": 1 }),
    ];
    for (n, page) in pages.iter().enumerate() {
        file(world, &format!("dumps/{table}/data/{:04}.json", n + 1), pretty(page));
    }
    world.local(&format!("dumps/{table}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_dynamodump_is_restored_with_its_schema() {
    let world = World::start().await;
    let folder = dynamodump(&world, "testTable");
    for (from, table) in [(folder, "fromFolder"), (world.local("dumps"), "fromParent")] {
        let parameters = json!({ "from": from, "table": table, "create": true });
        let restored = world.done("restore", parameters).await;
        assert_eq!((&restored["written"], &restored["created"]), (&json!(3), &json!(true)), "{restored}");
        let made = world.client().describe_table().table_name(table).send().await.unwrap().table.unwrap();
        assert_eq!(made.global_secondary_indexes()[0].index_name(), Some("byName"));
        assert_eq!(made.provisioned_throughput.unwrap().read_capacity_units, Some(25));
        assert_eq!(world.items(table).await.len(), 3);
    }
    dynamodump(&world, "other");
    let failure =
        world.failed("restore", json!({ "from": world.local("dumps"), "table": "fromParent" })).await;
    assert!(
        failure.contains("contains dumps of several tables") && failure.contains("dumps/other"),
        "{failure}"
    );
    let meant = world
        .done("restore", json!({ "from": world.local("dumps"), "table": "other", "create": true }))
        .await;
    assert_eq!(meant["written"], 3);
    file(&world, "dumps/other/schema.json", "{}");
    let failure =
        world.failed("restore", json!({ "from": world.local("dumps/other"), "table": "other" })).await;
    assert!(failure.contains("schema.json: not a table's description: missing field `Table`"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_from_any_format_is_what_was_there() {
    let world = World::start().await;
    world.make_table("from", &ID).await;
    world.put_all("from", &items(&ID, 400, 21)).await;
    let there = world.items("from").await;
    let mut texts = Vec::new();
    for item in world.client().scan().table_name("from").send().await.unwrap().items() {
        let mut text = Vec::new();
        json::write_item(item, &mut text).unwrap();
        texts.push(String::from_utf8(text).unwrap().trim_end().to_owned());
    }
    let plain = world.local("plain");
    world
        .done(
            "dump",
            json!({ "table": "from", "to": plain, "format": "json-lines", "gzip": false, "segments": 1 }),
        )
        .await;
    let exports = std::fs::read_dir(format!("{plain}/AWSDynamoDB")).unwrap().next().unwrap().unwrap().path();
    let data = std::fs::read_dir(exports.join("data")).unwrap().next().unwrap().unwrap().path();
    let plain_lines = std::fs::read_to_string(data).unwrap();
    let array = format!("[{}]", plain_lines.trim_end().replace('\n', ",\n"));
    let scan =
        format!("{{\"Items\":[{}],\"Count\":{},\"ScannedCount\":400}}", texts.join(",\n"), texts.len());
    for (name, content) in [
        ("bare.jsonl", texts.join("\n")),
        ("array.json", array),
        ("scan.json", scan),
        ("plain.ndjson", plain_lines),
    ] {
        let from = world.object(&format!("tools/{name}.gz"), gzip(content.as_bytes())).await;
        let table = name.replace('.', "-");
        let parameters = json!({ "from": from, "table": table, "create": true, "keys": ["id"] });
        let restored = world.done("restore", parameters).await;
        assert_eq!(
            (&restored["written"], &restored["refused"]),
            (&json!(400), &json!(0)),
            "{name}: {restored}"
        );
        assert_same(&world.items(&table).await, &there, name);
        let verified = world.done("verify", json!({ "dump": from, "table": "from" })).await;
        assert_eq!(verified["equal"], true, "{name}: {verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_restore_is_killed_and_resumed_is_restored_whole() {
    let world = World::start().await;
    world.make_table("killed", &ID).await;
    let items: Vec<Value> = (0..6_000).map(|n| json!({ "id": format!("id-{n}"), "n": n })).collect();
    // All on one line, and one item that is none.
    let content = format!("[0,{}", &serde_json::to_string(&items).unwrap()[1..]);
    let from = file(&world, "killed.json", content);
    let parameters = json!({ "from": from, "table": "killed" });
    let (job, kills) = world.run_with_kills(&world.engine(), "restore", parameters, 5, 300).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert!(kills > 0, "it was never killed");
    let result = job.result.unwrap();
    assert_eq!((&result["lines"], &result["refused"]), (&json!(6_001), &json!(1)), "{result}");
    assert_eq!(world.items("killed").await.len(), 6_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_beyond_every_limit_is_refused_by_its_number_in_flat_memory() {
    let world = World::start().await;
    world.make_table("huge", &ID).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"[{\"id\":\"a\"},{\"id\":\"").unwrap();
    for _ in 0..512 {
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    encoder.write_all(b"\"},{\"id\":\"b\"}]").unwrap();
    let from = file(&world, "huge.json.gz", encoder.finish().unwrap());
    let (result, refused) = refused(&world, json!({ "from": from, "table": "huge" })).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(1)), "{result}");
    assert_eq!(refused[0].0["item"], 2);
    assert!(refused[0].1.contains("more than 8388608 bytes"), "{refused:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let megabytes = peak.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024;
    assert!(megabytes < 400, "{megabytes} MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_chosen_and_changed_on_their_way() {
    let world = World::start().await;
    world.make_table("people", &[("name", ScalarAttributeType::S)]).await;
    let lines = concat!(
        "{\"id\":\"a\",\"fullName\":\"Ada\",\"phone\":\"1\",\"age\":36,\"email\":\"ada@example.org\"}\n",
        "{\"id\":\"b\",\"fullName\":\"Bob\",\"age\":12}\n",
        "{\"id\":\"c\",\"age\":40}\n",
        "{\"id\":\"d\",\"fullName\":5,\"age\":50}\n",
    );
    let from = file(&world, "people.jsonl", lines);
    let set = "SET name = fullName, email = 'masked', age = age + 1 REMOVE fullName, phone";
    let parameters = json!({ "from": from, "table": "people", "set": set, "where": "age > 18" });
    let mut dry = parameters.clone();
    dry["dryRun"] = json!(true);
    assert_eq!(world.done("restore", dry).await["dryRun"], true);
    assert_eq!(world.items("people").await.len(), 0, "a dry run writes nothing");
    let (result, refused) = refused(&world, parameters).await;
    let counts = ["lines", "written", "omitted", "refused"].map(|name| result[name].clone());
    assert_eq!(counts, [json!(4), json!(1), json!(1), json!(2)], "{result}");
    assert_eq!(refused[0].0["line"], 3);
    assert_eq!(refused[0].1, "the item has no fullName; if_not_exists(fullName, VALUE) would give a value");
    assert_eq!(refused[1].1, "the changed item has no valid key: attribute \"name\" must have type S");
    let ada = [("id", "S(\"a\")"), ("name", "S(\"Ada\")"), ("email", "S(\"masked\")"), ("age", "N(\"37\")")];
    assert_eq!(world.items("people").await, rows(&[&ada]));
}
