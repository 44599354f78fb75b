//! Where a batch's items come from: a segment of the table, a bin of keys, or nowhere: they are made.

use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::{Work, WorkError};
use serde_json::Value;

use crate::batch::BatchPosition;
use crate::bins::BinKeys;
use crate::generated::ItemGenerator;
use nextbasket_items::key::{from_json, to_json};
use nextbasket_items::scan::Scan;
use nextbasket_items::segment::Segment;
use nextbasket_job_engine::calls::{CallError, Calls};

/// How many keys of a bin make a page, if it is not said.
const BIN_PAGE: usize = 1000;
/// How many items are made at a time, if it is not said, and how many bytes they have.
const MADE_PAGE: u64 = 1000;
const MADE_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(crate) enum ItemSource {
    Segment(Scan, Segment),
    /// A bin of keys, with the size of a page.
    Bin(BinKeys, Option<u32>),
    /// Generated items: from one number to another, with the size of a page.
    Made {
        maker: ItemGenerator,
        from: u64,
        to: u64,
        size: Option<u32>,
    },
}

#[derive(Debug)]
pub(crate) struct ItemPage {
    /// The items that meet the condition, or their keys.
    pub(crate) items: Vec<Item>,
    pub(crate) matched: u64,
    pub(crate) scanned: u64,
    pub(crate) end: BatchPosition,
    begins: Begins,
}

#[derive(Debug, Clone, Copy)]
enum Begins {
    InSegment,
    /// In a run of a bin, behind this number of keys.
    InRun(usize, usize),
    /// At the item of this number.
    Item(u64),
}

impl ItemPage {
    /// The position behind the first `count` of its `of` items; `last` is the key of the last of them.
    pub(crate) fn position_after(&self, count: usize, of: usize, last: &Item) -> BatchPosition {
        match self.begins {
            _ if count >= of => self.end.clone(),
            Begins::InRun(run, offset) => BatchPosition::InRun(run, offset + count),
            Begins::Item(first) => BatchPosition::Item(first + count as u64),
            Begins::InSegment => BatchPosition::After(to_json(last)),
        }
    }

    fn at_end() -> Self {
        Self { items: Vec::new(), matched: 0, scanned: 0, end: BatchPosition::End, begins: Begins::InSegment }
    }
}

fn made(maker: &ItemGenerator, first: u64, to: u64, size: Option<u32>) -> ItemPage {
    let most = MADE_PAGE.min(MADE_BYTES / maker.item_bytes().max(1)).max(1);
    let behind = first.saturating_add(size.map_or(most, u64::from)).min(to);
    if first >= behind {
        return ItemPage::at_end();
    }
    let items = (first..behind).map(|number| maker.make(number)).collect();
    let end = if behind == to { BatchPosition::End } else { BatchPosition::Item(behind) };
    ItemPage { items, matched: behind - first, scanned: behind - first, end, begins: Begins::Item(first) }
}

impl ItemSource {
    /// The page that begins there, and the units that it took.
    pub(crate) async fn page(
        &mut self,
        work: &Work,
        calls: &Calls,
        at: &BatchPosition,
    ) -> Result<(ItemPage, f64), CallError> {
        match self {
            Self::Segment(scan, segment) => {
                let start = match at {
                    BatchPosition::After(key) => Some(start_key(key)?),
                    _ => None,
                };
                let limiter = work.limits().read.clone();
                let page = scan.page(calls, &limiter, *segment, start.as_ref()).await?;
                let end =
                    page.next.as_ref().map_or(BatchPosition::End, |key| BatchPosition::After(to_json(key)));
                let (items, matched, scanned) = (page.items, page.matched, page.scanned);
                Ok((ItemPage { items, matched, scanned, end, begins: Begins::InSegment }, page.units))
            }
            Self::Bin(keys, size) => {
                let (mut run, mut offset) = match at {
                    BatchPosition::InRun(run, offset) => (*run, *offset),
                    _ => (0, 0),
                };
                let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BIN_PAGE);
                loop {
                    let Some(all) = keys.of_run(work, run).await? else {
                        return Ok((ItemPage::at_end(), 0.0));
                    };
                    let items: Vec<Item> = all.iter().skip(offset).take(size).cloned().collect();
                    if items.is_empty() {
                        (run, offset) = (run + 1, 0);
                        continue;
                    }
                    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
                    let end = BatchPosition::InRun(run, offset + items.len());
                    let begins = Begins::InRun(run, offset);
                    return Ok((ItemPage { items, matched: count, scanned: count, end, begins }, 0.0));
                }
            }
            Self::Made { maker, from, to, size } => {
                let first = if let BatchPosition::Item(number) = at { *number } else { *from };
                Ok((made(maker, first, *to, *size), 0.0))
            }
        }
    }
}

fn start_key(json: &Value) -> Result<Item, WorkError> {
    from_json(json).ok_or_else(|| {
        WorkError::Failed(
            "the checkpoint is invalid: its position is not a key. Resubmit the job.".to_owned(),
        )
    })
}
