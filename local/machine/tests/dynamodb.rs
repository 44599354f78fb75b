//! The embedded DynamoDB: tables, durability, errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod support;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_machine::dynamodb::{DynamoDb, DynamoDbError, Storage, TableSetupError, create_tables};
use nextbasket_machine::template::Template;
use nextbasket_machine::{AccessKey, ListenError, Machine, MachineError, MachineOptions};
use support::{client, machine, put, put_many, template};

fn on_disk(folder: &std::path::Path) -> MachineOptions {
    MachineOptions { data: Some(folder.to_owned()), ..MachineOptions::in_memory(template(""), "t") }
}

#[tokio::test]
async fn making_the_tables_again_changes_nothing() {
    let machine = machine("").await;
    let client = client(&machine);
    put(&client, "anna", "1").await;
    create_tables(&client, &machine.template().tables).await.unwrap();
    assert_eq!(client.scan().table_name("t-orders").send().await.unwrap().count(), 1);
    let ttl = client.describe_time_to_live().table_name("t-locks").send().await.unwrap();
    assert_eq!(ttl.time_to_live_description().unwrap().attribute_name(), Some("expiresAt"));
}

#[tokio::test]
async fn a_table_of_another_shape_is_refused() {
    let machine = machine("").await;
    for (from, to, wanted) in [
        ("AttributeName: order,", "AttributeName: number,", "key"),
        ("ProjectionType: ALL", "ProjectionType: KEYS_ONLY", "set of indexes"),
        ("NEW_AND_OLD_IMAGES", "NEW_IMAGE", "stream"),
    ] {
        let other = Template::parse(&template("").replace(from, to), "t").unwrap();
        match create_tables(&client(&machine), &other.tables).await {
            Err(TableSetupError::OtherShape { table, part }) => {
                assert_eq!((table.as_str(), part), ("t-orders", wanted));
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_table_of_a_version_before_gets_the_indexes_that_are_new() {
    let dir = tempfile::tempdir().unwrap();
    let whole = template("");
    let start = whole.find("      GlobalSecondaryIndexes:").unwrap();
    let end = start + whole[start..].find("  ShopFunction:").unwrap();
    let without = format!("{}{}", &whole[..start], &whole[end..]);
    let without = without.replace("        - { AttributeName: kind, AttributeType: N }\n", "");
    let before =
        MachineOptions { data: Some(dir.path().to_owned()), ..MachineOptions::in_memory(without, "t") };
    let machine = Machine::start(before).await.unwrap();
    let lock = client(&machine).put_item().table_name("t-locks");
    let lock = lock.item("pk", AttributeValue::S("a".to_owned()));
    let lock = lock.item("kind", AttributeValue::N("7".to_owned()));
    lock.item("owner", AttributeValue::S("anna".to_owned())).send().await.unwrap();
    machine.stop().await.unwrap();
    for _ in 0..2 {
        let machine = Machine::start(on_disk(dir.path())).await.unwrap();
        let found = client(&machine)
            .query()
            .table_name("t-locks")
            .index_name("byKind")
            .key_condition_expression("kind = :kind")
            .expression_attribute_values(":kind", AttributeValue::N("7".to_owned()))
            .send()
            .await
            .unwrap();
        assert_eq!(found.items()[0]["owner"], AttributeValue::S("anna".to_owned()));
        machine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_keeps_its_items_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = Machine::start(on_disk(dir.path())).await.unwrap();
    put(&client(&first), "anna", "1").await;
    first.announce("127.0.0.1:1".parse().unwrap(), nextbasket_machine::folder::Role::default()).unwrap();
    first.stop().await.unwrap();
    assert!(!dir.path().join("server.json").exists());
    let second = Machine::start(on_disk(dir.path())).await.unwrap();
    assert_eq!(client(&second).scan().table_name("t-orders").send().await.unwrap().count(), 1);
}

/// Changes the closed database of the folder to what a process leaves that is killed between two writes.
fn interrupted(folder: &std::path::Path, sql: &str) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(folder.join("dynamodb.sqlite")).unwrap();
    database.execute_batch(sql).unwrap();
    database
}

#[tokio::test]
async fn a_table_whose_creation_was_killed_is_made_at_the_next_start() {
    let no_stream = "UPDATE _tables SET stream_enabled = 0, stream_view_type = NULL, stream_label = NULL
                     WHERE table_name = 't-orders';";
    let no_index = "DROP TABLE \"t-orders::lsi::byTime\";";
    let no_table = "DROP TABLE \"t-orders\";";
    for parts in [&[no_stream][..], &[no_stream, no_index], &[no_stream, no_index, no_table], &[no_index]] {
        let dir = tempfile::tempdir().unwrap();
        Machine::start(on_disk(dir.path())).await.unwrap().stop().await.unwrap();
        drop(interrupted(dir.path(), &parts.concat()));
        let machine = Machine::start(on_disk(dir.path())).await.unwrap();
        let client = client(&machine);
        put(&client, "anna", "1").await;
        let orders = client.describe_table().table_name("t-orders").send().await.unwrap();
        let orders = orders.table().unwrap();
        assert!(orders.stream_specification().unwrap().stream_enabled(), "{parts:?}");
        assert_eq!(orders.local_secondary_indexes().len(), 1, "{parts:?}");
        machine.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_table_with_items_is_never_removed_at_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::start(on_disk(dir.path())).await.unwrap();
    put(&client(&machine), "anna", "1").await;
    machine.stop().await.unwrap();
    let database = interrupted(dir.path(), "DROP TABLE \"t-orders::lsi::byTime\"");
    let error = Machine::start(on_disk(dir.path())).await.err().unwrap();
    assert!(error.to_string().contains("table t-orders has another set of indexes"), "{error}");
    let items: u32 = database.query_row("SELECT COUNT(*) FROM \"t-orders\"", [], |row| row.get(0)).unwrap();
    assert_eq!(items, 1);
}

#[tokio::test]
async fn a_folder_has_one_machine_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Machine::start(on_disk(dir.path())).await.unwrap();
    let second = Machine::start(on_disk(dir.path())).await.err().unwrap();
    assert!(matches!(second, MachineError::Folder(_)), "{second}");
}

#[tokio::test]
async fn a_write_costs_the_same_after_many_stream_records() {
    let machine = machine("").await;
    let client = client(&machine);
    // The quickest of some tells the cost apart from what else the machine does.
    let quickest = async |n: u32| {
        let mut times = Vec::new();
        for i in 0..n {
            let begin = Instant::now();
            put(&client, "anna", &i.to_string()).await;
            times.push(begin.elapsed());
        }
        times.into_iter().min().unwrap()
    };
    let early = quickest(50).await;
    let begin = Instant::now();
    put_many(&client, 10_000).await;
    let bulk = begin.elapsed();
    let late = quickest(50).await;
    println!("put: {early:?} at first, {late:?} after 10,000; 10,000 in batches of 25: {bulk:?}");
    // Without the index it would be 5 ms more.
    assert!(late < early * 2 + Duration::from_millis(1), "{early:?} became {late:?}");
}

#[tokio::test]
async fn bulk_loading_can_be_turned_on_and_off_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::start(on_disk(dir.path())).await.unwrap();
    machine.dynamodb().set_bulk_loading(true).unwrap();
    put_many(&client(&machine), 500).await;
    machine.dynamodb().set_bulk_loading(false).unwrap();
    put(&client(&machine), "anna", "1").await;
    drop(machine);
    let again = Machine::start(on_disk(dir.path())).await.unwrap();
    let count =
        client(&again).scan().table_name("t-orders").select("COUNT".into()).send().await.unwrap().count();
    assert_eq!(count, 501);
}

#[tokio::test]
async fn an_item_that_has_expired_goes() {
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::start(on_disk(dir.path())).await.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (name, expires) in [("past", now - 10), ("future", now + 1000)] {
        let item = client(&machine).put_item().table_name("t-locks");
        let item = item.item("pk", AttributeValue::S(name.to_owned()));
        item.item("expiresAt", AttributeValue::N(expires.to_string())).send().await.unwrap();
    }
    machine.stop().await.unwrap();
    let again = Machine::start(on_disk(dir.path())).await.unwrap();
    let client = client(&again);
    let begin = Instant::now();
    loop {
        let found = client.scan().table_name("t-locks").send().await.unwrap();
        let names: Vec<_> = found.items().iter().map(|item| item["pk"].as_s().unwrap().as_str()).collect();
        if names == ["future"] {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "{names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let refused = DynamoDb::start(Storage::Memory, address, &AccessKey::random()).err().unwrap();
    assert!(matches!(refused, DynamoDbError::Listen(ListenError::Taken { .. })));
    assert!(refused.to_string().contains(&address.to_string()), "{refused}");
    let open =
        DynamoDb::start(Storage::Memory, "0.0.0.0:0".parse().unwrap(), &AccessKey::random()).err().unwrap();
    assert!(matches!(open, DynamoDbError::Listen(ListenError::NotLoopback { .. })), "{open}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dynamodb.sqlite");
    std::fs::write(&file, "this is a text and no database at all ".repeat(100)).unwrap();
    let refused = DynamoDb::start(Storage::File(file), "127.0.0.1:0".parse().unwrap(), &AccessKey::random())
        .err()
        .unwrap();
    assert!(matches!(refused, DynamoDbError::Open { .. }), "{refused}");
}

/// Needs root for a small file system of its own; says so where it is not to be had.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_is_an_error_and_no_hang() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |args: &[&str]| {
        std::process::Command::new(args[0])
            .args(&args[1..])
            .arg(dir.path())
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs"]) {
        println!("skipped: no small file system can be mounted here");
        return;
    }
    let machine = Machine::start(on_disk(&dir.path().join("data"))).await.unwrap();
    let client = client(&machine);
    let begin = Instant::now();
    let refused = loop {
        let item = client.put_item().table_name("t-orders");
        let item = item
            .item("user", AttributeValue::S("anna".to_owned()))
            .item("order", AttributeValue::S(format!("{:?}", begin.elapsed())))
            .item("lines", AttributeValue::S("x".repeat(50_000)));
        if let Err(e) = item.send().await {
            break e;
        }
    };
    println!("after {:?}: {:?} {:?}", begin.elapsed(), refused.code(), refused.message());
    let read = client.scan().table_name("t-orders").send().await;
    machine.stop().await.unwrap();
    assert!(mount(&["umount"]));
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert!(refused.code().is_some(), "{refused:?}");
    assert!(read.unwrap().count() > 0, "what was written before can still be read");
}
