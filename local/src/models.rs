//! `models`: the trained models that are kept, and which is live.

use jobs::models::Model;
use nextbasket_tables::model::{ModelInfo, ModelRecord, ModelTable, RollbackError};
use nextbasket_training::Metrics;
use serde_json::json;

use crate::Failure;
use crate::cli::{Models, ModelsCommand};
use crate::out::outln;
use crate::place::Absent;

/// Lists the models, or makes another one the live one.
///
/// # Errors
/// [`Failure`] if the target cannot be used, or there is no such model.
pub async fn run(options: &Models) -> Result<(), Failure> {
    let reached = options.target.reach(Absent::Refuse).await?;
    let result = match reached.tables().model() {
        Ok(table) => run_on(&table, options).await,
        Err(error) => Err(error.into()),
    };
    reached.finish(result).await
}

async fn run_on(table: &ModelTable, options: &Models) -> Result<(), Failure> {
    if let Some(ModelsCommand::Use { version }) = options.command {
        table.make_current(version).await.map_err(|error| match error {
            RollbackError::Table(error) => error.into(),
            other => Failure::other(other),
        })?;
        if options.json {
            outln!("{}", json!({ "version": version, "live": true }));
        } else {
            outln!("Model {version} is live.");
        }
        return Ok(());
    }
    let models = table.models().await?;
    if options.json {
        let items: Result<Vec<_>, _> = models.into_iter().map(Model::of).collect();
        outln!("{}", json!({ "items": items.map_err(Failure::other)? }));
    } else if models.is_empty() {
        outln!("There is no model yet: run `nextbasket train`.");
    } else {
        outln!("{}", in_words(&models));
    }
    Ok(())
}

fn in_words(models: &[ModelRecord]) -> String {
    let mut table =
        crate::table::table(&["Model", "", "Trained", "Users", "Purchases", "Products", "nDCG@10"]);
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

/// As the training judged it, if there was a basket to judge by.
fn ndcg(info: Option<&ModelInfo>) -> String {
    let metrics = info.and_then(|info| info.metrics.as_ref());
    let metrics: Option<Metrics> = metrics.and_then(|text| serde_json::from_str(text).ok());
    let quality = metrics.as_ref().and_then(|metrics| metrics.model.at(10));
    quality.map_or_else(String::new, |quality| format!("{:.3}", quality.ndcg))
}
