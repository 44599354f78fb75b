//! A data file's lines, read as a restore reads them.

use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use nextbasket_jobs_dump::Format;
use nextbasket_jobs_dump::records::{Piece, Record, Records};
use nextbasket_objects::{Files, Location};

use crate::world::RUNTIME;

/// A folder of this process, in a memory file system if there is one.
pub(crate) static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());

static FILE: Mutex<()> = Mutex::new(());

/// Access to local files: the S3 client is never called.
pub(crate) fn files() -> Files {
    let config = aws_sdk_s3::Config::builder().behavior_version_latest().build();
    Files::new(aws_sdk_s3::Client::from_conf(config))
}

/// Passes each record to `each`.
pub(crate) fn read(content: &[u8], format: Format, mut each: impl FnMut(Record)) -> Result<(), String> {
    let _alone = FILE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path: PathBuf = FOLDER.path().join("data");
    std::fs::write(&path, content).unwrap();
    let files = files();
    RUNTIME.block_on(async {
        let found = files.list(&Location::Path(path)).await.map_err(|error| error.to_string())?;
        let mut records =
            Records::open(&files, &found[0], format, 0).await.map_err(|error| error.to_string())?;
        loop {
            match records.next().await.map_err(|error| error.to_string())? {
                Piece::Chunk(chunk) => chunk.into_iter().for_each(&mut each),
                Piece::End { md5, bytes } => {
                    assert_eq!(bytes, content.len() as u64);
                    assert!(md5.is_some());
                    return Ok(());
                }
            }
        }
    })
}
