//! Parquet files that tests write.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
    Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// The cells of a column in a row group; those without a value only in an optional column.
pub(crate) enum Cells {
    Bool(Vec<Option<bool>>),
    I32(Vec<Option<i32>>),
    I64(Vec<Option<i64>>),
    I96(Vec<Option<[u32; 3]>>),
    F32(Vec<Option<f32>>),
    F64(Vec<Option<f64>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Fixed(Vec<Option<Vec<u8>>>),
}

pub(crate) fn texts(texts: &[&str]) -> Cells {
    Cells::Bytes(texts.iter().map(|text| (!text.is_empty()).then(|| text.as_bytes().to_vec())).collect())
}

fn write<T: DataType, V>(
    column: &mut SerializedColumnWriter<'_>,
    cells: &[Option<V>],
    value: impl Fn(&V) -> T::T,
) {
    let values: Vec<T::T> = cells.iter().flatten().map(value).collect();
    // Ignored if the column is not optional.
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
}

/// A file with this schema; each row group has the cells of all columns.
pub(crate) fn parquet(schema: &str, properties: WriterProperties, groups: &[Vec<Cells>]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut row_group = file.next_row_group().unwrap();
        for cells in group {
            let mut column = row_group.next_column().unwrap().unwrap();
            match cells {
                Cells::Bool(cells) => write::<BoolType, _>(&mut column, cells, |value| *value),
                Cells::I32(cells) => write::<Int32Type, _>(&mut column, cells, |value| *value),
                Cells::I64(cells) => write::<Int64Type, _>(&mut column, cells, |value| *value),
                Cells::I96(cells) => {
                    write::<Int96Type, _>(&mut column, cells, |value| Int96::from(value.to_vec()));
                }
                Cells::F32(cells) => write::<FloatType, _>(&mut column, cells, |value| *value),
                Cells::F64(cells) => write::<DoubleType, _>(&mut column, cells, |value| *value),
                Cells::Bytes(cells) => {
                    write::<ByteArrayType, _>(&mut column, cells, |value| value.clone().into());
                }
                Cells::Fixed(cells) => {
                    write::<FixedLenByteArrayType, _>(&mut column, cells, |value| value.clone().into());
                }
            }
            column.close().unwrap();
        }
        row_group.close().unwrap();
    }
    file.into_inner().unwrap()
}
