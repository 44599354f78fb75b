//! The embedded DynamoDB: dynoxide over SQLite, served on loopback by threads of its own, to clients that sign with
//! the machine's access key.

mod clients;
mod consumed;
mod front;
mod operations;
mod tables;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dynoxide::Database;
use tokio::time::MissedTickBehavior;

use crate::access::AccessKey;
use crate::door::{ConnectionLimits, Door, Entrance};
use crate::listen::{ListenError, Listening};
use crate::server::{ServerThreads, Threads};

use front::DynamoDbState;

pub use clients::{REGION, patient, sdk_config};
pub use consumed::{Consumed, ConsumedUnits};
pub use tables::{TableSetupError, create_tables};
pub(crate) use upkeep::{records_after, trim};

/// SQLite's message for a full disk. DynamoDB and S3 of the machine answer with it.
pub const FULL_DISK: &str = "database or disk is full";

/// How often expired items are looked for. AWS takes days at most; here a minute.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);

/// The database's own schema makes every stream write read all earlier records; this index ends that.
const STREAM_INDEX: &str = "CREATE INDEX IF NOT EXISTS nextbasket_stream_order \
     ON _stream_records(table_name, CAST(sequence_number AS INTEGER))";

/// Where the tables' items live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Gone when the database stops.
    Memory,
    /// An SQLite file, made if it is not there.
    File(PathBuf),
}

/// A running embedded DynamoDB. Dropping it stops it as [`DynamoDb::stop`] does.
pub struct DynamoDb {
    storage: Storage,
    // Closed before the server is waited for.
    database: Option<Database>,
    server: ServerThreads,
    consumed: Consumed,
}

impl DynamoDb {
    /// Opens the storage and listens on `address`, which must be a loopback address; port 0 takes any free one.
    pub fn start(storage: Storage, address: SocketAddr, key: &AccessKey) -> Result<Self, DynamoDbError> {
        Self::serve(storage, Listening::on(address)?, key, ConnectionLimits::default(), SWEEP)
    }

    /// Like [`DynamoDb::start`], on a listener that is already bound; expired items are looked for `every` so often.
    pub(crate) fn serve(
        storage: Storage,
        listening: Listening,
        key: &AccessKey,
        limits: ConnectionLimits,
        every: Duration,
    ) -> Result<Self, DynamoDbError> {
        let database = open(&storage)?;
        let served = database.clone();
        let file = match &storage {
            Storage::File(file) => Some(file.clone()),
            Storage::Memory => None,
        };
        let consumed = Consumed::default();
        let front = DynamoDbState {
            database: database.clone(),
            key: key.clone(),
            address: listening.address(),
            consumed: consumed.clone(),
        };
        let threads = Threads { name: "dynamodb", count: 2, server: "the local DynamoDB" };
        let no_thread = |source| DynamoDbError::Thread { source };
        let door = Door { entrance: Entrance::Signed(key.id().to_owned()), limits, refusal: front::refusal };
        let server = ServerThreads::start(&threads, listening, no_thread, move |listener, stopped| {
            tokio::spawn(sweep(served, file, every));
            let front = Arc::new(front);
            door.serve(listener, stopped, move |request, _| front::answer(Arc::clone(&front), request))
        });
        Ok(DynamoDb { storage, database: Some(database), server: server?, consumed })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What calls have consumed.
    #[must_use]
    pub fn consumed(&self) -> &Consumed {
        &self.consumed
    }

    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// While on, a commit does not wait for the disk: some ten times faster, safe against the process being killed,
    /// not against the machine losing power. Turning it off writes everything to disk once; from then on until the
    /// next start, power loss can take the last commits, but never leaves the file broken.
    pub fn set_bulk_loading(&self, on: bool) -> Result<(), DynamoDbError> {
        let Some(database) = &self.database else { return Ok(()) };
        if on {
            return database.enable_bulk_loading().map_err(|e| DynamoDbError::Storage(e.to_string()));
        }
        database.disable_bulk_loading().map_err(|e| DynamoDbError::Storage(e.to_string()))?;
        match &self.storage {
            Storage::Memory => Ok(()),
            Storage::File(file) => upkeep::flush(file).map_err(|e| DynamoDbError::Storage(e.to_string())),
        }
    }

    /// Lets running requests finish and closes the storage.
    pub async fn stop(&mut self) {
        self.database = None;
        self.server.stop().await;
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DynamoDbError {
    #[error("database {path} cannot be opened: {reason}")]
    Open {
        /// The file, or `memory`.
        path: String,
        reason: String,
    },
    #[error("database: {0}")]
    Storage(String),
    #[error("DynamoDB endpoint: {0}")]
    Listen(#[from] ListenError),
    #[error("DynamoDB endpoint: cannot start its threads: {source}")]
    Thread { source: std::io::Error },
}

fn open(storage: &Storage) -> Result<Database, DynamoDbError> {
    // The index needs a second connection, and only a named memory database can have one.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = match storage {
        Storage::Memory => {
            let serial = NEXT.fetch_add(1, Ordering::Relaxed);
            format!("file:nextbasket-{}-{serial}?mode=memory&cache=shared", std::process::id())
        }
        Storage::File(path) => text_of(path)?,
    };
    let failed = |reason: String| {
        // The database may report a full disk in other words.
        let full = matches!(storage, Storage::File(file) if upkeep::is_disk_full(file));
        let reason = if full { FULL_DISK.to_owned() } else { reason };
        DynamoDbError::Open { path: path.clone(), reason }
    };
    if let Storage::File(file) = storage
        && file.metadata().is_ok_and(|found| found.len() > 0)
    {
        upkeep::finish_table_changes(file).map_err(|e| failed(e.to_string()))?;
    }
    let database = Database::new(&path).map_err(|e| failed(e.to_string()))?;
    let second = rusqlite::Connection::open(&path).map_err(|e| failed(e.to_string()))?;
    second.execute_batch(STREAM_INDEX).map_err(|e| failed(e.to_string()))?;
    if !upkeep::overwrites_deleted(&second) {
        tracing::warn!(
            "this program was built without the flags of .cargo/config.toml: what is deleted may stay in the data \
             folder's files until its place is used again"
        );
    }
    Ok(database)
}

fn text_of(path: &Path) -> Result<String, DynamoDbError> {
    path.to_str().map(str::to_owned).ok_or_else(|| DynamoDbError::Open {
        path: path.display().to_string(),
        reason: "the path is not UTF-8".to_owned(),
    })
}

/// Removes items that have expired, at once and then every so often, for as long as the runtime lives; and empties the
/// log of what was deleted.
async fn sweep(database: Database, file: Option<PathBuf>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(items)) => tracing::debug!(items, "expired items were removed"),
            Ok(Err(e)) => tracing::warn!(error = %e, "expired items could not be removed"),
        }
        let Some(file) = file.clone() else { continue };
        if let Ok(Err(e)) = tokio::task::spawn_blocking(move || upkeep::empty_log(&file)).await {
            tracing::debug!(error = %e, "the database's log was not emptied");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::template::Template;

    const TEMPLATE: &str = r#"
Resources:
  Locks:
    Type: AWS::DynamoDB::Table
    Properties:
      TimeToLiveSpecification: { AttributeName: expireAt, Enabled: true }
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
"#;

    #[tokio::test]
    async fn expired_items_are_looked_for_again_and_again() {
        let key = AccessKey::random();
        let signing = key.clone();
        let start = move || {
            let listening = Listening::on("127.0.0.1:0".parse().unwrap()).unwrap();
            let every = Duration::from_millis(20);
            DynamoDb::serve(Storage::Memory, listening, &signing, ConnectionLimits::default(), every).unwrap()
        };
        let database = tokio::task::spawn_blocking(start).await.unwrap();
        let client = Client::new(&sdk_config(&database.endpoint_url(), &key));
        create_tables(&client, &Template::parse(TEMPLATE, "t").unwrap().tables).await.unwrap();
        for round in 0..3 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let item = client.put_item().table_name("t-Locks");
            let item = item.item("pk", AttributeValue::S(round.to_string()));
            item.item("expireAt", AttributeValue::N((now - 1).to_string())).send().await.unwrap();
            let begin = Instant::now();
            while client.scan().table_name("t-Locks").send().await.unwrap().count() > 0 {
                assert!(begin.elapsed() < Duration::from_secs(30), "round {round}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
