//! Files through commands: all records, in order, whatever fails on the way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use common::{Seeded, World, lines_of, numbers, result, run, script};
use nextbasket_job_engine::pool::{Stop, drive};
use nextbasket_job_engine::{Engine, JobError, JobState, Kinds};
use nextbasket_jobs_map::Map;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_back_in_order_and_each_once() {
    let world = World::start().await;
    let content = numbers(0..300);
    let input = world.file("in/numbers.jsonl", &content);
    for (name, more) in [
        ("small", json!({ "batchBytes": 100, "assign": "random" })),
        ("items", json!({ "batchBytes": 1_000_000, "batchItems": 7 })),
        ("whole", json!({ "batchBytes": 1_000_000, "width": 1 })),
    ] {
        let mut parameters = lines_of(&input, &world.path(name), &json!(["cat"]));
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = world.run(parameters).await;
        assert!(world.read(name) == content, "{name}");
        let result = result(&job);
        assert_eq!((&result["records"], &result["failed"]), (&json!(300), &json!(0)), "{name}");
        assert_eq!(result["batches"], job.stages[1].batches, "{name}");
        assert_eq!(world.manifest(name)["bytes"], content.len());
        assert_eq!(world.leftovers(&job.job_id).await, [""; 0], "{name}");
    }
    let items = world.manifest("items");
    assert_eq!(items["batches"], 43, "300 records, 7 a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_small_files_goes_out_together_and_a_packed_file_by_itself() {
    let world = World::start().await;
    for n in 0..40_u32 {
        world.file(&format!("in/{n:02}/part.jsonl"), numbers(10 * n..10 * n + 10));
    }
    world.file("in/40.jsonl.gz", gzip(numbers(400..450).as_bytes()));
    world.file("in/.hidden", "not to be read\n");
    world.file("in/41.jsonl", numbers(450..451));
    let mut parameters = lines_of(&world.path("in"), &world.path("out"), &json!(["cat"]));
    parameters["batchBytes"] = json!(1_000);
    let job = world.run(parameters).await;
    assert!(world.read("out") == numbers(0..451));
    assert_eq!(job.stages[0].split, json!({ "by": "size", "files": 42 }));
    let batches = result(&job)["batches"].as_u64().unwrap();
    assert!((10..30).contains(&batches), "{batches}");
    assert_eq!(result(&job)["records"], 451);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// CSV with quotes, line ends in fields and any line ends.
fn random_csv(chance: &mut Seeded, records: u64) -> Vec<u8> {
    let mut csv = Vec::from("id,text\r\n");
    for n in 0..records {
        let text: String = (0..chance.below(12))
            .map(|_| ["a", "ä", ",", "\n", "\r\n", "\"\"", "x y"][usize::try_from(chance.below(7)).unwrap()])
            .collect();
        let end = ["\n", "\r\n"][usize::try_from(chance.below(2)).unwrap()];
        csv.extend(format!("{n},\"{text}\"{end}").bytes());
    }
    csv
}

fn parsed(csv: &[u8]) -> Vec<csv::ByteRecord> {
    csv::Reader::from_reader(csv).byte_records().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_is_cut_between_records_and_its_header_is_everywhere_and_once_in_the_output() {
    let world = World::start().await;
    for seed in 0..12 {
        let mut chance = Seeded(seed);
        let records = 1 + chance.below(60);
        let csv = random_csv(&mut chance, records);
        let input = world.file("in.csv", &csv);
        let bytes = 1 + chance.below(400);
        let job = world
            .run(json!({
                "input": { "files": input, "format": "csv" },
                "output": world.path("out.csv"),
                // What is no CSV with its header fails.
                "command": script("read -r header; [ \"$header\" = \"$(printf 'id,text\\r')\" ] || exit 1; printf '%s\\n' \"$header\"; cat"),
                "retries": 0,
                "batchBytes": bytes,
            }))
            .await;
        assert_eq!(result(&job)["failed"], 0, "seed {seed}: {:#}", result(&job));
        assert_eq!(result(&job)["records"], records, "seed {seed}");
        let output = fs::read(world.path("out.csv")).unwrap();
        assert_eq!(output, csv, "seed {seed}, batches of {bytes}");
        assert_eq!(parsed(&output).len(), usize::try_from(records).unwrap(), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_csv_and_csv_without_header_and_results_of_another_form() {
    let world = World::start().await;
    let csv = "id;name\n1;a\n2;b\n3;c\n";
    world.file("in/1.csv", csv);
    world.file("in/2.csv.gz", gzip(csv.replace("1;", "4;").as_bytes()));
    let input = json!({ "files": world.path("in"), "format": "csv", "delimiter": ";" });
    let job = world
        .run(json!({ "input": input, "output": world.path("out"), "command": ["cat"], "batchItems": 2 }))
        .await;
    assert_eq!(world.read("out"), "id;name\n1;a\n2;b\n3;c\n4;a\n2;b\n3;c\n");
    assert_eq!(result(&job)["records"], 6);
    assert_eq!(result(&job)["otherColumns"], 0);

    // Counts of lines: a header among them, equal ones, and no names of columns.
    let count = script("wc -l | tr -d ' '");
    let parameters = json!({
        "input": input, "output": world.path("counts"), "command": count, "outputFormat": "jsonl", "batchItems": 2,
    });
    world.run(parameters).await;
    assert_eq!(world.read("counts"), "3\n2\n4\n");

    // No result loses a line because it has other columns.
    let other = script("read -r header; echo \"$header;$NEXTBASKET_BATCH\"; cat");
    let parameters =
        json!({ "input": input, "output": world.path("other"), "command": other, "batchItems": 2 });
    let job = world.run(parameters).await;
    assert_eq!(world.read("other"), "id;name;0\n1;a\n2;b\nid;name;1\n3;c\nid;name;2\n4;a\n2;b\n3;c\n");
    assert_eq!(result(&job)["otherColumns"], 2);

    let input =
        json!({ "files": world.path("in/1.csv"), "format": "csv", "delimiter": ";", "header": false });
    let parameters =
        json!({ "input": input, "output": world.path("plain"), "command": ["cat"], "batchItems": 1 });
    assert_eq!(result(&world.run(parameters).await)["batches"], 4);
    assert_eq!(world.read("plain"), csv);
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_with_a_quote_in_the_wrong_place_fails_with_line_and_column() {
    let world = World::start().await;
    let before: String = (0..500).map(|n| format!("{n},x\n")).collect();
    for (row, problem) in [
        ("500,\"open\n501,x\n", "line 502, column 5: this quote is never closed"),
        ("500,\"x\"y\n501,x\n", "line 502, column 8: text after the closing quote"),
    ] {
        let content = format!("id,text\n{before}{row}");
        world.file("in.csv", &content);
        world.file("in.csv.gz", gzip(content.as_bytes()));
        for (name, split) in [
            ("in.csv", json!({ "batchBytes": 100 })),
            ("in.csv", json!({ "split": { "by": "feature", "attribute": "id", "parts": 3 } })),
            ("in.csv.gz", json!({})),
            ("in.csv.gz", json!({ "split": { "by": "feature", "attribute": "id", "parts": 3 } })),
        ] {
            let mut parameters = json!({
                "input": { "files": world.path(name), "format": "csv" },
                "output": world.path("out.csv"),
                "command": script("cat"),
                "retries": 0,
            });
            parameters.as_object_mut().unwrap().extend(split.as_object().unwrap().clone());
            let job = world.run(parameters).await;
            let failed = match &job.failure {
                Some(failure) => failure.clone(),
                // A packed file is one batch, and reported like any other that fails.
                None => result(&job)["failures"].to_string(),
            };
            assert!(failed.contains(problem) && failed.contains(name), "{name} {split}: {failed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_has_to_be_held_has_a_limit() {
    let world = World::start().await;
    let long = "x".repeat(9 << 20);
    for (name, format, content) in [
        ("long.csv.gz", "csv", format!("id,text\n1,a\n2,\"{long}\"\n")),
        ("long.jsonl.gz", "jsonl", format!("{{\"id\":1}}\n{{\"id\":2,\"text\":\"{long}\"}}\n")),
    ] {
        let input = world.file(name, gzip(content.as_bytes()));
        let job = world
            .run(json!({
                "input": { "files": input, "format": format },
                "output": world.path("out"),
                "command": ["cat"],
                "split": { "by": "feature", "attribute": "id", "parts": 2 },
            }))
            .await;
        let failure = job.failure.expect("it fails");
        assert!(failure.contains("the record has more than 8388608 bytes"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_is_tried_again_then_reported_by_name_and_the_rest_is_kept() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..100));
    let log = world.path("log");
    let text = format!(
        "echo $NEXTBASKET_JOB $NEXTBASKET_BATCH $NEXTBASKET_ATTEMPT >> {}; input=$(cat); \
         case \"$input\" in *':42,'*) echo broken at 42 >&2; echo second line >&2; exit 3;; esac; \
         printf '%s\\n' \"$input\"",
        log.display()
    );
    let mut parameters = lines_of(&input, &world.path("out"), &script(&text));
    parameters["retries"] = json!(2);
    let job = world.run(parameters.clone()).await;
    let done = result(&job);
    assert_eq!(done["failed"], 1, "{done:#}");
    let failure = &world.manifest("out")["failed"][0];
    let reason = failure["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 3: broken at 42 | second line"), "{reason}");
    let name = failure["name"].as_str().unwrap();
    assert!(name.starts_with(&format!("{} bytes ", input.display())), "{name}");
    assert!(reason.starts_with(name), "{reason}");
    assert_eq!(done["failures"][0], *failure);
    // Exactly that batch's records are missing.
    let range: Vec<usize> =
        name.rsplit(' ').next().unwrap().split('-').map(|bound| bound.parse().unwrap()).collect();
    let mut wanted = numbers(0..100);
    assert!(wanted[range[0]..=range[1]].contains(":42,"));
    wanted.replace_range(range[0]..=range[1], "");
    assert_eq!(world.read("out"), wanted);
    let mut attempts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in world.read("log").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], job.job_id.as_str());
        attempts.entry(words[1].to_owned()).or_default().push(words[2].to_owned());
    }
    assert_eq!(attempts.remove(&failure["batch"].to_string()).unwrap(), ["1", "2", "3"]);
    assert!(attempts.values().all(|attempts| attempts == &["1"]), "{attempts:?}");

    // Unless nothing may fail.
    parameters["tolerated"] = json!(0);
    parameters["retries"] = json!(0);
    let job = world.run(parameters).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.failure.unwrap().contains("broken at 42"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_the_same_value_are_in_the_same_batch() {
    let world = World::start().await;
    let mut csv = [String::from("day,user\n"), String::from("day,user\n")];
    for n in 0..600 {
        csv[n % 2].push_str(&format!("{n},\"u,{}\"\n", n * 7 % 50));
    }
    world.file("in/a.csv", &csv[0]);
    world.file("in/b.csv.gz", gzip(csv[1].as_bytes()));
    let job = world
        .run(json!({
            "input": { "files": world.path("in"), "format": "csv" },
            "split": { "by": "feature", "attribute": "user", "parts": 8 },
            "command": script("tail -n +2 | cut -d, -f2- | sort | uniq -c"),
            "outputFormat": "text",
            "output": world.path("out"),
        }))
        .await;
    assert_eq!(result(&job)["records"], 600);
    assert_eq!(job.stages[0].split, json!({ "by": "feature", "attribute": "user", "parts": 8, "files": 2 }));
    let output = world.read("out");
    assert_eq!(output.lines().count(), 50, "each user in one batch alone:\n{output}");
    assert!(output.lines().all(|line| line.trim().starts_with("12 ")), "{output}");

    // JSON by an attribute; what is no object is refused.
    let mut lines: String = (0..90).map(|n| format!("{}\n", json!({ "user": n % 9, "n": n }))).collect();
    lines.push_str("not json\n");
    let input = world.file("in.jsonl", lines);
    let job = world
        .run(json!({
            "input": { "files": input, "format": "jsonl" },
            "split": { "by": "feature", "attribute": "user", "parts": 4 },
            "command": script("sed 's/.*\"user\":\\([0-9]*\\).*/\\1/' | sort | uniq -c"),
            "output": world.path("users"),
        }))
        .await;
    assert_eq!(world.read("users").lines().count(), 9);
    let refused = world.refused(&job.job_id).await;
    assert_eq!((refused.len(), &refused[0]["refused"]["record"]), (1, &json!("not json")));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_with_other_columns_and_missing_columns_are_told() {
    let world = World::start().await;
    world.file("in/a.csv", "id,user\n1,a\n");
    world.file("in/b.csv", "id,customer\n1,a\n");
    for (attribute, says) in [("id", "different columns"), ("user", "b.csv: column \"user\" not found")] {
        let job = world
            .run(json!({
                "input": { "files": world.path("in"), "format": "csv" },
                "split": { "by": "feature", "attribute": attribute },
                "command": ["cat"],
                "output": world.path("out"),
            }))
            .await;
        assert_eq!(job.state, JobState::Failed);
        let failure = job.failure.unwrap();
        assert!(failure.contains(says), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_split_by_time_go_out_by_the_day_of_their_last_change() {
    let world = World::start().await;
    for (name, day) in [("a", 20), ("b", 10), ("c", 20)] {
        let path = world.file(&format!("in/{name}.jsonl"), format!("\"{name}\"\n"));
        let at = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400);
        fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
    }
    let job = world
        .run(json!({
            "input": { "files": world.path("in"), "format": "jsonl" },
            "split": { "by": "time" }, "assign": "priority",
            "command": ["cat"],
            "output": world.path("out"),
        }))
        .await;
    assert_eq!(world.read("out"), "\"b\"\n\"a\"\n\"c\"\n");
    assert_eq!(result(&job)["batches"], 2);
    assert_eq!(job.stages[1].split, json!({ "by": "time", "attribute": null, "everySeconds": 86_400 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_need_not_read_all_and_may_write_before_it_reads() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..20_000));
    let mut parameters = lines_of(&input, &world.path("first"), &json!(["head", "-n", "1"]));
    parameters["batchBytes"] = json!(10_000_000);
    assert_eq!(result(&world.run(parameters.clone()).await)["failed"], 0);
    assert_eq!(world.read("first"), numbers(0..1));
    // More than pipes hold, in both directions.
    parameters["output"] = json!(world.path("much"));
    parameters["command"] = script("head -c 3000000 /dev/zero | tr '\\0' x; cat > /dev/null");
    world.run(parameters).await;
    assert_eq!(world.read("much").len(), 3_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_stops_the_job_at_once() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..100));
    let job = world.run(lines_of(&input, &world.path("out"), &json!(["no-such-program"]))).await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.contains("no-such-program\" cannot be started"), "{failure}");
    let missing = world.run(lines_of(&world.path("none"), &world.path("out"), &json!(["cat"]))).await;
    assert!(missing.failure.unwrap().contains("none not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_and_files_of_this_machine_are_not_for_whoever_submits_from_elsewhere() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..3));
    let parameters = lines_of(&input, &world.path("out"), &json!(["cat"]));
    let elsewhere = Engine::new(world.engine().site().clone(), Kinds::default().with(Map::default()));
    let refused = elsewhere.submit(None, "map", parameters.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, JobError::Refused(refusal) if refusal.field == "parameters.command"),
        "{refused}"
    );
    // Nor for a worker elsewhere that comes upon a job of this machine's.
    let job = world.engine().submit(None, "map", parameters).await.unwrap();
    let ended = drive(&elsewhere, &job.job_id, 1, &Stop::default()).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Failed);
    assert!(!world.path("out").exists());
}

#[tokio::test]
async fn parameters_that_make_no_job_are_refused_by_name() {
    let world = World::start().await;
    let engine = world.engine();
    let lines = json!({ "files": "/in", "format": "jsonl" });
    let good = json!({ "input": lines, "output": "/out", "command": ["cat"] });
    for (change, field) in [
        (json!({ "command": null }), "command"),
        (json!({ "command": [] }), "command"),
        (json!({ "function": "f" }), "function"),
        (json!({ "command": null, "function": "f" }), "function"),
        (json!({ "folder": "x" }), "folder"),
        (json!({ "output": "out" }), "output"),
        (json!({ "output": "/in/out" }), "output"),
        (json!({ "output": "s3://bucket/out/" }), "output"),
        (json!({ "input": { "files": "/in" } }), "input.format"),
        (json!({ "input": { "files": "in", "format": "csv" } }), "input.files"),
        (json!({ "input": {} }), "input.files"),
        (json!({ "input": { "files": "/in", "format": "csv", "table": "t" } }), "input.table"),
        (json!({ "input": { "files": "/in", "format": "csv", "delimiter": "\"" } }), "input.delimiter"),
        (json!({ "input": { "files": "/in", "format": "jsonl", "header": true } }), "input.header"),
        (json!({ "input": { "table": "t", "where": "a >" } }), "input.where"),
        (json!({ "input": { "table": "t", "segments": 0 } }), "input.segments"),
        (json!({ "input": { "table": "t" }, "split": { "by": "time" } }), "split.attribute"),
        (json!({ "split": { "by": "time", "attribute": "a" } }), "split.attribute"),
        (json!({ "split": { "by": "time", "every": "1 day" } }), "split.every"),
        (json!({ "split": { "by": "feature" } }), "split.attribute"),
        (json!({ "split": { "by": "feature", "attribute": "a", "parts": 0 } }), "split.parts"),
        (json!({ "split": { "parts": 3 } }), "split.parts"),
        (json!({ "batchBytes": 0 }), "batchBytes"),
        (json!({ "batchItems": 0 }), "batchItems"),
        (json!({ "width": 0 }), "width"),
        (json!({ "retries": 8 }), "retries"),
        (json!({ "tolerated": 101 }), "tolerated"),
        (json!({ "timeout": 0 }), "timeout"),
        (json!({ "readUnits": 0 }), "readUnits"),
        (json!({ "outputFormat": "xml" }), "outputFormat"),
        (json!({ "comand": ["cat"] }), "comand"),
    ] {
        let mut parameters = good.clone();
        parameters.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        match engine.submit(None, "map", parameters).await {
            Err(JobError::Refused(refusal)) => {
                assert_eq!(refusal.field, format!("parameters.{field}"), "{change}");
            }
            other => panic!("{change}: {other:?}"),
        }
    }
    let refused = engine.submit(None, "map", json!([])).await.unwrap_err();
    assert!(matches!(refused, JobError::Refused(refusal) if refusal.field == "parameters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_at_a_time_writes_an_output() {
    let world = World::start().await;
    let input = world.file("in.jsonl", numbers(0..3));
    let parameters = lines_of(&input, &world.path("out"), &json!(["cat"]));
    let engine = world.engine();
    let first = engine.submit(None, "map", parameters.clone()).await.unwrap();
    engine.plan(&first.job_id).await.unwrap();
    let second = engine.submit(None, "map", parameters).await.unwrap();
    let step = engine.plan(&second.job_id).await.unwrap();
    assert!(
        matches!(&step, nextbasket_job_engine::engine::Step::Locked { name, .. } if name.ends_with("/out")),
        "{step:?}"
    );
    let estimate = run(&engine, lines_of(&input, &world.path("other"), &json!(["cat"]))).await;
    assert_eq!(result(&estimate)["done"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_file_without_a_first_line_fails_by_name_and_is_not_held_in_memory() {
    let world = World::start().await;
    // 64 MB in 64 KB.
    let input = world.file("in/bomb.csv.gz", gzip(&vec![b'a'; 64 << 20]));
    let job = world
        .run(json!({
            "input": { "files": input, "format": "csv" },
            "command": ["cat"],
            "output": world.path("out"),
            "retries": 0,
        }))
        .await;
    assert_eq!(job.state, JobState::Failed);
    let failure = job.failure.unwrap();
    assert!(failure.contains("the header has more than 1048576 bytes"), "{failure}");
}
