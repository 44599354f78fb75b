//! What the database's file needs now and then, done through a second connection.
//!
//! [`finish_table_changes`] makes good what dynoxide does without a transaction: to create a table, it writes the table's
//! entry first and then makes a table of SQLite's for the items and one for each index; to delete it, it goes the other
//! way round. A process that is killed in between would leave a table that refuses every write.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Transaction, params};
use serde_json::Value;

/// What dynoxide adds to the numbers that it keeps before it shows them.
const SEQUENCE_NUMBER_OFFSET: u128 = 100_000_000_000_000_000_000;

/// The bytes that SQLite writes to open a database: the index of its log, and a page or two.
const OPEN_BYTES: usize = 64 * 1024;

/// Records that one transaction removes: writers wait for milliseconds, not for the whole.
const CHUNK: u32 = 500;

/// How long the stream keeps a record at least, as on AWS.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Whether the disk of the file lacks the room that an open database needs.
pub(crate) fn is_disk_full(file: &Path) -> bool {
    let probe = || {
        let mut probe = tempfile::tempfile_in(file.parent()?).ok()?;
        probe.write_all(&[1; OPEN_BYTES]).err()
    };
    probe().is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull)
}

/// Finishes what a killed process has left of a table that was being created, changed or deleted. Nobody was told that
/// the change was made: a table without items is removed, and from one with items the index that is not there.
pub(crate) fn finish_table_changes(file: &Path) -> rusqlite::Result<()> {
    let mut connection = open(file)?;
    let transaction = connection.transaction()?;
    if !exists(&transaction, "_tables")? {
        return Ok(());
    }
    let entries: Vec<(String, Option<String>, Option<String>)> = transaction
        .prepare("SELECT table_name, gsi_definitions, lsi_definitions FROM _tables")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (table, global, local) in entries {
        let indexes = [("gsi", global), ("lsi", local)];
        let has_table = exists(&transaction, &table)?;
        let any = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&table));
        let has_items = has_table && transaction.query_row(&any, [], |row| row.get(0))?;
        let mut complete = has_table;
        let mut names = vec![table.clone()];
        for (kind, definitions) in indexes {
            let Some(Value::Array(all)) = definitions.and_then(|text| serde_json::from_str(&text).ok())
            else {
                continue;
            };
            let mut found = Vec::new();
            for definition in &all {
                let name =
                    format!("{table}::{kind}::{}", definition["IndexName"].as_str().unwrap_or_default());
                if exists(&transaction, &name)? {
                    found.push(definition);
                }
                names.push(name);
            }
            if found.len() < all.len() {
                complete = false;
                let update = format!("UPDATE _tables SET {kind}_definitions = ?2 WHERE table_name = ?1");
                let found = (!found.is_empty()).then(|| serde_json::json!(found).to_string());
                transaction.execute(&update, params![table, found])?;
            }
        }
        if complete {
            continue;
        }
        tracing::warn!(table, has_items, "a change of this table was interrupted: it is undone");
        if !has_items {
            for name in names {
                transaction.execute_batch(&format!("DROP TABLE IF EXISTS {}", quoted(&name)))?;
            }
            // Its stream records stay, as after any deletion: a table of the same name continues their numbers.
            transaction.execute("DELETE FROM _tables WHERE table_name = ?1", [&table])?;
        }
    }
    transaction.commit()
}

fn exists(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<bool> {
    let found = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
    transaction.query_row(found, [table], |row| row.get(0))
}

fn quoted(table: &str) -> String {
    format!("\"{}\"", table.replace('"', "\"\""))
}

/// Writes everything that was committed to the disk.
pub(crate) fn flush(file: &Path) -> rusqlite::Result<()> {
    open(file)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    // What was written without waiting for the disk is synced with the file.
    std::fs::File::open(file)
        .and_then(|file| file.sync_all())
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// How many stream records a table has after the sequence number `done`.
pub(crate) fn records_after(file: &Path, table: &str, done: Option<u128>) -> rusqlite::Result<u64> {
    let done = done.and_then(kept_number).unwrap_or(0);
    open(file)?.query_row(
        "SELECT COUNT(*) FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) > ?2",
        params![table, done],
        |row| row.get(0),
    )
}

/// A sequence number in dynoxide's own representation.
fn kept_number(shown: u128) -> Option<i64> {
    shown.checked_sub(SEQUENCE_NUMBER_OFFSET).and_then(|number| i64::try_from(number).ok())
}

/// Removes stream records of a table that are older than a day and up to the sequence number `done`. Of the newest one
/// the number stays, since numbers go on from it, but not what has changed. Answers how many went.
pub(crate) fn trim(file: &Path, table: &str, done: u128, now: SystemTime) -> rusqlite::Result<usize> {
    let done = kept_number(done);
    let oldest = now.checked_sub(RETENTION).and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    let (Some(done), Some(oldest)) = (done, oldest.and_then(|t| i64::try_from(t.as_secs()).ok())) else {
        return Ok(0);
    };
    let connection = open(file)?;
    let mut removed = 0;
    loop {
        let count = connection.execute(
            "DELETE FROM _stream_records WHERE id IN (
                 SELECT id FROM _stream_records
                 WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2 AND created_at < ?3
                   AND CAST(sequence_number AS INTEGER) <
                       (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
                 ORDER BY CAST(sequence_number AS INTEGER) LIMIT ?4)",
            params![table, done, oldest, CHUNK],
        )?;
        removed += count;
        if count == 0 {
            break;
        }
    }
    connection.execute(
        "UPDATE _stream_records SET keys_json = '{}', new_image = NULL, old_image = NULL
         WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) <= ?2 AND created_at < ?3",
        params![table, done, oldest],
    )?;
    Ok(removed)
}

/// Moves what was committed from the log into the file, and empties the log: it holds pages as they were before something
/// was deleted from them. If others use the database meanwhile, that is left to the next time.
pub(crate) fn empty_log(file: &Path) -> rusqlite::Result<()> {
    let log = file.with_file_name(format!("{}-wal", file.file_name().unwrap_or_default().to_string_lossy()));
    if log.metadata().map_or(0, |log| log.len()) == 0 {
        return Ok(());
    }
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_millis(200))?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Whether SQLite overwrites what is deleted. It does if it was built with the flags of this workspace.
pub(crate) fn overwrites_deleted(connection: &Connection) -> bool {
    connection.query_row("PRAGMA secure_delete", [], |row| row.get::<_, i64>(0)).is_ok_and(|on| on == 1)
}
