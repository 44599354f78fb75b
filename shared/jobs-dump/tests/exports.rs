//! Exports as AWS writes them, made by hand, and plain files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::io::Write;
use std::path::Path;

use common::{ID, World, small};
use nextbasket_dynamodb::item::text;
use nextbasket_jobs_dump::manifest::md5_base64;
use serde_json::{Value, json};

const EXPORT: &str = "01693685827463-2d8752fd";

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// An export as AWS documents it: data files with their numbers of items, and where they stand.
fn export(place: &Path, data: &str, files: &[(&str, u64)], incremental: bool) {
    let folder = place.join("AWSDynamoDB").join(EXPORT);
    let (mut lines, mut items) = (String::new(), 0);
    for (n, (content, count)) in files.iter().enumerate() {
        let name = format!("{data}/asdl123dasas{n}.json.gz");
        let packed = gzip(content);
        write(&place.join(&name), &packed);
        let line = json!({
            "itemCount": count,
            "md5Checksum": md5_base64(&packed),
            "etag": "f2c5b8c9d0e1f2a3b4c5d6e7f8091a2b-1",
            "dataFileS3Key": format!("some-prefix/{name}"),
        });
        lines.push_str(&format!("{line}\n"));
        items += count;
    }
    let mut summary = json!({
        "version": "2020-06-30",
        "exportArn": format!("arn:aws:dynamodb:us-east-1:123456789012:table/ProductCatalog/export/{EXPORT}"),
        "startTime": "2020-11-04T07:28:34.028Z",
        "endTime": "2020-11-04T07:33:43.897Z",
        "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/ProductCatalog",
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": "2020-11-04T07:28:34.028Z",
        "s3Bucket": "ddb-productcatalog-export",
        "s3Prefix": "some-prefix",
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": null,
        "manifestFilesS3Key": format!("some-prefix/AWSDynamoDB/{EXPORT}/manifest-files.json"),
        "billedSizeBytes": 0,
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    });
    if incremental {
        let fields = summary.as_object_mut().unwrap();
        fields.insert("version".to_owned(), json!("2023-08-01"));
        fields.insert("exportType".to_owned(), json!("INCREMENTAL_EXPORT"));
        fields.insert("exportFromTime".to_owned(), json!("2023-09-02T12:00:00.000Z"));
        fields.insert("exportToTime".to_owned(), json!("2023-09-02T13:00:00.000Z"));
        fields.insert("outputView".to_owned(), json!("NEW_AND_OLD_IMAGES"));
    }
    let summary = serde_json::to_vec_pretty(&summary).unwrap();
    write(&folder.join("_started"), b"");
    write(&folder.join("manifest-files.json"), lines.as_bytes());
    write(&folder.join("manifest-files.md5"), md5_base64(lines.as_bytes()).as_bytes());
    write(&folder.join("manifest-summary.json"), &summary);
    write(&folder.join("manifest-summary.md5"), md5_base64(&summary).as_bytes());
}

async fn id_and_n(world: &World, table: &str) -> Vec<(String, String)> {
    let items = world.items(table).await;
    let pair = |item: std::collections::BTreeMap<String, String>| {
        (item["id"].clone(), item.get("n").cloned().unwrap_or_default())
    };
    let mut pairs: Vec<_> = items.into_iter().map(pair).collect();
    pairs.sort();
    pairs
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(id, n)| (format!("S({id:?})"), if n.is_empty() { String::new() } else { format!("N({n:?})") }))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_export_of_aws_is_restored_and_verified() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    let files = [
        (
            "{\"Item\":{\"id\":{\"S\":\"a\"},\"n\":{\"N\":\"1\"}}}\n{\"Item\":{\"id\":{\"S\":\"b\"},\"n\":{\"N\":\"2\"},\"raw\":{\"B\":\"aGk=\"}}}\n",
            2,
        ),
        ("", 0),
        ("{\"Item\":{\"id\":{\"S\":\"c\"},\"tags\":{\"SS\":[\"x\",\"y\"]}}}\n", 1),
    ];
    let place = world.path("full");
    export(&place, &format!("AWSDynamoDB/{EXPORT}/data"), &files, false);
    for from in [place.clone(), place.join("AWSDynamoDB").join(EXPORT)] {
        let restored = world.done("restore", json!({ "from": from, "table": "catalog" })).await;
        assert_eq!((&restored["written"], &restored["refused"]), (&json!(3), &json!(0)), "{restored}");
        assert_eq!(id_and_n(&world, "catalog").await, named(&[("a", "1"), ("b", "2"), ("c", "")]));
        let verified = world.done("verify", json!({ "dump": from, "table": "catalog" })).await;
        assert_eq!(verified["equal"], true, "{verified}");
    }
    let mut create = json!({ "from": place, "table": "newtable", "create": true });
    let failure = world.failed("restore", create.clone()).await;
    assert!(failure.contains("does not describe the table. Give its key, as keys (--keys)"), "{failure}");
    create["keys"] = json!(["id:S"]);
    let restored = world.done("restore", create).await;
    assert_eq!((&restored["created"], &restored["written"]), (&json!(true), &json!(3)), "{restored}");
    assert_eq!(id_and_n(&world, "newtable").await, named(&[("a", "1"), ("b", "2"), ("c", "")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incremental_export_of_aws_puts_and_deletes() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    world.put_all("catalog", &[small("a", 1), small("b", 2), small("c", 3)]).await;
    let metadata = r#""Metadata":{"WriteTimestampMicros":{"N":"1680109764000000"}}"#;
    let lines = [
        format!(
            r#"{{{metadata},"Keys":{{"id":{{"S":"a"}}}},"OldImage":{{"id":{{"S":"a"}},"n":{{"N":"1"}}}},"NewImage":{{"id":{{"S":"a"}},"n":{{"N":"10"}}}}}}"#
        ),
        format!(
            r#"{{{metadata},"Keys":{{"id":{{"S":"b"}}}},"OldImage":{{"id":{{"S":"b"}},"n":{{"N":"2"}}}}}}"#
        ),
        format!(
            r#"{{{metadata},"Keys":{{"id":{{"S":"d"}}}},"NewImage":{{"id":{{"S":"d"}},"n":{{"N":"4"}}}}}}"#
        ),
    ];
    let place = world.path("changes");
    export(&place, "AWSDynamoDB/data", &[(&(lines.join("\n") + "\n"), 3)], true);
    let failure = world.failed("restore", json!({ "from": place, "table": "catalog" })).await;
    assert!(
        failure.contains("no complete dump found, only an incremental export. Give the folder"),
        "{failure}"
    );
    let place = place.join("AWSDynamoDB").join(EXPORT);
    let restored = world.done("restore", json!({ "from": place, "table": "catalog" })).await;
    assert_eq!((&restored["written"], &restored["deleted"]), (&json!(2), &json!(1)), "{restored}");
    assert_eq!(id_and_n(&world, "catalog").await, named(&[("a", "10"), ("c", "3"), ("d", "4")]));
    let failure =
        world.failed("restore", json!({ "from": place, "table": "catalog", "onConflict": "skip" })).await;
    assert!(failure.contains("onConflict must be overwrite for changes"), "{failure}");
    let failure = world.failed("verify", json!({ "dump": place, "table": "catalog" })).await;
    assert!(failure.contains("holds changes, not items"), "{failure}");
    for (field, value, problem) in [
        ("where", "n > 1", "where is not accepted for an incremental export"),
        ("set", "id = 'x'", "set must not change the key of an incremental export"),
    ] {
        let mut parameters = json!({ "from": place, "table": "catalog" });
        parameters[field] = json!(value);
        let failure = world.failed("restore", parameters).await;
        assert!(failure.contains(problem), "{failure}");
    }
    let parameters = json!({ "from": place, "table": "catalog", "set": "n = n + 1" });
    let restored = world.done("restore", parameters).await;
    assert_eq!((&restored["written"], &restored["deleted"]), (&json!(2), &json!(1)), "{restored}");
    assert_eq!(id_and_n(&world, "catalog").await, named(&[("a", "11"), ("c", "3"), ("d", "5")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_another_md5_fails_by_name_before_anything_of_it_is_written() {
    let world = World::start().await;
    world.make_table("catalog", &ID).await;
    let place = world.path("damaged");
    let line = |id: &str| format!("{{\"Item\":{{\"id\":{{\"S\":\"{id}\"}}}}}}\n");
    export(&place, &format!("AWSDynamoDB/{EXPORT}/data"), &[(&line("a"), 1), (&line("b"), 1)], false);
    let data = place.join("AWSDynamoDB").join(EXPORT).join("data");
    write(&data.join("asdl123dasas1.json.gz"), &gzip(&line("x")));
    let failure = world.failed("restore", json!({ "from": place, "table": "catalog" })).await;
    assert!(failure.contains("data/asdl123dasas1.json.gz: its MD5 differs from the manifest"), "{failure}");
    assert_eq!(id_and_n(&world, "catalog").await, named(&[("a", "")]), "the other file is restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_refused_with_file_line_and_reason() {
    let world = World::start().await;
    world.make_table("plain", &ID).await;
    let lines = "{\"id\":\"a\",\"n\":1}\n\n{\"id\":\"b\",\"n\":1e999}\nnot json\n{\"n\":5}\n{\"id\":7}\n{\"id\":\"c\",\"n\":2.50}\n";
    world.object("files/part.jsonl.gz", gzip(lines)).await;
    let job = world.run("restore", json!({ "from": world.s3("files"), "table": "plain" })).await;
    let result = job.result.unwrap();
    assert_eq!(
        (&result["lines"], &result["written"], &result["refused"]),
        (&json!(6), &json!(2), &json!(4)),
        "{result}"
    );
    let mut refused = world.refused(&job.job_id).await;
    refused.sort_by_key(|line| line["refused"]["line"].as_u64());
    let lines: Vec<u64> = refused.iter().map(|line| line["refused"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5, 6]);
    assert_eq!(refused[0]["refused"]["file"], json!(world.s3("files/part.jsonl.gz")));
    assert_eq!(refused[0]["reason"], "n: \"1e999\" is not between 1e-130 and 1e126");
    assert!(refused[1]["reason"].as_str().unwrap().starts_with("expected"), "{}", refused[1]);
    assert_eq!(id_and_n(&world, "plain").await, named(&[("a", "1"), ("c", "2.5")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_dynamodb_refuses_are_named_and_those_beside_them_are_written() {
    let world = World::start().await;
    world.make_table("plain", &ID).await;
    let lines = concat!(
        r#"{"Item":{"id":{"S":"a"},"n":{"N":"1"}}}"#,
        "\n",
        r#"{"Item":{"id":{"N":"7"},"n":{"N":"2"}}}"#,
        "\n",
        r#"{"Item":{"n":{"N":"3"}}}"#,
        "\n",
        r#"{"Item":{"id":{"S":"b\u00e9"},"n":{"N":"4"},"n":{"N":"5"}}}"#,
        "\n",
        r#"{"Item":{"id":{"S":"\"c\u0001é"},"n":{"N":"6"}}}"#,
        "\n",
    );
    world.object("files/part.json.gz", gzip(lines)).await;
    let job = world
        .run("restore", json!({ "from": world.s3("files"), "table": "plain", "format": "dynamodb-json" }))
        .await;
    let mut refused = world.refused(&job.job_id).await;
    refused.sort_by_key(|line| line["refused"]["line"].as_u64());
    let refused: Vec<(&Value, &Value, &str)> = refused
        .iter()
        .map(|line| (&line["refused"]["line"], &line["refused"]["key"], line["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert_eq!((refused[0].0, refused[0].1), (&json!(2), &json!({ "id": { "N": "7" } })));
    assert!(refused[0].2.starts_with("ValidationException: "), "{}", refused[0].2);
    assert_eq!((refused[1].0, refused[1].1), (&json!(3), &json!({})));
    assert!(refused[1].2.starts_with("ValidationException: "), "{}", refused[1].2);
    assert!(refused[2].0 == 4 && refused[2].2.contains("\"n\" twice"), "{refused:?}");
    assert_eq!(id_and_n(&world, "plain").await, named(&[("\"c\u{1}é", "6"), ("a", "1")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_of_people_is_restored_and_later_lines_win() {
    let world = World::start().await;
    world.make_table("plain", &ID).await;
    let file = world.path("people.csv");
    let rows = "\u{feff}id:S,n:N,\"a,b:L\"\r\na,1,\r\n\"b\nc\",2,\"[{\"\"S\"\":\"\"x\"\"}]\"\r\na,3,\r\nd,oops,\r\ne,5\r\n";
    write(&file, rows.as_bytes());
    let job = world.run("restore", json!({ "from": file, "table": "plain" })).await;
    let result = job.result.unwrap();
    assert_eq!((&result["written"], &result["refused"]), (&json!(3), &json!(2)), "{result}");
    assert_eq!(id_and_n(&world, "plain").await, named(&[("a", "3"), ("b\nc", "2")]));
    let mut refused: Vec<(u64, String)> = world
        .refused(&job.job_id)
        .await
        .iter()
        .map(|line| (line["refused"]["line"].as_u64().unwrap(), line["reason"].as_str().unwrap().to_owned()))
        .collect();
    refused.sort();
    assert_eq!(
        refused,
        [
            (6, "column \"n:N\": \"oops\" is not a number".to_owned()),
            (7, "the row has 2 cells, but the header has 3".to_owned()),
        ]
    );
    let unnamed = world.path("people.txt");
    write(&unnamed, b"x");
    let failure = world.failed("restore", json!({ "from": unnamed, "table": "plain" })).await;
    assert!(failure.contains("its format cannot be recognised"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_settled_as_it_was_asked_for() {
    let world = World::start().await;
    let file = world.path("new.jsonl");
    write(
        &file,
        b"{\"id\":\"a\",\"n\":10}\n{\"id\":\"b\",\"n\":2}\n{\"id\":\"c\",\"n\":3}\n{\"id\":\"x\"}\n",
    );
    let counts =
        |result: &Value| ["written", "skipped", "refused"].map(|name| result[name].as_u64().unwrap());
    for (n, (conflict, expected, left)) in [
        (json!("overwrite"), [4, 0, 0], [("a", "10"), ("b", "2"), ("c", "3"), ("x", "")]),
        (json!("skip"), [1, 3, 0], [("a", "1"), ("b", "20"), ("c", "3"), ("x", "9")]),
        (json!("fail"), [1, 0, 3], [("a", "1"), ("b", "20"), ("c", "3"), ("x", "9")]),
        (json!({ "ifNewer": "n" }), [2, 1, 1], [("a", "10"), ("b", "20"), ("c", "3"), ("x", "9")]),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("conflict-{n}");
        world.make_table(&table, &ID).await;
        world.put_all(&table, &[small("a", 1), small("b", 20), small("x", 9)]).await;
        let restored =
            world.done("restore", json!({ "from": file, "table": table, "onConflict": conflict })).await;
        assert_eq!(counts(&restored), expected, "{conflict}: {restored}");
        assert_eq!(id_and_n(&world, &table).await, named(&left), "{conflict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_keys_is_refused() {
    let world = World::start().await;
    world.make_table("one", &ID).await;
    world.make_table("two", &[("key", aws_sdk_dynamodb::types::ScalarAttributeType::N)]).await;
    let mut item = small("a", 1);
    item.insert("key".to_owned(), text("x"));
    world.put("one", item).await;
    world.done("dump", json!({ "table": "one", "to": world.local("d") })).await;
    let failure = world.failed("restore", json!({ "from": world.local("d"), "table": "two" })).await;
    assert_eq!(failure, "the keys of table two are key (N), those of the dump's id (S)");
}
