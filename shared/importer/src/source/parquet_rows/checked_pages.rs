//! Pages whose headers are checked before memory is reserved for what they promise.

use parquet::basic::Type;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// The pages of a column. A dictionary with more values than its bytes can hold is damaged: the library would reserve
/// memory for as many as its header says.
pub(super) struct CheckedPages {
    pages: Box<dyn PageReader>,
    /// The number of bits of a value, at least.
    value_bits: usize,
}

impl CheckedPages {
    pub(super) fn new(pages: Box<dyn PageReader>, physical_type: Type) -> Self {
        let value_bits = match physical_type {
            Type::BOOLEAN => 1,
            Type::FIXED_LEN_BYTE_ARRAY => 8,
            // Of a byte array, its length.
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 32,
            Type::INT64 | Type::DOUBLE => 64,
            Type::INT96 => 96,
        };
        Self { pages, value_bits }
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(Page::DictionaryPage { buf, num_values, .. }) = &page {
            let possible = buf.len().saturating_mul(8) / self.value_bits;
            if usize::try_from(*num_values).unwrap_or(usize::MAX) > possible {
                return Err(ParquetError::General("a dictionary is shorter than it says".to_owned()));
            }
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}
