//! A sheet of an Excel workbook, as the text of a CSV file.
//!
//! The workbook is kept in memory as it is packed, with its table of texts; the sheet is written row by row, on a thread
//! of its own, since what reads its cells borrows the workbook.

use std::io::{self, BufRead, Cursor, Read};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxCellReader};
use zip::ZipArchive;

use super::sheet_text::SheetText;
use super::written_text::{CHUNK_BYTES, TextSender, write_text};
use crate::error::ImportError;

/// The largest workbook, packed.
const MAX_BYTES: u64 = 256 << 20;
/// What a workbook may hold besides its sheets, unpacked: texts and styles, which are kept in memory.
const MAX_KEPT_BYTES: u64 = 256 << 20;

const TOO_LARGE: ImportError = ImportError::Unsupported {
    is: "is a workbook of more than 256 megabytes",
    advice: "Save the sheet as CSV in UTF-8",
};

/// Whether an archive whose first file has this name is an Office document.
pub(super) fn is_office_document(first_file: &str) -> bool {
    first_file == "[Content_Types].xml"
        || ["xl/", "_rels/", "docProps/", "customXml/"].iter().any(|folder| first_file.starts_with(folder))
}

/// The text of the first sheet that has rows, and its name.
pub(super) fn open(reader: impl Read) -> Result<(impl BufRead + Send, String), ImportError> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(ImportError::Read)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(TOO_LARGE);
    }
    write_text("workbook", || unreadable("it cannot be read"), |sender| write_first_sheet(bytes, sender))
}

fn unreadable(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the workbook is damaged: {why}"))
}

fn damaged(why: impl std::fmt::Display) -> ImportError {
    ImportError::Read(unreadable(why))
}

fn write_first_sheet(bytes: Vec<u8>, sender: &TextSender<String>) -> Result<(), ImportError> {
    check(&bytes)?;
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let Some(sheet) = first_sheet_with_rows(&mut workbook)? else { return Err(ImportError::Empty) };
    if !sender.start(sheet.clone()) {
        return Ok(());
    }
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(damaged)?;
    let mut text = SheetText::default();
    while let Some(cell) = next_filled(&mut cells)? {
        let (row, column) = cell.get_position();
        text.push(row, column, cell.get_value()).map_err(damaged)?;
        if text.ready() >= CHUNK_BYTES && !sender.text(text.take()) {
            return Ok(());
        }
    }
    sender.text(text.finish());
    Ok(())
}

/// Checks what the library trusts: that a workbook is one, and how much of it has to be kept in memory.
fn check(bytes: &[u8]) -> Result<(), ImportError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let has = |start: &str| archive.file_names().any(|name| name.is_ok_and(|name| name.starts_with(start)));
    if has("xl/workbook.bin") {
        return Err(ImportError::Unsupported {
            is: "is a binary Excel workbook (.xlsb)",
            advice: "Save it as .xlsx, or as CSV in UTF-8",
        });
    }
    if !has("xl/") {
        return Err(ImportError::Unsupported {
            is: "is an Office document without sheets",
            advice: "Use a CSV file, an Excel workbook (.xlsx) or JSON Lines",
        });
    }
    let mut kept = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.to_lowercase();
        if !is_kept(&name) {
            continue;
        }
        let is_texts = name.ends_with("sharedstrings.xml");
        let mut start = Vec::new();
        (&mut file).take(4_096).read_to_end(&mut start).map_err(damaged)?;
        let rest = io::copy(&mut (&mut file).take(MAX_KEPT_BYTES), &mut io::sink()).map_err(damaged)?;
        let unpacked = rest + u64::try_from(start.len()).unwrap_or_default();
        kept += unpacked;
        if kept > MAX_KEPT_BYTES {
            return Err(TOO_LARGE);
        }
        // Memory is reserved for as many texts as the table says to have.
        if is_texts && declared_texts(&start).is_some_and(|texts| texts > unpacked) {
            return Err(damaged("its table of texts is shorter than it says"));
        }
    }
    Ok(())
}

/// Whether the library may read a part as a whole.
fn is_kept(name: &str) -> bool {
    const NEVER: [&str; 6] = ["worksheets/", "pivotcache/", "drawings/", "charts/", "media/", "comments"];
    const ALWAYS: [&str; 4] = ["sharedstrings.xml", "styles.xml", "workbook.xml", ".rels"];
    ALWAYS.iter().any(|end| name.ends_with(end))
        || (name.ends_with(".xml") && !NEVER.iter().any(|part| name.contains(part)))
}

/// The number of texts that a table of them declares.
fn declared_texts(start: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(start);
    let (_, after) = text.split_once("uniqueCount")?;
    let digits: String =
        after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// The first sheet that has a cell with content; one that is hidden only if no other has.
fn first_sheet_with_rows(workbook: &mut Xlsx<Cursor<Vec<u8>>>) -> Result<Option<String>, ImportError> {
    let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let (shown, hidden): (Vec<_>, Vec<_>) =
        sheets.cloned().partition(|sheet| sheet.visible == SheetVisible::Visible);
    for sheet in shown.into_iter().chain(hidden) {
        let mut cells = workbook.worksheet_cells_reader(&sheet.name).map_err(damaged)?;
        if next_filled(&mut cells)?.is_some() {
            return Ok(Some(sheet.name));
        }
    }
    Ok(None)
}

/// The next cell that is not empty.
fn next_filled<'a, R: Read + io::Seek>(
    cells: &mut XlsxCellReader<'a, R>,
) -> Result<Option<calamine::Cell<DataRef<'a>>>, ImportError> {
    loop {
        match cells.next_cell().map_err(damaged)? {
            Some(cell) if matches!(cell.get_value(), DataRef::Empty | DataRef::Error(_)) => {}
            cell => return Ok(cell),
        }
    }
}
