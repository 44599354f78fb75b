//! Records sorted into bins (times, features, pages) and left as objects of many sections.

use std::collections::BTreeMap;

use nextbasket_job_engine::{Work, WorkError};
use serde::{Deserialize, Serialize};

/// How the names of the objects begin.
pub(crate) const BINS: &str = "bins-";
/// What is held before it is written, where bins are spread over the whole input.
pub(crate) const HELD: usize = 16 << 20;

/// A section of an object: the records of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BinSection {
    pub bin: Option<i64>,
    pub from: u64,
    pub to: u64,
    pub items: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BinObject {
    pub key: String,
    pub sections: Vec<BinSection>,
}

/// Records by bin. `None` is the bin of those that have none.
#[derive(Debug, Default)]
pub(crate) struct RecordBins {
    bins: BTreeMap<Option<i64>, (Vec<u8>, u64)>,
    bytes: usize,
}

impl RecordBins {
    pub(crate) fn add(&mut self, bin: Option<i64>, record: &[u8]) {
        let (bytes, items) = self.bins.entry(bin).or_default();
        bytes.extend_from_slice(record);
        // The last record of a file may have no line end, and is not the last here.
        if !record.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        *items += 1;
        self.bytes += record.len();
    }

    pub(crate) fn size(&self, bin: Option<i64>) -> (usize, u64) {
        self.bins.get(&bin).map_or((0, 0), |(bytes, items)| (bytes.len(), *items))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes what is held as an object of this attempt; `None` if that is nothing.
    pub(crate) async fn write(&mut self, work: &Work, number: usize) -> Result<Option<BinObject>, WorkError> {
        let (mut content, mut sections) = (Vec::with_capacity(self.bytes), Vec::new());
        for (bin, (bytes, items)) in std::mem::take(&mut self.bins) {
            let from = at(&content);
            content.extend(bytes);
            sections.push(BinSection { bin, from, to: at(&content), items });
        }
        self.bytes = 0;
        if sections.is_empty() {
            return Ok(None);
        }
        let key = work.put_own(&format!("{BINS}{number:06}"), content).await?;
        Ok(Some(BinObject { key, sections }))
    }
}

fn at(content: &[u8]) -> u64 {
    u64::try_from(content.len()).unwrap_or(u64::MAX)
}
