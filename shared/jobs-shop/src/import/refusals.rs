//! What an import refuses, in the job's refused files.
//!
//! There a line is `{"refused": {"file", "line", "field", "message", "record"}, "reason"}`, as for all jobs.

use std::io::{self, Write};

use nextbasket_job_engine::{Work, WorkError};
use serde_json::{Map, Value, json};

/// A file of refused lines ends with the line that makes it this long.
const FILE_BYTES: usize = 4 << 20;

/// A refused line with everything beside the reason: `{"line", "reason", "field", "message", "record", …}`, as people
/// are given it who imported one file. `None` if it is not a refused line.
pub fn flat(line: &str) -> Option<String> {
    let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { return None };
    let Some(Value::Object(mut refused)) = line.remove("refused") else { return None };
    refused.insert("reason".to_owned(), line.remove("reason")?);
    Some(Value::Object(refused).to_string())
}

/// Collects the importer's refusals as lines of the job's refused files.
pub(crate) struct Refused {
    file: String,
    line: Vec<u8>,
    content: Vec<u8>,
}

impl Refused {
    pub(crate) fn new(file: String) -> Self {
        Self { file, line: Vec::new(), content: Vec::new() }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let mut refused: Map<String, Value> = serde_json::from_slice(&self.line)?;
        self.line.clear();
        let reason = refused.remove("reason");
        refused.insert("file".to_owned(), Value::String(self.file.clone()));
        serde_json::to_writer(&mut self.content, &json!({ "refused": refused, "reason": reason }))?;
        self.content.push(b'\n');
        Ok(())
    }

    /// Whether there are enough to be written.
    pub(crate) fn is_full(&self) -> bool {
        self.content.len() >= FILE_BYTES
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.content)
    }
}

impl Write for Refused {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes refused lines as the batch's file of this number. The names sort like the engine's own, and every attempt
/// writes the same lines under the same name.
pub(crate) async fn put(work: &Work, number: &mut u32, content: Vec<u8>) -> Result<(), WorkError> {
    if content.is_empty() {
        return Ok(());
    }
    let task = work.task();
    let key = work.job_object(&format!("refused/{:06}-{:08}-{number:08}.jsonl", task.stage, task.batch));
    work.site().objects.put(&key, content).await?;
    *number += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_importers_lines_come_out_as_refused_lines_in_files_of_some_megabytes() {
        let mut refused = Refused::new("orders.csv".to_owned());
        let line = json!({ "line": 7, "reason": "bad_time", "field": "when", "message": "m", "record": "x".repeat(900) });
        let mut contents = Vec::new();
        for _ in 0..6_000 {
            writeln!(refused, "{line}").unwrap();
            if refused.is_full() {
                contents.push(String::from_utf8(refused.take()).unwrap());
            }
        }
        contents.push(String::from_utf8(refused.take()).unwrap());
        assert_eq!(contents.len(), 2);
        let lines: Vec<&str> = contents.iter().flat_map(|content| content.lines()).collect();
        assert_eq!(lines.len(), 6_000);
        let mut flat: Value = serde_json::from_str(&flat(lines[5_999]).unwrap()).unwrap();
        assert_eq!(flat.as_object_mut().unwrap().remove("file"), Some(json!("orders.csv")));
        assert_eq!(flat, line);
    }

    #[test]
    fn what_is_no_refused_line_is_none() {
        for line in ["", "[]", "{}", r#"{"refused": 1, "reason": "x"}"#, r#"{"refused": {}}"#] {
            assert_eq!(flat(line), None, "{line}");
        }
    }
}
