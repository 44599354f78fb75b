//! The cells of a column, one after the other.

use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{
    AsBytes, BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescPtr;

use super::cell_type::CellType;

/// The cells of a column, of whatever type.
pub(super) trait ColumnCells {
    /// Reads the cells of this many rows, which must be there.
    fn read(&mut self, rows: u64) -> Result<()>;

    /// Appends the text of the next one of them.
    fn push_next(&mut self, into: &mut Vec<u8>) -> Result<()>;
}

/// The cells of a column with these pages.
pub(super) fn column_cells(
    column: &ColumnDescPtr,
    cell_type: CellType,
    pages: Box<dyn PageReader>,
) -> Result<Box<dyn ColumnCells>> {
    let max_level = column.max_def_level();
    Ok(match get_column_reader(column.clone(), pages) {
        ColumnReader::BoolColumnReader(reader) => {
            cells::<BoolType>(reader, max_level, move |value, into| cell_type.push_bool(*value, into))
        }
        ColumnReader::Int32ColumnReader(reader) => {
            cells::<Int32Type>(reader, max_level, move |value, into| cell_type.push_i32(*value, into))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            cells::<Int64Type>(reader, max_level, move |value, into| cell_type.push_i64(*value, into))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            cells::<Int96Type>(reader, max_level, move |value, into| cell_type.push_i96(value, into))
        }
        ColumnReader::FloatColumnReader(reader) => {
            cells::<FloatType>(reader, max_level, move |value, into| cell_type.push_f32(*value, into))
        }
        ColumnReader::DoubleColumnReader(reader) => {
            cells::<DoubleType>(reader, max_level, move |value, into| cell_type.push_f64(*value, into))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            cells::<ByteArrayType>(reader, max_level, move |value, into| {
                cell_type.push_bytes(value.as_bytes(), into);
            })
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            cells::<FixedLenByteArrayType>(reader, max_level, move |value, into| {
                cell_type.push_bytes(value.as_bytes(), into);
            })
        }
    })
}

fn cells<T: DataType>(
    reader: ColumnReaderImpl<T>,
    max_level: i16,
    push: impl Fn(&T::T, &mut Vec<u8>) + 'static,
) -> Box<dyn ColumnCells> {
    Box::new(TypedCells::<T, _> {
        reader,
        max_level,
        levels: Vec::new(),
        values: Vec::new(),
        row: 0,
        value: 0,
        push,
    })
}

struct TypedCells<T: DataType, P> {
    reader: ColumnReaderImpl<T>,
    /// The level of a cell that has a value; zero if all have one.
    max_level: i16,
    levels: Vec<i16>,
    /// The values of the cells that have one.
    values: Vec<T::T>,
    /// The next cell and the next value.
    row: usize,
    value: usize,
    push: P,
}

impl<T: DataType, P: Fn(&T::T, &mut Vec<u8>)> ColumnCells for TypedCells<T, P> {
    fn read(&mut self, rows: u64) -> Result<()> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.levels.clear();
        self.values.clear();
        (self.row, self.value) = (0, 0);
        let (read, ..) = self.reader.read_records(rows, Some(&mut self.levels), None, &mut self.values)?;
        if read < rows {
            return Err(ParquetError::General("a column is shorter than the others".to_owned()));
        }
        Ok(())
    }

    fn push_next(&mut self, into: &mut Vec<u8>) -> Result<()> {
        let has_value = self.max_level == 0 || self.levels.get(self.row) == Some(&self.max_level);
        self.row += 1;
        if has_value {
            let Some(value) = self.values.get(self.value) else {
                return Err(ParquetError::General("a value is missing".to_owned()));
            };
            self.value += 1;
            (self.push)(value, into);
        }
        Ok(())
    }
}
