//! Stage `gather`: the batches' results in order into one output, and beside it a manifest with those that failed.

use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Progress, Work, WorkError};
use nextbasket_objects::{ResumableOutput, WrittenParts};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::batch_output::BatchOutput;
use crate::parameters::{MapTask, OutputFormat};
use crate::records::{RecordFormat, Splitter, trimmed};

/// How the manifest is called: the output's name and this.
pub(crate) const MANIFEST: &str = ".manifest.json";
/// Failures that the job's result names; the manifest names all.
const NAMED: usize = 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub name: String,
    pub batch: u32,
    pub reason: String,
}

/// What there is to gather, in an object of the job's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct OutputIndex {
    pub outputs: Vec<BatchOutput>,
    pub failed: Vec<Failed>,
    pub records: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GatherInput {
    pub index: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// How many outputs are written whole.
    outputs: usize,
    /// And how many pieces of the next one.
    pieces: usize,
    /// The first record of the first output: the names of the columns.
    columns: Option<Vec<u8>>,
    /// Whether the last byte written was the end of a line.
    open_line: bool,
    /// Outputs that begin with other columns.
    other_columns: Vec<String>,
    #[serde(rename = "place")]
    written: WrittenParts,
    /// What the batch leaves, once the output is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
}

pub(crate) async fn work(work: &mut Work, task: &MapTask) -> Result<Outcome, WorkError> {
    let input: GatherInput = work.input()?;
    let index: OutputIndex = work.read_json(&input.index).await?;
    let mut at: Checkpoint = work.checkpoint()?.unwrap_or_default();
    if let Some(result) = &at.result {
        return Outcome::done(result);
    }
    let total: u64 = index.outputs.iter().map(|output| output.bytes).sum();
    let files = work.site().objects.files();
    let run = work.job().job_id.as_str();
    let mut target = ResumableOutput::open(&files, &task.output, run, at.written.clone(), total).await?;
    work.progress =
        Progress { processed: count(at.outputs), matched: count(at.outputs), ..Progress::default() };
    while let Some(output) = index.outputs.get(at.outputs) {
        let piece = match (output.pieces.get(at.pieces), &output.small) {
            (Some(piece), _) => Some(work.site().objects.get(&piece.key).await?),
            (None, Some(small)) if at.pieces == 0 => Some(small.clone().into_bytes()),
            _ => None,
        };
        match piece {
            Some(piece) => {
                let piece = joined(&mut at, output, task, piece);
                at.pieces += 1;
                target.push(piece);
            }
            None => {
                (at.outputs, at.pieces) = (at.outputs + 1, 0);
                work.progress.processed = count(at.outputs);
                work.progress.matched = count(at.outputs);
            }
        }
        if target.is_full() {
            at.written = target.write().await?;
            if work.save(&at).await? == Go::Stop {
                return Ok(Outcome::Stopped);
            }
        } else if work.must_stop() {
            return Ok(Outcome::Stopped);
        }
    }
    let bytes = target.finish().await?;
    let (done, failed) = (index.outputs.len(), index.failed.len());
    let manifest = json!({
        "jobId": work.job().job_id,
        "output": task.output,
        "bytes": bytes,
        "records": index.records,
        "batches": done + failed,
        "done": done,
        "failed": index.failed,
        "otherColumns": at.other_columns,
    });
    let manifest_at = task.output.with_suffix(MANIFEST);
    files.write(&manifest_at, serde_json::to_vec_pretty(&manifest)?).await?;
    at.result = Some(json!({
        "output": task.output,
        "manifest": manifest_at,
        "bytes": bytes,
        "records": index.records,
        "batches": done + failed,
        "done": done,
        "failed": failed,
        "failures": index.failed.iter().take(NAMED).collect::<Vec<_>>(),
        "otherColumns": at.other_columns.len(),
    }));
    if work.save(&at).await? == Go::Stop {
        return Ok(Outcome::Stopped);
    }
    Outcome::done(&at.result)
}

/// The piece as it is put behind what is written: without the names of the columns if they stand there already, and
/// behind a line end if the output before it had none.
fn joined(at: &mut Checkpoint, output: &BatchOutput, task: &MapTask, piece: Vec<u8>) -> Vec<u8> {
    let begins = at.pieces == 0;
    let mut piece = piece;
    if begins && task.output_format == OutputFormat::Csv {
        // A command may write quotes as it likes: its first line is then what it is.
        let end = Splitter::new(task.format_of_output())
            .end(&piece)
            .unwrap_or_else(|_| piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1));
        let end = end.unwrap_or(piece.len());
        let first = trimmed(piece.get(..end).unwrap_or_default()).to_vec();
        match &at.columns {
            None => at.columns = Some(first).filter(|first| !first.is_empty()),
            Some(columns) if *columns == first => drop(piece.drain(..end)),
            Some(_) => at.other_columns.push(output.name.clone()),
        }
    }
    if piece.is_empty() {
        return piece;
    }
    let separate = begins && at.open_line && task.output_format != OutputFormat::Text;
    at.open_line = piece.last() != Some(&b'\n');
    if separate {
        piece.insert(0, b'\n');
    }
    piece
}

impl MapTask {
    fn format_of_output(&self) -> RecordFormat {
        match self.format() {
            csv @ RecordFormat::Csv { .. } => csv,
            RecordFormat::Jsonl => RecordFormat::Csv { delimiter: b',', header: true },
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
