//! Where a batch's items come from: a segment of the table, a bin of keys, or nowhere: they are made.

use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::{Work, WorkError};
use serde_json::Value;

use crate::batch::Position;
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

/// Where items come from.
#[derive(Debug)]
pub(crate) enum ItemSource {
    /// A segment of the table.
    Segment(Scan, Segment),
    /// A bin of keys, with the size of a page.
    Bin(BinKeys, Option<u32>),
    /// Generated items: from one number to another, with the size of a page.
    Made { maker: ItemGenerator, from: u64, to: u64, size: Option<u32> },
}

/// A page of items.
#[derive(Debug)]
pub(crate) struct Page {
    /// The items that meet the condition, or their keys.
    pub(crate) items: Vec<Item>,
    /// How many meet it.
    pub(crate) matched: u64,
    /// How many were looked at.
    pub(crate) scanned: u64,
    /// Where the next page begins.
    pub(crate) end: Position,
    begins: Begins,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
enum Begins {
    /// Somewhere in a segment.
    InSegment,
    /// In a run of a bin, behind this number of keys.
    InRun(usize, usize),
    /// At the item of this number.
    Item(u64),
}

impl Page {
    /// The position behind the first `count` of its `of` items; `last` is the key of the last of them.
    pub(crate) fn position_after(&self, count: usize, of: usize, last: &Item) -> Position {
        match self.begins {
            _ if count >= of => self.end.clone(),
            Begins::InRun(run, offset) => Position::InRun(run, offset + count),
            Begins::Item(first) => Position::Item(first + count as u64),
            Begins::InSegment => Position::After(to_json(last)),
        }
    }

    fn at_end() -> Self {
        Self { items: Vec::new(), matched: 0, scanned: 0, end: Position::End, begins: Begins::InSegment }
    }
}

/// Items that are made.
fn made(maker: &ItemGenerator, first: u64, to: u64, size: Option<u32>) -> Page {
    let most = MADE_PAGE.min(MADE_BYTES / maker.item_bytes().max(1)).max(1);
    let behind = first.saturating_add(size.map_or(most, u64::from)).min(to);
    if first >= behind {
        return Page::at_end();
    }
    let items = (first..behind).map(|number| maker.make(number)).collect();
    let end = if behind == to { Position::End } else { Position::Item(behind) };
    Page { items, matched: behind - first, scanned: behind - first, end, begins: Begins::Item(first) }
}

impl ItemSource {
    /// The page that begins there, and the units that it took.
    pub(crate) async fn page(
        &mut self,
        work: &Work,
        calls: &Calls,
        at: &Position,
    ) -> Result<(Page, f64), CallError> {
        match self {
            Self::Segment(scan, segment) => {
                let start = match at {
                    Position::After(key) => Some(start_key(key)?),
                    _ => None,
                };
                let limiter = work.limits().read.clone();
                let page = scan.page(calls, &limiter, *segment, start.as_ref()).await?;
                let end = page.next.as_ref().map_or(Position::End, |key| Position::After(to_json(key)));
                let (items, matched, scanned) = (page.items, page.matched, page.scanned);
                Ok((Page { items, matched, scanned, end, begins: Begins::InSegment }, page.units))
            }
            Self::Bin(keys, size) => {
                let (mut run, mut offset) = match at {
                    Position::InRun(run, offset) => (*run, *offset),
                    _ => (0, 0),
                };
                let size = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(BIN_PAGE);
                loop {
                    let Some(all) = keys.of_run(work, run).await? else {
                        return Ok((Page::at_end(), 0.0));
                    };
                    let items: Vec<Item> = all.iter().skip(offset).take(size).cloned().collect();
                    if items.is_empty() {
                        (run, offset) = (run + 1, 0);
                        continue;
                    }
                    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
                    let end = Position::InRun(run, offset + items.len());
                    let begins = Begins::InRun(run, offset);
                    return Ok((Page { items, matched: count, scanned: count, end, begins }, 0.0));
                }
            }
            Self::Made { maker, from, to, size } => {
                let first = if let Position::Item(number) = at { *number } else { *from };
                Ok((made(maker, first, *to, *size), 0.0))
            }
        }
    }
}

fn start_key(json: &Value) -> Result<Item, WorkError> {
    from_json(json).ok_or_else(|| {
        WorkError::Failed(format!("the checkpoint is invalid: {json} is not a key. Resubmit the job."))
    })
}
