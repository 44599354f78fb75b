//! Stage `split`: a file to chunks of whole records, and its refused lines.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Progress, Work, WorkError};
use nextbasket_domain::{Product, Purchase};
use nextbasket_importer::{ImportError, Options, Summary, read_products, read_purchases};
use nextbasket_job_io::files::read::BlockingPieces;
use nextbasket_job_io::files::{FileError, Files, FoundFile};
use serde_json::json;
use tokio::sync::mpsc;

use super::chunk::{self, Records};
use super::parameters::{Holds, Parameters};
use super::refusals::Sink;
use super::result::FileResult;
use crate::settings::Settings;

/// How often the lines read so far are told.
const TELL: Duration = Duration::from_secs(2);

/// Tells the thread that reads, when it is dropped, that nobody wants the file any more.
struct Reading {
    stop: Arc<AtomicBool>,
    lines: Arc<AtomicU64>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Fails once it is told to.
struct Stoppable {
    pieces: BlockingPieces,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("nobody wants the file any more"));
        }
        self.pieces.read(into)
    }
}

/// What a file holds.
struct Content {
    purchases: Vec<Purchase>,
    products: Vec<Product>,
    summary: Summary,
}

/// Reads the batch's file. It cannot be gone on with in the middle, so each attempt begins at its beginning and leaves
/// the same chunks and the same refused lines.
pub(super) async fn work(
    work: &mut Work,
    parameters: &Parameters,
    settings: &Settings,
) -> Result<Outcome, WorkError> {
    let file: FoundFile = work.input()?;
    let name = file.at.to_string();
    let options = parameters
        .options(work.job().created_at)
        .map_err(|refusal| WorkError::Failed(refusal.to_string()))?;
    work.progress = Progress::default();
    let files = Files::new(work.site().objects.client().clone());
    let pieces = files.open(&file, 0..file.bytes).await?.into_blocking();
    let reading = Reading { stop: Arc::default(), lines: Arc::default() };
    let (sender, mut refused) = mpsc::channel(1);
    let thread = {
        let reader = Stoppable { pieces, stop: reading.stop.clone() };
        let (sink, lines, holds) = (Sink::new(name.clone(), sender), reading.lines.clone(), parameters.kind);
        tokio::task::spawn_blocking(move || read(reader, holds, &options, sink, &lines))
    };
    let mut refused_files = 0;
    loop {
        let next = tokio::time::timeout(TELL, refused.recv()).await;
        match next {
            Ok(Some(content)) => {
                let key = refused_key(work, refused_files);
                work.site().objects.put(&key, content).await?;
                refused_files += 1;
            }
            Ok(None) => break,
            Err(_) => {
                work.progress.processed = reading.lines.load(Ordering::Relaxed);
                if work.save(&()).await? == Go::Stop {
                    return Ok(Outcome::Stopped);
                }
            }
        }
    }
    let read =
        thread.await.map_err(|error| WorkError::Failed(format!("{name}: reading crashed: {error}")))?;
    let Content { purchases, products, summary } = match read {
        Ok(read) => read,
        Err(ReadError::File(error)) => return Err(error.into()),
        Err(ReadError::Import(error)) => return Err(WorkError::Failed(format!("{name}: {error}"))),
    };
    let Summary { records, taken, .. } = summary;
    let refused_records = summary.refused_records();
    work.progress =
        Progress { processed: records, matched: taken, refused: refused_records, ..Progress::default() };
    let width = settings.width();
    let users: Vec<_> = if parameters.histories {
        purchases
            .iter()
            .map(|purchase| purchase.user_id.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    } else {
        Vec::new()
    };
    let mut chunks = Vec::new();
    let items = parameters.batch_items(products.len(), width);
    chunks.extend(chunk::write(work, Records::Products, products, items).await?);
    let items = parameters.batch_items(purchases.len(), width);
    chunks.extend(chunk::write(work, Records::Purchases, purchases, items).await?);
    let items = parameters.batch_items(users.len(), width);
    chunks.extend(chunk::write(work, Records::Users, users, items).await?);
    Outcome::done(&FileResult {
        source: name,
        text: summary.to_string(),
        broken_off: summary.ended_early.clone(),
        records,
        taken,
        refused: refused_records,
        summary: json!(summary),
        chunks,
    })
}

/// Sorts as the engine's own names do, and is the same for every attempt.
fn refused_key(work: &Work, number: u32) -> String {
    let task = work.task();
    work.job_object(&format!("refused/{:06}-{:08}-{number:08}.jsonl", task.stage, task.batch))
}

enum ReadError {
    File(FileError),
    Import(ImportError),
}

fn read(
    mut reader: Stoppable,
    holds: Holds,
    options: &Options,
    mut sink: Sink,
    lines: &AtomicU64,
) -> Result<Content, ReadError> {
    let mut told = |progress: nextbasket_importer::Progress| lines.store(progress.lines, Ordering::Relaxed);
    let result = match holds {
        Holds::Purchases => read_purchases(&mut reader, options, &mut sink, &mut told).map(|import| {
            Content { purchases: import.purchases, products: import.products, summary: import.summary }
        }),
        Holds::Products => read_products(&mut reader, options, &mut sink, &mut told).map(|catalogue| {
            Content { purchases: Vec::new(), products: catalogue.products, summary: catalogue.summary }
        }),
    };
    // To the importer a connection that breaks is a file that breaks off.
    match reader.pieces.failure() {
        Some(error) => Err(ReadError::File(error)),
        None => result.map_err(ReadError::Import),
    }
}
