//! Files of unsupported formats, which people may take for CSV.

use crate::error::ImportError;

pub(crate) const PARQUET_MAGIC: &[u8] = b"PAR1";

/// A Parquet file, where the reader for them is not part of the program.
pub(crate) const PARQUET: ImportError = ImportError::Unsupported {
    is: "is a Parquet file, which this program is built without a reader for",
    advice: "Import it with the command `nextbasket import`, or export it as CSV or JSON Lines",
};

fn is_any(start: &[u8], magics: &[&[u8]]) -> bool {
    magics.iter().any(|magic| start.starts_with(magic))
}

fn unsupported(is: &'static str, advice: &'static str) -> Result<(), ImportError> {
    Err(ImportError::Unsupported { is, advice })
}

/// Names what is not text by its first bytes, after unpacking.
pub(crate) fn reject_binary(start: &[u8]) -> Result<(), ImportError> {
    if is_any(start, &[b"PK\x03\x04", b"\x1f\x8b"]) {
        unsupported("is an archive within an archive, or a packed workbook", "Unpack it")
    } else if is_any(start, &[b"PK\x05\x06"]) {
        unsupported("is an empty zip archive", "Use one with a CSV or JSON Lines file")
    } else if is_any(start, &[b"\xd0\xcf\x11\xe0"]) {
        unsupported(
            "is an old Excel workbook (.xls), or one with a password",
            "Save it as .xlsx without a password, or as CSV in UTF-8",
        )
    } else if is_any(start, &[b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!"]) {
        unsupported("has an unsupported compression", "Unpack it first, or use gzip")
    } else if start.starts_with(PARQUET_MAGIC) {
        // With a reader for them, those that are not packed do not come here.
        if cfg!(feature = "parquet") {
            unsupported("is a packed Parquet file", "Unpack it")
        } else {
            Err(PARQUET)
        }
    } else if is_any(start, &[b"PARE"]) {
        unsupported("is an encrypted Parquet file", "Decrypt it, or export it as CSV")
    } else if is_any(start, &[b"ORC", b"Obj\x01"]) {
        unsupported("is a table in a binary format", "Export it as CSV or JSON Lines")
    } else if is_any(start, &[b"\xff\xfe\0\0", b"\0\0\xfe\xff"]) {
        unsupported("is in UTF-32", "Save it in UTF-8")
    } else if is_any(start, &[b"%PDF-"]) {
        unsupported("is a PDF document", "Export the table as CSV")
    } else if start.get(257..262) == Some(b"ustar") {
        unsupported("is a tar archive", "Unpack it")
    } else if is_html(start) {
        unsupported(
            "is an HTML page, whatever its name says",
            "Open it in a spreadsheet and save it as .xlsx, or as CSV in UTF-8",
        )
    } else {
        Ok(())
    }
}

/// Shops write HTML tables into files that they call .xls.
fn is_html(start: &[u8]) -> bool {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins = |tag: &[u8]| text.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag));
    [&b"<!doctype html"[..], b"<html", b"<table", b"<meta"].iter().any(|tag| begins(tag))
}

/// Rejects what no text has, unless it is in UTF-16.
pub(crate) fn reject_zero_bytes(start: &[u8]) -> Result<(), ImportError> {
    if start.contains(&0) {
        return unsupported("is not text", "Use a CSV or JSON Lines file");
    }
    Ok(())
}

/// Names a document of LibreOffice by the beginning of its archive.
pub(crate) fn reject_open_document(start: &[u8]) -> Result<(), ImportError> {
    const DOCUMENT: &[u8] = b"application/vnd.oasis.opendocument";
    if start.windows(DOCUMENT.len()).any(|bytes| bytes == DOCUMENT) {
        return unsupported("is an OpenDocument file (.ods)", "Save it as .xlsx, or as CSV in UTF-8");
    }
    Ok(())
}
