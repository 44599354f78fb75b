//! The records of a JSON file: which key is which column.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::MAX_IGNORED;
use super::current_record::{CurrentRecord, NextRecord};
use crate::columns::{FileColumn, RecordKind};
use crate::exact_json;
use crate::mapping::Mapping;
use crate::refusal::RefusalReason;

#[derive(Default)]
pub(super) struct JsonForm {
    pub(super) object: Map<String, Value>,
    /// The columns of each key that was seen.
    pub(super) known: HashMap<String, Vec<(FileColumn, u8)>>,
    pub(super) ignored: BTreeSet<String>,
}

/// The keys of a record and of a whole purchase's lines.
pub(super) fn keys_of(object: &Map<String, Value>) -> impl Iterator<Item = &String> {
    let lines = object.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    object.keys().chain(lines.iter().filter_map(Value::as_object).flat_map(Map::keys))
}

impl JsonForm {
    pub(super) fn next(
        &mut self,
        place: &mut CurrentRecord<'_>,
        mapping: &Mapping,
        kind: RecordKind,
    ) -> NextRecord {
        if let Some(next) = place.next_line() {
            return next;
        }
        self.parse(&place.raw, mapping, kind)
    }

    pub(super) fn parse(&mut self, raw: &[u8], mapping: &Mapping, kind: RecordKind) -> NextRecord {
        let Ok(text) = std::str::from_utf8(raw) else { return NextRecord::invalid_utf8() };
        match exact_json::parse(text) {
            Ok(Value::Object(object)) => self.object = object,
            Ok(_) => return NextRecord::fault(RefusalReason::BadJson, "each line must be one JSON object"),
            Err(error) => {
                let message = error.to_string().replace("at line 1 column", "at character");
                let message = format!("the line is not valid JSON: {message}");
                return NextRecord::fault(RefusalReason::BadJson, message);
            }
        }
        let object = std::mem::take(&mut self.object);
        keys_of(&object).for_each(|key| self.remember(key, mapping, kind));
        self.object = object;
        NextRecord::Record
    }

    pub(super) fn remember(&mut self, key: &String, mapping: &Mapping, kind: RecordKind) {
        if self.known.contains_key(key) || self.ignored.contains(key) {
            return;
        }
        let columns = mapping.columns_of(key, kind);
        if !columns.is_empty() {
            self.known.insert(key.clone(), columns);
        } else if key != "lines" && self.ignored.len() < MAX_IGNORED {
            self.ignored.insert(key.clone());
        }
    }
}

pub(super) fn has(columns: &[(FileColumn, u8)], wanted: FileColumn) -> bool {
    columns.iter().any(|(column, _)| *column == wanted)
}
