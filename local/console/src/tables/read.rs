//! `POST tables/{name}/items` and `…/count`.
//!
//! Neither reads a whole table at once: what a call consumes, answers and waits for is limited, and where it stops there
//! is a cursor.

use std::time::{Duration, Instant};

use axum::extract::State;
use nextbasket_http::ApiError;
use serde::Serialize;
use serde_json::value::RawValue;

use super::item_json;
use super::reading::{Reading, Wanted};
use crate::Console;
use crate::answer::{Answer, Json};
use crate::request_parts::PathName;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;
/// After this many read units a call ends with its current page: some 4 MB, or 2 MB read consistently.
const MAX_UNITS: f64 = 512.0;
/// The bytes of an answer's items after which it has no more.
const MAX_BYTES: usize = 4 << 20;
/// How long a call goes on reading.
const MAX_TIME: Duration = Duration::from_secs(8);
/// How many items are looked at in the first page, where a condition decides which of them count; each further page is
/// twice as large.
const FIRST_PAGE: u32 = 100;

#[derive(Serialize)]
pub(super) struct ItemsPage {
    items: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// How many items were looked at.
    scanned: u64,
    /// The read units that this consumed.
    units: f64,
    /// Whether these are the last ones.
    complete: bool,
}

#[derive(Serialize)]
pub(super) struct ItemsCount {
    /// How many there are from the cursor on.
    count: u64,
    scanned: u64,
    units: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub(super) async fn items(
    State(console): State<Console>,
    PathName(name): PathName,
    Json(wanted): Json<Wanted>,
) -> Answer<ItemsPage> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid("limit", format!("must be from 1 to {MAX_LIMIT}")).into());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let table = console.table(&name).await?;
    let reading = Reading::new(&console, &table, &wanted, false)?;
    let mut page = ItemsPage { items: Vec::new(), cursor: None, scanned: 0, units: 0.0, complete: false };
    let (mut next, mut bytes, mut pages) = (reading.start(&wanted)?, 0, 0_u32);
    let begun = Instant::now();
    loop {
        let left = u32::try_from(limit - page.items.len()).unwrap_or(u32::MAX);
        let of_page = if reading.filters { left.max(FIRST_PAGE) << pages.min(10) } else { left };
        let Some(read) = reading.page(Some(of_page), next.as_ref()).await? else {
            if page.scanned == 0 {
                return Err(reading.unanswered().into());
            }
            break;
        };
        pages += 1;
        page.scanned += read.scanned;
        page.units += read.units;
        let start = std::mem::replace(&mut next, read.next);
        let mut last = None;
        for item in read.items.iter().filter(|item| reading.holds(item)) {
            if page.items.len() == limit || bytes >= MAX_BYTES {
                // The rest of the page is read again by whoever goes on.
                next = last.map(|item| reading.position(item)).or(start);
                break;
            }
            let text = item_json::written(item)?;
            bytes += text.get().len();
            page.items.push(text);
            last = Some(item);
        }
        let is_enough = page.items.len() == limit || bytes >= MAX_BYTES || is_spent(page.units, begun);
        if next.is_none() || is_enough {
            break;
        }
    }
    page.complete = next.is_none();
    page.cursor = next.map(|position| reading.cursor(&position)).transpose()?;
    Ok(Json(page))
}

pub(super) async fn count(
    State(console): State<Console>,
    PathName(name): PathName,
    Json(wanted): Json<Wanted>,
) -> Answer<ItemsCount> {
    if wanted.limit.is_some() {
        return Err(ApiError::unknown("limit").into());
    }
    let table = console.table(&name).await?;
    let reading = Reading::new(&console, &table, &wanted, true)?;
    let mut count = ItemsCount { count: 0, scanned: 0, units: 0.0, cursor: None };
    let mut next = reading.start(&wanted)?;
    let begun = Instant::now();
    loop {
        let Some(read) = reading.page(None, next.as_ref()).await? else {
            if count.scanned == 0 {
                return Err(reading.unanswered().into());
            }
            break;
        };
        count.scanned += read.scanned;
        count.units += read.units;
        count.count += if reading.has_rest() {
            read.items.iter().filter(|item| reading.holds(item)).count() as u64
        } else {
            read.matched
        };
        next = read.next;
        if next.is_none() || is_spent(count.units, begun) {
            break;
        }
    }
    count.cursor = next.map(|position| reading.cursor(&position)).transpose()?;
    Ok(Json(count))
}

fn is_spent(units: f64, begun: Instant) -> bool {
    units >= MAX_UNITS || begun.elapsed() >= MAX_TIME
}
