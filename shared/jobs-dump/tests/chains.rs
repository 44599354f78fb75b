//! What a location stands for: a full export and the increments that follow it, all archives, or the newest dump.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{ID, World, small};
use nextbasket_dynamodb::item::text;
use nextbasket_jobs_dump::manifest::md5_base64;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/orders";

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn packed(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The hour `n` of the day of all exports.
fn hour(n: u32) -> String {
    format!("2026-03-01T{n:02}:00:00.000Z")
}

/// Writes an export as AWS does; with a period it is an incremental one, whose files are in the folder that all share.
fn export(place: &Path, id: &str, period: Option<(u32, u32)>, files: &[Vec<String>]) -> PathBuf {
    let exports = place.join("AWSDynamoDB");
    let folder = exports.join(id);
    let (mut lines, mut items) = (String::new(), 0);
    for (n, content) in files.iter().enumerate() {
        let below = if period.is_some() {
            format!("data/{id}-{n}.json.gz")
        } else {
            format!("{id}/data/{n}.json.gz")
        };
        let content_of = content.iter().map(|line| format!("{line}\n")).collect::<String>();
        let packed = packed(&content_of);
        write(&exports.join(&below), &packed);
        let (count, md5) = (content.len(), md5_base64(&packed));
        let key = format!("prefix/AWSDynamoDB/{below}");
        let line = json!({ "itemCount": count, "md5Checksum": md5, "etag": "x", "dataFileS3Key": key });
        lines.push_str(&format!("{line}\n"));
        items += count;
    }
    let mut summary = json!({
        "version": "2023-08-01", "exportArn": format!("{ARN}/export/{id}"), "tableArn": ARN,
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345", "itemCount": items, "outputFormat": "DYNAMODB_JSON",
    });
    let fields = summary.as_object_mut().unwrap();
    match period {
        None => {
            fields.insert("exportType".to_owned(), json!("FULL_EXPORT"));
            fields.insert("exportTime".to_owned(), json!(hour(0)));
        }
        Some((from, to)) => {
            fields.insert("exportType".to_owned(), json!("INCREMENTAL_EXPORT"));
            fields.insert("exportFromTime".to_owned(), json!(hour(from)));
            fields.insert("exportToTime".to_owned(), json!(hour(to)));
            fields.insert("outputView".to_owned(), json!("NEW_AND_OLD_IMAGES"));
        }
    }
    let summary = summary.to_string();
    write(&folder.join("manifest-files.json"), lines.as_bytes());
    write(&folder.join("manifest-files.md5"), md5_base64(lines.as_bytes()).as_bytes());
    write(&folder.join("manifest-summary.json"), summary.as_bytes());
    write(&folder.join("manifest-summary.md5"), md5_base64(summary.as_bytes()).as_bytes());
    folder
}

fn item(id: &str, n: u32) -> String {
    json!({ "Item": { "id": { "S": id }, "n": { "N": n.to_string() } } }).to_string()
}

/// A change that was written at this time: to a number, or a deletion.
fn change(id: &str, micros: u64, n: Option<u32>) -> String {
    let mut line = json!({
        "Metadata": { "WriteTimestampMicros": { "N": micros.to_string() } },
        "Keys": { "id": { "S": id } },
    });
    if let Some(n) = n {
        line["NewImage"] = json!({ "id": { "S": id }, "n": { "N": n.to_string() } });
    }
    line.to_string()
}

/// The ids and numbers in a table.
async fn numbers(world: &World, table: &str) -> Vec<String> {
    let items = world.items(table).await;
    let mut numbers: Vec<String> = items
        .iter()
        .map(|item| format!("{}={}", item["id"], item["n"]).replace(['(', ')', '"', 'S', 'N'], ""))
        .collect();
    numbers.sort();
    numbers
}

/// A full export of a to d, and two increments.
fn chain(place: &Path) -> [PathBuf; 3] {
    let full = export(
        place,
        "00000000000009-f",
        None,
        &[vec![item("a", 1), item("b", 2)], vec![item("c", 3), item("d", 4)]],
    );
    // Their ids do not tell the order of their times.
    let second = export(
        place,
        "00000000000001-b",
        Some((1, 2)),
        &[vec![change("a", 20, Some(12)), change("e", 21, Some(5))]],
    );
    let first = export(
        place,
        "00000000000002-a",
        Some((0, 1)),
        &[vec![change("a", 10, Some(11)), change("b", 11, None)], vec![change("c", 12, Some(13))]],
    );
    [full, first, second]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_export_is_restored_with_the_increments_that_follow_it() {
    let world = World::start().await;
    let place = world.path("p");
    let folders = chain(&place);
    world.make_table("orders", &ID).await;
    let restored = world.done("restore", json!({ "from": place, "table": "orders" })).await;
    assert_eq!(numbers(&world, "orders").await, ["a=12", "c=13", "d=4", "e=5"], "{restored}");
    assert_eq!(restored["sources"], json!(folders));
    // Nine lines: of the two changes of one key the older one is not written.
    let counts =
        ["lines", "written", "deleted", "superseded", "refused"].map(|name| restored[name].as_u64().unwrap());
    assert_eq!(counts, [9, 7, 1, 1, 0], "{restored}");

    let verified = world.done("verify", json!({ "dump": place })).await;
    assert_eq!((&verified["equal"], &verified["dumps"]), (&json!(true), &json!(folders)), "{verified}");
    let failure = world.failed("verify", json!({ "dump": place, "table": "orders" })).await;
    assert!(failure.contains("stands for 3 exports, of which verify checks each by itself"), "{failure}");
    // Compared as the items that they come to.
    let output = world.local("differences.jsonl");
    let sides = json!({ "left": { "dump": place }, "right": { "table": "orders" }, "output": output });
    let equal = world.done("diff", sides.clone()).await;
    assert_eq!((&equal["equal"], &equal["left"]["count"]), (&json!(true), &json!(4)), "{equal}");
    world.put("orders", small("a", 11)).await;
    world.put("orders", small("b", 2)).await;
    let differs = world.done("diff", sides.clone()).await;
    let counts = ["onlyLeft", "onlyRight", "differing", "twice"].map(|name| differs[name].as_u64().unwrap());
    assert_eq!(counts, [0, 1, 1, 0], "{differs}");
    let (job, _) = world.run_with_kills(&world.engine(), "diff", sides, 5, 300).await;
    assert_eq!(job.result.unwrap(), differs);
    world.done("restore", json!({ "from": place, "table": "orders" })).await;
    // A damaged file is named with its export.
    let damaged = place.join("AWSDynamoDB/data/00000000000001-b-0.json.gz");
    std::fs::write(&damaged, packed(&change("a", 30, Some(99)))).unwrap();
    let verified = world.done("verify", json!({ "dump": place })).await;
    let problem = verified["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("00000000000001-b/data/00000000000001-b-0.json.gz: "), "{verified}");
    let failure = world.failed("restore", json!({ "from": place, "table": "orders" })).await;
    assert!(failure.contains("00000000000001-b-0.json.gz: its MD5 differs"), "{failure}");
    assert!(numbers(&world, "orders").await.contains(&"a=12".to_owned()), "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_a_chain_that_is_killed_again_and_again_is_the_same() {
    let world = World::start().await;
    let place = world.path("p");
    let all: Vec<Vec<String>> =
        (0..4).map(|file| (0..300).map(|n| item(&format!("{file}-{n}"), n)).collect()).collect();
    export(&place, "00000000000009-f", None, &all);
    let changes = |at: u64| -> Vec<Vec<String>> {
        let line = |file: u64, n: u64| {
            let value = (!n.is_multiple_of(7)).then_some(u32::try_from(at).unwrap());
            change(&format!("{file}-{n}"), at * 1_000 + n, value)
        };
        (0..4)
            .map(|file| (0..300).filter(|n: &u64| n.is_multiple_of(at + 1)).map(|n| line(file, n)).collect())
            .collect()
    };
    export(&place, "00000000000002-b", Some((1, 2)), &changes(2));
    export(&place, "00000000000001-a", Some((0, 1)), &changes(1));
    for table in ["whole", "killed"] {
        world.make_table(table, &ID).await;
    }
    world.done("restore", json!({ "from": place, "table": "whole" })).await;
    let parameters = json!({ "from": place, "table": "killed", "width": 2 });
    let (job, kills) = world.run_with_kills(&world.engine(), "restore", parameters, 7, 300).await;
    println!("{kills} kills");
    assert_eq!(job.state, nextbasket_job_engine::JobState::Succeeded, "{:?}", job.failure);
    assert_eq!(numbers(&world, "killed").await, numbers(&world, "whole").await);
    let twice = numbers(&world, "whole").await;
    assert!(
        twice.contains(&"0-6=2".to_owned())
            && twice.contains(&"0-2=1".to_owned())
            && !twice.contains(&"0-0=0".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_between_exports_is_named_and_an_overlap_is_none() {
    let world = World::start().await;
    let place = world.path("p");
    let [full, first, _] = chain(&place);
    world.make_table("orders", &ID).await;
    std::fs::remove_dir_all(&first).unwrap();
    let failure = world.failed("restore", json!({ "from": place, "table": "orders" })).await;
    let gap = format!(
        "no incremental export covers the time from {} to {}, before 00000000000001-b",
        hour(0),
        hour(1)
    );
    assert!(failure.contains(&gap), "{failure}");
    assert_eq!(numbers(&world, "orders").await, [""; 0]);
    // The full export alone, or an increment alone, by its own folder.
    let restored = world.done("restore", json!({ "from": full, "table": "orders" })).await;
    assert_eq!(restored["written"], 4);
    // A longer period closes the gap, and the newer change still wins.
    export(
        &place,
        "00000000000003-c",
        Some((0, 2)),
        &[vec![change("a", 15, Some(77)), change("b", 11, None)]],
    );
    world.done("restore", json!({ "from": place, "table": "orders" })).await;
    assert_eq!(numbers(&world, "orders").await, ["a=12", "c=3", "d=4", "e=5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_of_a_key_the_one_written_later_counts_wherever_it_is() {
    let world = World::start().await;
    let place = world.path("p");
    let folder = export(
        &place,
        "00000000000001-a",
        Some((0, 1)),
        &[
            vec![change("one", 9, Some(9)), change("one", 8, Some(8)), change("two", 5, None)],
            vec![
                change("two", 4, Some(4)),
                change("three", 1, Some(1)),
                change("three", 2, None),
                change("one", 7, None),
            ],
            vec![change("four", 3, Some(3)), change("four", 3, Some(33))],
        ],
    );
    world.make_table("orders", &ID).await;
    world.put_all("orders", &[small("two", 0), small("three", 0)]).await;
    let restored = world.done("restore", json!({ "from": folder, "table": "orders" })).await;
    assert_eq!(numbers(&world, "orders").await, ["four=33", "one=9"], "{restored}");
    assert_eq!((&restored["lines"], &restored["superseded"]), (&json!(9), &json!(5)), "{restored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_another_key_than_its_own_is_rejected() {
    let world = World::start().await;
    let place = world.path("p");
    let moved =
        |keys: Value, image: Value| json!({ "Metadata": {}, "Keys": keys, "NewImage": image }).to_string();
    let folder = export(
        &place,
        "00000000000001-a",
        Some((0, 1)),
        &[vec![
            change("good", 1, Some(1)),
            moved(json!({ "id": { "S": "a" } }), json!({ "id": { "S": "victim" }, "n": { "N": "6" } })),
            moved(json!({ "id": { "S": "a" } }), json!({ "n": { "N": "6" } })),
            moved(
                json!({ "other": { "S": "a" } }),
                json!({ "other": { "S": "a" }, "id": { "S": "victim" } }),
            ),
            item("victim", 6),
            "{\"Keys\":".to_owned(),
        ]],
    );
    world.make_table("orders", &ID).await;
    world.put("orders", small("victim", 1)).await;
    let job = world.run("restore", json!({ "from": folder, "table": "orders" })).await;
    assert_eq!(numbers(&world, "orders").await, ["good=1", "victim=1"]);
    let result = job.result.clone().unwrap();
    assert_eq!((&result["refused"], &result["written"]), (&json!(5), &json!(1)), "{result}");
    let mut refused: Vec<(u64, String)> = world
        .refused(&job.job_id)
        .await
        .iter()
        .map(|line| (line["refused"]["line"].as_u64().unwrap(), line["reason"].as_str().unwrap().to_owned()))
        .collect();
    refused.sort();
    let expected = [
        (2, "NewImage has another \"id\" than Keys"),
        (3, "NewImage has another \"id\" than Keys"),
        (4, "Keys must have id, the key of the table"),
        (5, "no \"Keys\" in the line of an incremental export"),
        (6, "EOF while parsing a value"),
    ];
    for ((line, reason), (at, begin)) in refused.iter().zip(expected) {
        assert!(*line == at && reason.starts_with(begin), "{refused:?}");
    }
    assert_eq!(refused.len(), 5, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_archives_of_a_location_come_back_and_the_newest_copy_counts() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    for to in [world.local("archive"), world.s3("archive")] {
        world.put_all("orders", &(0..20).map(|n| small(&format!("o{n}"), n)).collect::<Vec<_>>()).await;
        world.done("archive", json!({ "table": "orders", "where": "n < 10", "to": to })).await;
        world.forward(Duration::from_secs(60));
        // One that was archived already is ordered again.
        world.put("orders", small("o5", 15)).await;
        world.done("archive", json!({ "table": "orders", "where": "n >= 10", "to": to })).await;
        assert_eq!(world.items("orders").await.len(), 0);
        for policy in ["skip", "overwrite"] {
            let parameters = json!({ "from": to, "table": "orders", "onConflict": policy });
            let restored = world.done("restore", parameters).await;
            let all = numbers(&world, "orders").await;
            assert_eq!(all.len(), 20, "{restored}");
            assert!(all.contains(&"o5=15".to_owned()), "{policy}: {all:?}");
            assert_eq!(restored["sources"].as_array().unwrap().len(), 2);
            for n in 0..20 {
                let id = text(format!("o{n}"));
                world.client().delete_item().table_name("orders").key("id", id).send().await.unwrap();
            }
        }
        assert_eq!(world.done("verify", json!({ "dump": to })).await["equal"], true);
        // Of the key that both hold, the newer copy is compared.
        let mut all: Vec<_> = (0..20).map(|n| small(&format!("o{n}"), n)).collect();
        all[5] = small("o5", 15);
        world.put_all("orders", &all).await;
        let output = world.local("o");
        let sides = json!({ "left": { "dump": to }, "right": { "table": "orders" }, "output": output });
        let equal = world.done("diff", sides).await;
        assert_eq!((&equal["equal"], &equal["twice"]), (&json!(true), &json!(0)), "{equal}");
        for n in 0..20 {
            let id = text(format!("o{n}"));
            world.client().delete_item().table_name("orders").key("id", id).send().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_stands_for_its_newest_complete_dump_whatever_is_newer() {
    let world = World::start().await;
    world.make_table("orders", &ID).await;
    world.put_all("orders", &(0..20).map(|n| small(&format!("o{n}"), n)).collect::<Vec<_>>()).await;
    let to = world.local("d");
    let dump = async |more: Value| {
        world.forward(Duration::from_secs(60));
        let mut parameters = json!({ "table": "orders", "to": to });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = world.run("dump", parameters).await;
        job.result.unwrap()["dumps"][0].clone()
    };
    let full = dump(json!({})).await;
    let some = dump(json!({ "where": "n < 5" })).await;
    let incomplete = dump(json!({ "format": "csv", "columns": ["id:S"] })).await;
    assert_eq!(incomplete["complete"], false);
    world.make_table("copy", &ID).await;
    let restored = world.done("restore", json!({ "from": to, "table": "copy" })).await;
    assert_eq!((&restored["from"], &restored["written"]), (&full["folder"], &json!(20)), "{restored}");
    assert_eq!(restored["complete"], true);
    let notes: Vec<&str> =
        restored["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
    let note = |dump: &Value, noun: &str| {
        let folder = dump["folder"].as_str().unwrap();
        format!("{folder}, {noun}, is not part of it: give its own folder if it is meant")
    };
    assert_eq!(notes, [note(&some, "a dump of some items"), note(&incomplete, "an incomplete dump")]);
    assert_eq!(world.done("verify", json!({ "dump": to, "table": "orders" })).await["equal"], true);
    let output = world.local("o");
    let sides = json!({ "left": { "dump": to }, "right": { "table": "orders" }, "output": output });
    assert_eq!(world.done("diff", sides).await["equal"], true);

    // By its own folder, with a word.
    let restored = world.done("restore", json!({ "from": incomplete["folder"], "table": "copy" })).await;
    let note = format!(
        "{}: nextbasket-dump.json: 20 items were rejected: the dump is not complete",
        incomplete["folder"].as_str().unwrap()
    );
    assert_eq!((&restored["complete"], &restored["notes"]), (&json!(false), &json!([note])), "{restored}");
    let restored = world.done("restore", json!({ "from": some["folder"], "table": "copy" })).await;
    assert_eq!(restored["written"], 5);

    // A newest dump that is damaged is not passed over.
    world.forward(Duration::from_secs(60));
    let damaged = dump(json!({})).await;
    let summary = Path::new(damaged["folder"].as_str().unwrap()).join("manifest-summary.json");
    std::fs::write(summary, "{").unwrap();
    let failure = world.failed("restore", json!({ "from": to, "table": "orders" })).await;
    assert!(failure.contains(damaged["folder"].as_str().unwrap()), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_one_name_in_two_regions_are_not_mixed_up() {
    let world = World::start().await;
    let place = world.path("p");
    let [full, ..] = chain(&place);
    let elsewhere = export(&place, "00000000000010-e", None, &[vec![item("z", 9)]]);
    let summary = elsewhere.join("manifest-summary.json");
    let text = std::fs::read_to_string(&summary).unwrap().replace("us-east-1", "eu-west-1");
    std::fs::write(&summary, &text).unwrap();
    write(&elsewhere.join("manifest-summary.md5"), md5_base64(text.as_bytes()).as_bytes());
    world.make_table("orders", &ID).await;
    let failure = world.failed("restore", json!({ "from": place, "table": "orders" })).await;
    for word in ["several tables", "us-east-1", "eu-west-1", "Give the folder of one of them"] {
        assert!(failure.contains(word), "{failure}");
    }
    assert_eq!(world.done("restore", json!({ "from": full, "table": "orders" })).await["written"], 4);
}
