//! What a job would take: from what DynamoDB says of the table, and a page of it.

use std::time::Duration;

use nextbasket_dynamodb::TableError;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::{Estimate, JobError, Site, WorkError};

use super::TableOperation;
use super::plan::{as_read, check_keys, check_table};
use super::sample::SegmentSample;
use crate::generated::ItemGenerator;
use crate::parameters::TableParameters;
use nextbasket_items::scan::{Projection, Scan, ScanPage};
use nextbasket_items::segment::Segment;
use nextbasket_items::table::Table;
use nextbasket_job_engine::calls::{CallError, Calls};

/// How many items are looked at.
const SAMPLE: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(20);
/// The bytes of a read unit and of a write unit.
const READ_BYTES: f64 = 4096.0;
const WRITE_BYTES: f64 = 1024.0;

pub(super) async fn estimate(
    operation: TableOperation,
    site: &Site,
    parameters: &TableParameters,
) -> Result<Estimate, JobError> {
    let table = Table::of_job(&site.dynamodb, &parameters.table).await?;
    check_table(operation, site, parameters, &table)?;
    if operation == TableOperation::Fill {
        return Ok(of_fill(parameters, &table));
    }
    if let Some(to) = &parameters.to {
        check_keys(parameters, &table, &to.describe(site).await?)?;
    }
    let table = as_read(parameters, table);
    let page = sampled(site, parameters).await?;
    Ok(of_sample(operation, parameters, &table, &page))
}

/// One page, with the condition.
async fn sampled(site: &Site, parameters: &TableParameters) -> Result<ScanPage, JobError> {
    let scan = Scan::new(&parameters.table, parameters.r#where.as_ref(), Projection::Count, site.clock.now())
        .on_index(parameters.index.as_deref())
        .consistent(parameters.consistent_read)
        .pages_of(Some(SAMPLE), 0);
    let (calls, limiter) = (Calls::at(site), Limiter::new(parameters.read_units));
    let page = scan.page(&calls, &limiter, Segment { number: 0, of: 1 }, None);
    match tokio::time::timeout(PATIENCE, page).await {
        Ok(page) => page.map_err(|error| unread(&parameters.table, error)),
        Err(_) => Err(unavailable(&parameters.table, "no page of it could be read in time")),
    }
}

fn unread(table: &str, error: CallError) -> JobError {
    match error {
        CallError::Stopped => unavailable(table, "the work was stopped"),
        CallError::Refused(refused) => JobError::Failed(refused.reason()),
        CallError::Failed(WorkError::Transient(reason)) => unavailable(table, &reason),
        CallError::Failed(error) => JobError::Failed(error.to_string()),
    }
}

fn unavailable(table: &str, reason: &str) -> JobError {
    TableError::Unavailable { table: table.to_owned(), reason: reason.to_owned() }.into()
}

fn of_sample(
    operation: TableOperation,
    parameters: &TableParameters,
    table: &Table,
    page: &ScanPage,
) -> Estimate {
    let mut notes = Vec::new();
    let whole = page.next.is_none();
    let (items, bytes) = if whole {
        // Half a unit for each 4 KB.
        let read = page.units * READ_BYTES * if parameters.consistent_read { 1.0 } else { 2.0 };
        let bytes = if table.items == page.scanned { table.bytes } else { rounded(read) };
        (page.scanned, bytes)
    } else {
        notes.push("DynamoDB counts a table's items and bytes about every six hours".to_owned());
        (table.items.max(page.scanned), table.bytes)
    };
    let share = page.matched as f64 / page.scanned.max(1) as f64;
    let meeting = if whole { page.matched } else { rounded(items as f64 * share) };
    let matching = meeting.min(parameters.limit.unwrap_or(u64::MAX));
    if parameters.r#where.is_some() {
        notes.push(if whole {
            format!("{meeting} items meet the condition")
        } else {
            let ScanPage { matched, scanned, .. } = page;
            format!("{matched} of {scanned} items looked at meet the condition: some {meeting} of all")
        });
    }
    if let Some(limit) = parameters.limit {
        notes.push(format!("at most {limit} items are changed; the table is read until as many are found"));
    }
    if let Some(index) = parameters.index.as_ref().and_then(|name| table.index(name).ok()) {
        notes.push(format!("index \"{}\" holds only items that have its keys", index.name));
    }
    let price = if parameters.consistent_read { 1.0 } else { 0.5 };
    let mut read_units = (bytes as f64 / READ_BYTES).ceil() * price;
    if let Some(sample) = parameters.sample {
        match SegmentSample::size(sample, parameters, table) {
            Ok(Some((drawn, of))) => {
                read_units *= f64::from(drawn) / f64::from(of);
                notes.push(format!("{drawn} of {of} segments are read, and the rest is estimated"));
            }
            Ok(None) => notes.push("the table is small: all of it is read".to_owned()),
            // Planning the job refuses it.
            Err(refusal) => notes.push(refusal.to_string()),
        }
    }
    let mean = bytes as f64 / items.max(1) as f64;
    let mut write_units = 0.0;
    if operation.changes() {
        let once = operation == TableOperation::Update
            && parameters.set.as_ref().is_some_and(|change| !change.is_idempotent());
        write_units = matching as f64 * (mean / WRITE_BYTES).ceil().max(1.0);
        if once {
            write_units *= 2.0;
            notes.push(
                "the change must not be made twice: it goes in transactions, at twice the write units"
                    .to_owned(),
            );
        }
        if operation == TableOperation::Copy && parameters.binned().is_some() {
            // Items are read again by their keys, strongly consistent.
            read_units += matching as f64 * (mean / READ_BYTES).ceil().max(1.0);
        }
        if table.global_indexes() > 0 && operation != TableOperation::Copy {
            notes.push(format!(
                "the table's {} global indexes take write units of their own",
                table.global_indexes()
            ));
        }
    }
    if let Some(follow) = parameters.follow {
        let seconds = follow.interval().as_secs_f64();
        notes.push(format!(
            "the table is read again, at the same price, every {seconds} seconds until the job is cancelled"
        ));
    }
    Estimate {
        items: Some(items),
        changes: operation.changes().then_some(matching),
        bytes: Some(bytes),
        read_units,
        write_units,
        notes,
        ..Estimate::default()
    }
    .at(parameters.rates())
}

fn of_fill(parameters: &TableParameters, table: &Table) -> Estimate {
    let count = parameters.count.unwrap_or(0);
    let each = ItemGenerator::new(parameters, &table.keys).item_bytes();
    let mut notes = Vec::new();
    if table.global_indexes() > 0 {
        notes.push(format!(
            "the table's {} global indexes take write units of their own",
            table.global_indexes()
        ));
    }
    Estimate {
        items: Some(count),
        changes: Some(count),
        bytes: Some(count.saturating_mul(each)),
        write_units: count as f64 * (each as f64 / WRITE_BYTES).ceil().max(1.0),
        notes,
        ..Estimate::default()
    }
    .at(parameters.rates())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative; as saturates"
)]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}
