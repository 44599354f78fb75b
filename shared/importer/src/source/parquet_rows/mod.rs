//! A Parquet file, as the text of a CSV file.
//!
//! What a Parquet file contains is written at its end, so the file is copied into a temporary one first. Its rows are read
//! in batches, from the current page of each column: memory depends on the size of pages, not on that of the file or of
//! its row groups. Columns in structures are named with points, as in `address.country`. Lists and types without a text
//! form are refused with the names of their columns.

mod cell_type;
mod checked_pages;
mod column_cells;

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::SchemaDescriptor;

use super::cell_text;
use super::written_text::{CHUNK_BYTES, TextSender, write_text};
use crate::error::ImportError;
use crate::line_reader::MAX_RECORD_BYTES;
use cell_type::CellType;
use checked_pages::CheckedPages;
use column_cells::{ColumnCells, column_cells};

/// The largest number of rows that are read at once, and their size, about.
const MAX_BATCH_ROWS: u64 = 1_024;
const BATCH_BYTES: u64 = 1 << 20;

/// The text of the file. `bytes_read` counts those of the rows that have been read.
pub(super) fn open(
    reader: impl Read,
    bytes_read: Arc<AtomicU64>,
) -> Result<Box<dyn BufRead + Send>, ImportError> {
    let (file, bytes) = copy(reader)?;
    let progress = ReadRows { bytes, bytes_read };
    let (text, ()) =
        write_text("parquet", || damaged("it cannot be read"), move |sender| write(file, &progress, sender))?;
    Ok(Box::new(text))
}

fn damaged(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the Parquet file is damaged: {why}"))
}

fn unreadable(error: ParquetError) -> ImportError {
    ImportError::Read(match error {
        ParquetError::General(why) | ParquetError::EOF(why) => damaged(why),
        other => damaged(other),
    })
}

/// Copies the file into one without a name, which is gone when it is closed; and counts its bytes.
fn copy(mut reader: impl Read) -> Result<(File, u64), ImportError> {
    let not_copied = |error: io::Error| {
        let folder = std::env::temp_dir();
        let why =
            format!("a Parquet file is copied to {} to be read, which failed: {error}", folder.display());
        ImportError::Read(io::Error::new(error.kind(), why))
    };
    let mut file = tempfile::tempfile().map_err(not_copied)?;
    let (mut piece, mut bytes) = (Vec::new(), 0);
    loop {
        piece.clear();
        let read =
            (&mut reader).take(CHUNK_BYTES as u64).read_to_end(&mut piece).map_err(ImportError::Read)?;
        if read == 0 {
            return Ok((file, bytes));
        }
        file.write_all(&piece).map_err(not_copied)?;
        bytes += u64::try_from(read).unwrap_or_default();
    }
}

/// How much of the file has been read: its rows tell, since its bytes were all copied before the first one.
struct ReadRows {
    bytes: u64,
    bytes_read: Arc<AtomicU64>,
}

impl ReadRows {
    fn report(&self, rows: u64, of: u64) {
        let bytes = u128::from(self.bytes) * u128::from(rows) / u128::from(of.max(1));
        self.bytes_read.store(u64::try_from(bytes).unwrap_or(self.bytes), Ordering::Relaxed);
    }
}

/// Writes a line with the names of the columns, and one for each row.
fn write(file: File, progress: &ReadRows, sender: &TextSender<()>) -> Result<(), ImportError> {
    let file = SerializedFileReader::new(file).map_err(unreadable)?;
    let types = check(file.metadata())?;
    if !sender.start(()) {
        return Ok(());
    }
    let mut text = Vec::new();
    let written = write_rows(&file, &types, progress, &mut text, sender);
    // What is before a damage is read.
    sender.text(text);
    written
}

/// Writes the names and the rows; `text` is what was not sent yet.
fn write_rows(
    file: &SerializedFileReader<File>,
    types: &[CellType],
    progress: &ReadRows,
    text: &mut Vec<u8>,
    sender: &TextSender<()>,
) -> Result<(), ImportError> {
    let schema = file.metadata().file_metadata().schema_descr_ptr();
    write_row(text, schema.columns(), |column, text| {
        cell_text::push_text(column.path().string().as_bytes(), text);
        Ok(())
    })?;
    let row_groups = file.metadata().row_groups();
    let all_rows = row_groups.iter().map(rows_of).fold(0, u64::saturating_add);
    let mut rows_read = 0;
    for (index, metadata) in row_groups.iter().enumerate() {
        let group = file.get_row_group(index).map_err(unreadable)?;
        let mut cells = open_columns(&*group, &schema, types).map_err(unreadable)?;
        let mut left = rows_of(metadata);
        while left > 0 {
            let rows = left.min(batch_rows(metadata));
            cells.iter_mut().try_for_each(|column| column.read(rows)).map_err(unreadable)?;
            for _ in 0..rows {
                let start = text.len();
                write_row(text, &mut cells, |column, text| column.push_next(text).map_err(unreadable))?;
                // A longer one is refused, however long it is.
                text.truncate(start + 2 * MAX_RECORD_BYTES);
                if text.last() != Some(&b'\n') {
                    text.push(b'\n');
                }
                if text.len() >= CHUNK_BYTES && !sender.text(std::mem::take(text)) {
                    return Ok(());
                }
            }
            left -= rows;
            rows_read += rows;
            progress.report(rows_read, all_rows);
        }
    }
    Ok(())
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or_default()
}

/// How many rows of a group are read at once.
fn batch_rows(group: &RowGroupMetaData) -> u64 {
    let bytes = u64::try_from(group.total_byte_size()).unwrap_or_default();
    let bytes_of_row = bytes / rows_of(group).max(1);
    (BATCH_BYTES / bytes_of_row.max(1)).clamp(1, MAX_BATCH_ROWS)
}

fn open_columns(
    group: &dyn RowGroupReader,
    schema: &SchemaDescriptor,
    types: &[CellType],
) -> Result<Vec<Box<dyn ColumnCells>>, ParquetError> {
    let mut columns = Vec::with_capacity(types.len());
    for (index, (column, cell_type)) in schema.columns().iter().zip(types).enumerate() {
        let pages = CheckedPages::new(group.get_column_page_reader(index)?, column.physical_type());
        columns.push(column_cells(column, *cell_type, Box::new(pages))?);
    }
    Ok(columns)
}

fn write_row<C>(
    text: &mut Vec<u8>,
    columns: impl IntoIterator<Item = C>,
    mut push: impl FnMut(C, &mut Vec<u8>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    for (index, column) in columns.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        push(column, text)?;
    }
    text.push(b'\n');
    Ok(())
}

/// The types of the columns, if all of the file can be read.
fn check(metadata: &ParquetMetaData) -> Result<Vec<CellType>, ImportError> {
    let columns = metadata.file_metadata().schema_descr().columns();
    if columns.is_empty() {
        return Err(ImportError::Empty);
    }
    let types: Vec<Option<CellType>> = columns.iter().map(|column| CellType::of(column)).collect();
    let mut refused: Vec<String> = Vec::new();
    for column in columns.iter().zip(&types).filter_map(|(column, known)| known.is_none().then_some(column)) {
        let (name, what) = match column.path().parts() {
            [list, ..] if column.max_rep_level() > 0 => (list.clone(), "list".to_owned()),
            _ => (column.path().string(), cell_type::name(column)),
        };
        let shown = format!("{} ({what})", crate::column_names::shown(&name));
        if !refused.contains(&shown) {
            refused.push(shown);
        }
    }
    if !refused.is_empty() {
        return Err(ImportError::UnsupportedColumns { columns: refused });
    }
    let mut chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    if chunks.any(|chunk| !is_unpacked(chunk.compression())) {
        return Err(ImportError::Unsupported {
            is: "is a Parquet file with an unsupported compression",
            advice: "Write it with Snappy, Zstandard, gzip or none",
        });
    }
    Ok(types.into_iter().flatten().collect())
}

fn is_unpacked(compression: Compression) -> bool {
    matches!(
        compression,
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_)
    )
}
