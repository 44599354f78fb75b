//! CSV that is not what it seems: it is refused with line and column, in flat memory, and never read as something else.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod common;

use std::fmt::Write as _;
use std::io::Write as _;

use common::{ID, World};
use nextbasket_job_engine::JobState;
use serde_json::json;

fn rows(numbers: std::ops::Range<u32>, end: &str) -> String {
    numbers.fold(String::new(), |mut rows, n| {
        let _ = write!(rows, "{n},text {n}{end}");
        rows
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_in_the_wrong_place_fails_with_line_and_column_and_swallows_no_row() {
    let world = World::start().await;
    let (before, after) = (rows(0..500, "\n"), rows(501..1_000, "\n"));
    for (n, (row, gzip, problem)) in [
        ("500,\"open\n", false, "line 502, column 5: this quote is never closed"),
        ("500,\"open\n", true, "line 502, column 5: this quote is never closed"),
        ("500,\"x\"y\n", false, "line 502, column 8: text after the closing quote"),
        (
            "500,\"x\n501,\"y\"\n",
            false,
            "line 503, column 6: text after the closing quote of the field that begins in line 502, column 5",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("table-{n}");
        world.make_table(&table, &ID).await;
        let content = format!("id:S,text:S\n{before}{row}{after}");
        let file = world.path(if gzip { "broken.csv.gz" } else { "broken.csv" });
        std::fs::write(&file, if gzip { packed(content.as_bytes()) } else { content.into_bytes() }).unwrap();
        let failure = world.failed("restore", json!({ "from": file, "table": table })).await;
        assert!(failure.contains(problem) && failure.contains("broken.csv"), "{failure}");
        for item in world.items(&table).await {
            assert!(item["text"].len() < 20, "a row was swallowed: {item:?}");
        }
        let verified = world.done("verify", json!({ "dump": file, "table": table })).await;
        assert_eq!(verified["equal"], false, "{verified}");
        assert!(verified["problems"].to_string().contains(problem), "{verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_any_line_ends_that_is_killed_and_resumed_is_restored_whole() {
    let world = World::start().await;
    for (seed, end) in [(1, "\r"), (2, "\r\n"), (3, "\n")] {
        let table = format!("ends-{seed}");
        world.make_table(&table, &ID).await;
        let file = world.path("ends.csv");
        let quoted = format!("3000,\"two{end}lines\"{end}{end}");
        let content = format!("id:S,text:S{end}{}{quoted}{}", rows(0..3_000, end), rows(3_001..6_000, end));
        std::fs::write(&file, content).unwrap();
        let parameters = json!({ "from": file, "table": table });
        let (job, kills) = world.run_with_kills(&world.engine(), "restore", parameters, seed, 300).await;
        assert_eq!(job.state, JobState::Succeeded, "{end:?}: {:?}", job.failure);
        assert!(kills > 0, "{end:?}: it was never killed");
        assert_eq!(job.result.unwrap()["lines"], 6_000, "{end:?}");
        assert_eq!(world.items(&table).await.len(), 6_000, "{end:?}");
    }
}

/// The most memory that the process had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A compressed file with a field of a gigabyte, quoted or not, between two rows.
fn huge(quote: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(format!("id:S,text:S\n1,one\n2,{quote}").as_bytes()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..1_024 {
        encoder.write_all(&piece).unwrap();
    }
    encoder.write_all(format!("{quote}\n3,three\n").as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_beyond_every_item_is_refused_by_its_line_in_flat_memory() {
    let world = World::start().await;
    for (n, quote) in ["", "\""].into_iter().enumerate() {
        let table = format!("huge-{n}");
        world.make_table(&table, &ID).await;
        let file = world.path("huge.csv.gz");
        let content = huge(quote);
        assert!(content.len() < 8 << 20);
        std::fs::write(&file, content).unwrap();
        let result = world.done("restore", json!({ "from": file, "table": table })).await;
        assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(1)), "{result}");
        assert_eq!(world.items(&table).await.len(), 2);
    }
    assert!(peak() < 400, "{} MB", peak());
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_have_limits() {
    let world = World::start().await;
    world.make_table("wide", &ID).await;
    let file = world.path("wide.csv");
    let columns: String = (0..1_001).map(|n| format!(",c{n}:S")).collect();
    for (header, problem) in [
        (format!("id:S{columns}"), "line 1: more than 1000 columns"),
        (format!("id:S,{}:S", "x".repeat(9 << 20)), "line 1: the header has more than 8388608 bytes"),
        (",".repeat(7 << 20), "line 1: more than 1000 columns"),
    ] {
        std::fs::write(&file, format!("{header}\na\n")).unwrap();
        let failure = world.failed("restore", json!({ "from": file, "table": "wide" })).await;
        assert!(failure.contains(problem), "{failure}");
    }
    // A row of commas is refused by their number.
    std::fs::write(&file, format!("id:S,n:N\na,1\n{}\nb,2\n", ",".repeat(7 << 20))).unwrap();
    let result = world.done("restore", json!({ "from": file, "table": "wide" })).await;
    assert_eq!((&result["written"], &result["refused"]), (&json!(2), &json!(1)), "{result}");
}
