//! `refresh-popular`: the popular products, counted without a training.

use std::collections::BTreeMap;

use clap::Args;
use serde::Deserialize;

use crate::Failure;
use crate::options::{JobOptions, Parameters};

#[derive(Debug, Args)]
pub struct RefreshPopular {
    /// The number of products in each list, 1 to 10,000 [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub products: Option<u32>,
    #[command(flatten)]
    pub job: JobOptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refreshed {
    purchases: u64,
    products: u64,
    published: bool,
    lists: BTreeMap<String, u64>,
}

pub(crate) async fn run(options: &RefreshPopular) -> Result<(), Failure> {
    let parameters = Parameters::default().with("products", options.products);
    let Some(ended) = options.job.run("refresh-popular", parameters).await? else { return Ok(()) };
    ended.report_skipped();
    let Refreshed { purchases, products, published, lists } = ended.result_as()?;
    ended.print(options.job.json, || {
        if !published {
            return "There are no purchases, so nothing is popular.".to_owned();
        }
        let lists: Vec<String> = lists.iter().map(|(list, length)| format!("{list} ({length})")).collect();
        format!("Counted {products} products of {purchases} purchases; new lists: {}.", lists.join(", "))
    });
    Ok(())
}
