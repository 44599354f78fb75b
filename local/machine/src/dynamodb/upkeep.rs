//! What the database's file needs now and then, done through a second connection.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};

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

/// Removes stream records of a table that are older than a day and up to the sequence number `done`. The newest one
/// stays: numbers go on from it. Answers how many went.
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
            return Ok(removed);
        }
    }
}
