//! `models`: the trained models that are kept, and which is live.

use clap::{Args, Subcommand};
use jobs_api::models::Model;
use nextbasket_jobs_train::ModelMetrics;
use nextbasket_tables::model::{ModelInfo, ModelRecord, ModelTable, RollbackError};
use serde_json::json;

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::stdio::{outln, print_result};
use crate::target::TargetOptions;
use crate::text_table::text_table;

#[derive(Debug, Args)]
pub struct Models {
    /// What to do [default: list]
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,
    #[command(flatten)]
    pub target: TargetOptions,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ModelsCommand {
    /// List the live model and the previous one, with their metrics
    List,
    /// Make another model live
    Use {
        /// The model's version
        version: u64,
    },
}

pub(crate) async fn run(options: &Models) -> Result<(), Failure> {
    let target = options.target.open(IfMissing::Fail).await?;
    let result = match target.tables.model() {
        Ok(table) => run_on(&table, options).await,
        Err(error) => Err(error.into()),
    };
    target.close(result).await
}

async fn run_on(table: &ModelTable, options: &Models) -> Result<(), Failure> {
    if let Some(ModelsCommand::Use { version }) = options.command {
        table.make_current(version).await.map_err(|error| match error {
            RollbackError::Table(error) => error.into(),
            other => Failure::other(other),
        })?;
        let value = json!({ "version": version, "live": true });
        print_result(options.json, &value, || format!("Model {version} is live."));
        return Ok(());
    }
    let models = table.models().await?;
    if !options.json {
        outln!("{}", as_table(&models));
        return Ok(());
    }
    let items: Result<Vec<_>, _> = models.into_iter().map(Model::of).collect();
    outln!("{}", json!({ "items": items.map_err(Failure::other)? }));
    Ok(())
}

fn as_table(models: &[ModelRecord]) -> String {
    if models.is_empty() {
        return "There is no model yet: run `nextbasket train`.".to_owned();
    }
    let mut table = text_table(&["Model", "", "Trained", "Users", "Purchases", "Products", "nDCG@10"]);
    for ModelRecord { version, live, trained_at, info } in models {
        let count =
            |of: fn(&ModelInfo) -> u64| info.as_ref().map_or(String::new(), |info| of(info).to_string());
        table.add_row([
            version.to_string(),
            if *live { "live".to_owned() } else { String::new() },
            trained_at.to_string(),
            count(|info| info.users),
            count(|info| info.purchases),
            count(|info| info.products),
            ndcg(info.as_ref()),
        ]);
    }
    table.to_string()
}

/// From the training's evaluation, if there were baskets to evaluate on.
fn ndcg(info: Option<&ModelInfo>) -> String {
    let metrics = info.and_then(|info| info.metrics.as_ref());
    let metrics: Option<ModelMetrics> = metrics.and_then(|text| serde_json::from_str(text).ok());
    let quality = metrics.as_ref().and_then(|metrics| metrics.methods.model.at(10));
    quality.map_or_else(String::new, |quality| format!("{:.3}", quality.ndcg))
}
