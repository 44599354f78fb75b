//! `refresh-popular`: counts what is popular anew, between two trainings.
//!
//! * stage `read`: a batch for each segment of the purchases leaves what was bought when, and which baskets are of one
//!   shopper, but not of whom, as objects: the table is read once
//! * stage `count`: a batch for what each of those read sums up the baskets and their weights by window and product,
//!   back from the newest purchase of all
//! * stage `publish`: one batch cuts the lists, adds the products' categories and writes them into the model table
//!
//! A product's share is the one of [`Priors::popularity`](nextbasket_recommender::Priors::popularity), but for its
//! rounding: baskets weigh 0.5^(age / half-life). Beside it stands the plain count of the baskets of the last day,
//! seven days, thirty days or of all time, which is what an answer says, and of their shoppers: an answer says nothing of
//! a single one. Sums are of integers, so the lists are the same bytes whatever the
//! number of segments, their order and how they were merged.

mod count;
mod popularity_sums;
mod publish;
mod read;

use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::kind::check_range;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, StagePlan, Trust, Work,
    WorkError,
};
use nextbasket_tables::Tables;
use nextbasket_tables::damaged::check;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run_settings::{RunSettings, parse};
use crate::{segments, unplanned};
use popularity_sums::PopularitySums;
use read::SegmentPurchases;

const READ: &str = "read";
const COUNT: &str = "count";
const PUBLISH: &str = "publish";

/// Products of a list if the job does not say.
const PRODUCTS: u64 = 1_000;

/// The kind `refresh-popular`, over these tables: purchases, products and the model's.
#[derive(Debug, Clone)]
pub struct RefreshPopular(pub Tables);

/// Counts the popular products again, without a training.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PopularParameters {
    /// How many products a list has at most; 1,000 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    products: Option<u64>,
}

impl Kind for RefreshPopular {
    type Task = (PopularParameters, RunSettings);

    fn name(&self) -> &'static str {
        "refresh-popular"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<Self::Task, Refusal> {
        let (own, settings): (PopularParameters, _) = parse(parameters)?;
        check_range("products", own.products, 1, 10_000)?;
        Ok((own, settings))
    }

    fn lock(&self, _: &Self::Task) -> Option<String> {
        Some("refresh-popular".to_owned())
    }

    async fn estimate(&self, _: &Site, (_, settings): &Self::Task) -> Result<Estimate, JobError> {
        let size = self.0.purchases().map_err(unplanned)?.size().await?;
        #[allow(clippy::cast_precision_loss, reason = "an estimate")]
        let read_units = size.bytes as f64 / 8192.0;
        let estimate = Estimate {
            items: Some(size.items),
            bytes: Some(size.bytes),
            read_units,
            write_units: 200.0,
            ..Estimate::default()
        };
        Ok(estimate.at(settings.rates()))
    }

    async fn plan(
        &self,
        planning: &Planning<'_>,
        (parameters, settings): &Self::Task,
    ) -> Result<Next, JobError> {
        let Some(stage) = planning.job.stage() else {
            let size = self.0.purchases().map_err(unplanned)?.size().await?;
            return Ok(Next::Stage(segments::stage(READ, "purchases", size, settings, |segment| {
                json!(segment)
            })));
        };
        let plan = match stage.name.as_str() {
            READ => count_stage(planning, stage.number).await?,
            COUNT => {
                let Some(sums) = planning.sum(stage.number, PopularitySums::merge).await? else {
                    return Ok(Next::Done(json!({ "purchases": 0, "published": false })));
                };
                let key = planning.put_json("popular.json", &sums).await?;
                let input = json!({ "sums": key, "products": parameters.products.unwrap_or(PRODUCTS) });
                StagePlan::single(PUBLISH, input)
            }
            _ => {
                let published = planning.results(stage.number).await?.pop();
                let nothing = || json!({ "purchases": 0, "published": false });
                return Ok(Next::Done(published.unwrap_or_else(nothing)));
            }
        };
        Ok(Next::Stage(settings.apply(plan)))
    }

    async fn work(&self, work: &mut Work, _: Self::Task) -> Result<Outcome, WorkError> {
        match work.job().stage().map(|stage| stage.name.clone()).as_deref() {
            Some(READ) => read::work(work, &self.0).await.or_else(CallError::outcome),
            Some(COUNT) => count::work(work).await,
            _ => publish::work(work, &self.0).await.or_else(CallError::outcome),
        }
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for RefreshPopular {
    fn parameters_schema(&self) -> Value {
        crate::run_settings::schema_of::<PopularParameters>()
    }
}

/// A batch for what each batch of `read` left.
async fn count_stage(planning: &Planning<'_>, read: u32) -> Result<StagePlan, JobError> {
    let all: Vec<SegmentPurchases> = planning.results(read).await?;
    let sum = |of: fn(&SegmentPurchases) -> u64| all.iter().map(of).sum();
    check("purchases", sum(|bought| bought.damaged), sum(|bought| bought.purchases))
        .map_err(|error| JobError::Failed(error.to_string()))?;
    let newest = all.iter().filter_map(|bought| bought.newest).max();
    let batches: Vec<BatchPlan> = all
        .into_iter()
        .filter(|bought| bought.purchases > 0)
        .map(|bought| BatchPlan {
            weight: bought.purchases,
            of: Some(bought.purchases),
            ..BatchPlan::new(json!({ "newest": newest, "runs": bought.runs }))
        })
        .collect();
    let split = json!({ "by": "size", "batches": batches.len() });
    Ok(StagePlan::new(COUNT, split, batches))
}
