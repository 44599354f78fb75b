//! What an import refuses, in the job's refused files.
//!
//! There a line is `{"refused": {"file", "line", "field", "message", "record"}, "reason"}`, as for all jobs.

use std::io::{self, Write};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// A file of refused lines ends with the line that makes it this long.
const FILE_BYTES: usize = 4 << 20;

/// A refused line with everything beside the reason: `{"line", "reason", "field", "message", "record", …}`, as people
/// are given it who imported one file. `None` if it is no refused line.
#[must_use]
pub fn flat(line: &str) -> Option<String> {
    let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { return None };
    let Some(Value::Object(mut refused)) = line.remove("refused") else { return None };
    refused.insert("reason".to_owned(), line.remove("reason")?);
    Some(Value::Object(refused).to_string())
}

/// Takes the importer's refusals and gives them on as files of the job.
pub(crate) struct Sink {
    file: String,
    line: Vec<u8>,
    content: Vec<u8>,
    files: mpsc::Sender<Vec<u8>>,
}

impl Sink {
    pub(crate) fn new(file: String, files: mpsc::Sender<Vec<u8>>) -> Self {
        Self { file, line: Vec::new(), content: Vec::new(), files }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let mut refused: Map<String, Value> = serde_json::from_slice(&self.line)?;
        self.line.clear();
        let reason = refused.remove("reason");
        refused.insert("file".to_owned(), Value::String(self.file.clone()));
        serde_json::to_writer(&mut self.content, &json!({ "refused": refused, "reason": reason }))?;
        self.content.push(b'\n');
        if self.content.len() >= FILE_BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> io::Result<()> {
        let content = std::mem::take(&mut self.content);
        let gone = |_| io::Error::other("nobody takes the refused lines any more");
        self.files.blocking_send(content).map_err(gone)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    /// The importer flushes once, at the end.
    fn flush(&mut self) -> io::Result<()> {
        if self.content.is_empty() { Ok(()) } else { self.send() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_importers_lines_come_out_as_refused_lines_in_files_of_some_megabytes() {
        let (files, mut received) = mpsc::channel(10);
        let mut sink = Sink::new("orders.csv".to_owned(), files);
        let line = json!({ "line": 7, "reason": "bad_time", "field": "when", "message": "m", "record": "x".repeat(900) });
        for _ in 0..6_000 {
            writeln!(sink, "{line}").unwrap();
        }
        sink.flush().unwrap();
        drop(sink);
        let mut contents = Vec::new();
        while let Some(content) = received.blocking_recv() {
            contents.push(String::from_utf8(content).unwrap());
        }
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
