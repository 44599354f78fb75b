//! A batch's result: objects of a few megabytes, or a few bytes in place.

use nextbasket_job_engine::{Work, WorkError};
use nextbasket_objects::Bucket;
use serde::{Deserialize, Serialize};

/// Bytes of an object.
const PIECE: usize = 8 << 20;
/// Texts up to this size stand in the batch's own item.
const SMALL: usize = 2_000;

/// How the names of the objects begin.
pub(crate) const OUT: &str = "out-";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub key: String,
    pub bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BatchOutput {
    pub name: String,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<Piece>,
    /// All of it, if it is short and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub small: Option<String>,
}

/// Takes what comes out and holds no more than a piece of it.
pub(crate) struct BatchOutputWriter {
    objects: Bucket,
    base: String,
    buffer: Vec<u8>,
    output: BatchOutput,
}

impl BatchOutputWriter {
    pub(crate) fn new(work: &Work, name: &str) -> Self {
        Self {
            objects: work.site().objects.clone(),
            base: work.own_object(OUT),
            buffer: Vec::new(),
            output: BatchOutput { name: name.to_owned(), ..BatchOutput::default() },
        }
    }

    pub(crate) async fn push(&mut self, mut bytes: &[u8]) -> Result<(), WorkError> {
        while self.buffer.len() + bytes.len() >= PIECE {
            let (now, later) = bytes.split_at_checked(PIECE - self.buffer.len()).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(now);
            bytes = later;
            self.put().await?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<BatchOutput, WorkError> {
        if self.output.pieces.is_empty() && self.buffer.len() <= SMALL {
            match String::from_utf8(std::mem::take(&mut self.buffer)) {
                Ok(text) => {
                    self.output.bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
                    self.output.small = Some(text);
                    return Ok(self.output);
                }
                Err(error) => self.buffer = error.into_bytes(),
            }
        }
        if !self.buffer.is_empty() {
            self.put().await?;
        }
        Ok(self.output)
    }

    async fn put(&mut self) -> Result<(), WorkError> {
        let key = format!("{}{:06}", self.base, self.output.pieces.len());
        let content = std::mem::take(&mut self.buffer);
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.objects.put(&key, content).await?;
        self.output.bytes += bytes;
        self.output.pieces.push(Piece { key, bytes });
        Ok(())
    }
}
