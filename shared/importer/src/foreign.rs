//! Files that people take for CSV and are none.

use crate::error::ImportError;

/// Names a form that is not read by how it starts, and what helps.
pub(crate) fn refuse_foreign(start: &[u8]) -> Result<(), ImportError> {
    let is_any = |magics: &[&[u8]]| magics.iter().any(|magic| start.starts_with(magic));
    let (is, advice) = if is_any(&[b"PK\x03\x04"]) {
        ("is a zip archive or a spreadsheet", "unpack it, or save it as CSV in UTF-8")
    } else if is_any(&[b"\xff\xfe", b"\xfe\xff"]) {
        ("is in UTF-16", "save it in UTF-8")
    } else if is_any(&[b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"]) {
        ("is compressed in a way that is not read", "unpack it first, or use gzip")
    } else if is_any(&[b"PAR1", b"ORC", b"Obj\x01"]) {
        ("is a table in a binary form", "export it as CSV or JSON Lines")
    } else if start.contains(&0) {
        ("is not text", "a CSV or JSON Lines file is needed")
    } else if start.trim_ascii_start().starts_with(b"[") {
        ("is a JSON array", "write one JSON object a line, as jq -c '.[]' does")
    } else if start.trim_ascii() == b"{" {
        ("is JSON over several lines", "write one JSON object a line, as jq -c . does")
    } else {
        return Ok(());
    };
    Err(ImportError::Unsupported { is, advice })
}
