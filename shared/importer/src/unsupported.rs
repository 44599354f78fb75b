//! Files of unsupported formats, which people may take for CSV.

use crate::error::ImportError;

/// Names a form that is not read by how it starts, and what helps.
pub(crate) fn reject_unsupported(start: &[u8]) -> Result<(), ImportError> {
    let is_any = |magics: &[&[u8]]| magics.iter().any(|magic| start.starts_with(magic));
    let (is, advice) = if is_any(&[b"PK\x03\x04"]) {
        ("is a zip archive or a spreadsheet", "Unpack it, or save it as CSV in UTF-8")
    } else if is_any(&[b"\xff\xfe", b"\xfe\xff"]) {
        ("is in UTF-16", "Save it in UTF-8")
    } else if is_any(&[b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ"]) {
        ("has an unsupported compression", "Unpack it first, or use gzip")
    } else if is_any(&[b"PAR1", b"ORC", b"Obj\x01"]) {
        ("is a table in a binary format", "Export it as CSV or JSON Lines")
    } else if start.contains(&0) {
        ("is not text", "Use a CSV or JSON Lines file")
    } else if start.trim_ascii_start().starts_with(b"[") {
        ("is a JSON array", "Write one JSON object per line, as jq -c '.[]' does")
    } else if start.trim_ascii() == b"{" {
        ("is JSON over several lines", "Write one JSON object per line, as jq -c . does")
    } else {
        return Ok(());
    };
    Err(ImportError::Unsupported { is, advice })
}
