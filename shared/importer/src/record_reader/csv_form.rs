//! The records of a CSV file: which field is which column.

use crate::column_names::shown;
use crate::columns::{FileColumn, RecordKind};
use crate::csv_record::CsvRecord;
use crate::error::ImportError;
use crate::file_layout::FileLayout;
use crate::rules::RowRule;

pub(super) struct CsvForm {
    pub(super) delimited: CsvRecord,
    pub(super) names: Vec<String>,
    /// Which field is which column, and its rank among those of the column.
    pub(super) wanted: Vec<(usize, FileColumn, u8)>,
    /// The field of each rule about rows.
    pub(super) ruled: Vec<Option<usize>>,
}

impl CsvForm {
    pub(super) fn new(
        layout: &FileLayout,
        delimited: CsvRecord,
        kind: RecordKind,
    ) -> Result<Self, ImportError> {
        let FileLayout { names, rules, .. } = layout;
        let mapping = &rules.mapping;
        mapping.check(kind)?;
        let mut wanted: Vec<(usize, FileColumn, u8)> = Vec::new();
        for (field, name) in names.iter().enumerate() {
            for (column, rank) in mapping.columns_of(name, kind) {
                let other = wanted.iter().find(|(_, taken, own)| *taken == column && *own == rank);
                if let Some(other) = other.and_then(|(field, ..)| names.get(*field)) {
                    let (first, second) = (shown(other), shown(name));
                    return Err(ImportError::AmbiguousColumn { column, first, second });
                }
                wanted.push((field, column, rank));
            }
        }
        let is_shaped = |column| layout.name_of(column).is_some();
        let present = |column| wanted.iter().any(|(_, own, _)| *own == column) || is_shaped(column);
        mapping.check_presence(kind, present, names)?;
        let place = |rule: &RowRule| names.iter().position(|name| *name == rule.column);
        let ruled = rules.rows.iter().map(place).collect();
        Ok(Self { delimited, names: names.to_vec(), wanted, ruled })
    }

    pub(super) fn cell(&self, field: usize) -> &str {
        let bytes = self.delimited.bytes().get(self.delimited.range(field)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}
