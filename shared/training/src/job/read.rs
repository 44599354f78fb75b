//! Stage `survey`: a segment of the purchases to baskets, and the products to labels.
//!
//! Each page of purchases becomes an object, with the checkpoint, so that no more than a page is read twice. At the end
//! the pages become one data set. A purchase that was seen on two pages, since it was written anew in between, counts
//! once.

use nextbasket_batch::work::Go;
use nextbasket_batch::{Outcome, Work, WorkError};
use nextbasket_tables::segment::{Place, Segment};
use nextbasket_tables::{Damaged, Tables};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::calls::{Touches, call, objects};
use super::course::{Labelled, Surveyed};
use super::{blocking, failed, put, unnamed};
use crate::error::StageError;
use crate::labels::Labels;
use crate::survey::{Bought, Survey, push};
use nextbasket_recommender::DatasetBuilder;

/// How the names of objects begin that hold a page.
pub(super) const PAGE: &str = "page-";
/// The name of the object with a segment's baskets.
pub(super) const BASKETS: &str = "baskets";

/// What a batch of this stage is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Input {
    /// Read this segment of the purchases.
    Purchases(Segment),
    /// Read all products.
    Products,
}

/// What a batch of this stage leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Left {
    /// A segment.
    Purchases(Surveyed),
    Products(Labelled),
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    /// Where the last page ended; none at the end of the segment.
    after: Option<Place>,
    /// The objects with the pages so far.
    pages: Vec<String>,
    /// The number of purchases that were skipped so far.
    damaged: u64,
}

/// Writes skipped damaged items, by their keys, to the job's refused files.
fn refuse(work: &mut Work, damaged: &[Damaged]) {
    for damaged in damaged {
        work.refuse(&json!(damaged), &damaged.problem);
    }
}

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, WorkError> {
    match work.input()? {
        Input::Purchases(segment) => purchases(work, tables, segment).await,
        Input::Products => {
            let table = tables.products().map_err(|error| unnamed(&error))?;
            let (labels, damaged) = call(work, Touches::Reads, || Labels::read(&table)).await?;
            refuse(work, &damaged);
            let key = put(work, "labels", labels.encode().map_err(failed)?).await?;
            let (products, damaged) = (labels.products(), damaged.len() as u64);
            Outcome::done(&Left::Products(Labelled { labels: key, products, damaged }))
        }
    }
}

async fn purchases(work: &mut Work, tables: &Tables, segment: Segment) -> Result<Outcome, WorkError> {
    let table = tables.purchases().map_err(|error| unnamed(&error))?;
    let mut so_far = work.checkpoint::<Checkpoint>()?;
    let (pages, damaged) = loop {
        let (after, mut pages, damaged) = match so_far.take() {
            Some(Checkpoint { after: None, pages, damaged }) => break (pages, damaged),
            Some(Checkpoint { after, pages, damaged }) => (after, pages, damaged),
            None => (None, Vec::new(), 0),
        };
        let page = call(work, Touches::Reads, || table.purchases_in(segment, after.as_ref())).await?;
        let count = page.items.len() as u64;
        if count > 0 {
            let bought: Vec<Bought> = page.items.iter().map(Bought::from).collect();
            let content = serde_json::to_vec(&bought).map_err(failed)?;
            pages.push(put(work, &format!("{PAGE}{:08}", pages.len()), content).await?);
        }
        refuse(work, &page.damaged);
        let skipped = page.damaged.len() as u64;
        work.progress.processed += count + skipped;
        work.progress.matched += count;
        let checkpoint = Checkpoint { after: page.end, pages, damaged: damaged + skipped };
        if work.save(&checkpoint).await? == Go::Stop {
            return Ok(Outcome::Stopped);
        }
        so_far = Some(checkpoint);
    };
    let mut builder = DatasetBuilder::new();
    objects(work, pages.iter().map(String::as_str), |content| {
        let page: Vec<Bought> = serde_json::from_slice(&content).map_err(failed)?;
        page.iter().try_for_each(|bought| push(&mut builder, bought)).map_err(failed)
    })
    .await?;
    let (survey, products, baskets) = blocking(move || {
        let data = builder.build()?;
        Ok::<_, StageError>((Survey::of(&data), data.catalogue().encode(), data.encode()))
    })
    .await?;
    let products = put(work, "products", products).await?;
    let baskets = put(work, BASKETS, baskets).await?;
    Outcome::done(&Left::Purchases(Surveyed { survey, products, baskets, damaged }))
}
