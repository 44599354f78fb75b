//! The differences, into one file.

use std::io::Write;

use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::{AtomicFile, Files, Location, ObjectError, ObjectWriter, WrittenParts};
use serde::{Deserialize, Serialize};

use crate::diff::buckets::Tally;
use crate::diff::compare::Compared;

/// A part of the object. S3 accepts parts of 5 MiB and more.
const PART: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WriteInput {
    pub compared: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Written {
    pub tally: Tally,
}

pub(crate) async fn work(work: &mut Work, files: &Files, output: &Location) -> Result<Outcome, WorkError> {
    let input: WriteInput = work.input()?;
    let compared: Vec<Compared> = work.read_json(&input.compared).await?;
    let tally = compared.iter().map(|compared| compared.tally).sum();
    let objects: Vec<String> = compared.into_iter().filter_map(|compared| compared.object).collect();
    match output {
        Location::Path(path) => {
            let io =
                |error: std::io::Error| WorkError::from(ObjectError::from_io(&output.to_string(), &error));
            let mut file = AtomicFile::create(path).map_err(io)?;
            for object in &objects {
                let content = work.site().objects.get(object).await?;
                file.write_all(&content).map_err(io)?;
            }
            // Syncing to the disk may take a while.
            let published = tokio::task::spawn_blocking(move || file.publish()).await;
            published.map_err(|error| WorkError::Failed(error.to_string()))?.map_err(io)?;
        }
        Location::Object { bucket, key } => {
            // One that is cut off is begun anew.
            let mut writer = ObjectWriter::new(files.bucket(bucket), key, WrittenParts::default());
            let mut held = Vec::new();
            for object in &objects {
                held.extend(work.site().objects.get(object).await?);
                if held.len() >= PART {
                    writer.write_part(std::mem::take(&mut held)).await?;
                }
            }
            writer.finish(held).await?;
        }
    }
    Outcome::done(&Written { tally })
}
