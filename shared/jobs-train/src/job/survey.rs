//! Stage `survey`: a segment of the purchases to baskets, and the products to their details.
//!
//! Each page of purchases becomes an object, with the checkpoint, so that no more than a page is read twice. At the end
//! the pages become one data set. A purchase that was seen on two pages, since it was written anew in between, counts
//! once.

use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_tables::segment::{Segment, SegmentPosition};
use nextbasket_tables::{Damaged, Tables};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::objects::objects;
use super::outputs::{SurveyedProducts, SurveyedSegment};
use super::{blocking, config_error, failed};
use crate::error::StageError;
use crate::product_details::ProductDetails;
use crate::training_data::{PurchaseStatistics, TrainingPurchase, add};
use nextbasket_recommender::DatasetBuilder;
use nextbasket_recommender::ranker::NewestBaskets;

/// The prefix of the names of objects that hold a page.
const PAGE: &str = "page-";
/// The name of the object with a segment's baskets.
const BASKETS: &str = "baskets";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SurveyInput {
    Purchases(Segment),
    Products,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SurveyOutput {
    Purchases(SurveyedSegment),
    Products(SurveyedProducts),
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    /// Where the last page ended; none at the end of the segment.
    after: Option<SegmentPosition>,
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

pub(super) async fn work(work: &mut Work, tables: &Tables) -> Result<Outcome, CallError> {
    match work.input()? {
        SurveyInput::Purchases(segment) => purchases(work, tables, segment).await,
        SurveyInput::Products => {
            let table = tables.products().map_err(|error| config_error(&error))?;
            let (details, damaged) = work.call(Consumes::Reads, || ProductDetails::read(&table)).await?;
            refuse(work, &damaged);
            let key = work.put_own("products", details.encode().map_err(failed)?).await?;
            let (products, damaged) = (details.products(), damaged.len() as u64);
            Ok(Outcome::done(&SurveyOutput::Products(SurveyedProducts { details: key, products, damaged }))?)
        }
    }
}

async fn purchases(work: &mut Work, tables: &Tables, segment: Segment) -> Result<Outcome, CallError> {
    let table = tables.purchases().map_err(|error| config_error(&error))?;
    let key = work.job().key().map_err(|problem| WorkError::Systemic(problem.to_owned()))?.clone();
    let mut so_far = work.checkpoint::<Checkpoint>()?;
    let (pages, damaged) = loop {
        let (after, mut pages, damaged) = match so_far.take() {
            Some(Checkpoint { after: None, pages, damaged }) => break (pages, damaged),
            Some(Checkpoint { after, pages, damaged }) => (after, pages, damaged),
            None => (None, Vec::new(), 0),
        };
        let page = work.call(Consumes::Reads, || table.purchases_in(segment, after.as_ref())).await?;
        let count = page.items.len() as u64;
        if count > 0 {
            let read: Vec<TrainingPurchase> =
                page.items.iter().map(|purchase| TrainingPurchase::new(purchase, &key)).collect();
            let content = serde_json::to_vec(&read).map_err(failed)?;
            pages.push(work.put_own(&format!("{PAGE}{:08}", pages.len()), content).await?);
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
        let page: Vec<TrainingPurchase> = serde_json::from_slice(&content).map_err(failed)?;
        page.iter().try_for_each(|purchase| add(&mut builder, purchase)).map_err(failed)
    })
    .await?;
    let (statistics, newest, products, baskets) = blocking(move || {
        let data = builder.build()?;
        let (statistics, newest) = (PurchaseStatistics::of(&data), NewestBaskets::of(&data));
        Ok::<_, StageError>((statistics, newest, data.catalogue().encode(), data.encode()))
    })
    .await?;
    let products = work.put_own("products", products).await?;
    let baskets = work.put_own(BASKETS, baskets).await?;
    Ok(Outcome::done(&SurveyOutput::Purchases(SurveyedSegment {
        statistics,
        products,
        baskets,
        newest,
        damaged,
    }))?)
}
