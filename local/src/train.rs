//! `train`: counts the purchases and makes the model the live one.

use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

use nextbasket_domain::Clock;
use nextbasket_recommender::Params;
use nextbasket_tables::Tables;
use nextbasket_training::{Progress as Step, Trained};
use serde_json::json;

use crate::Failure;
use crate::cli::Train;
use crate::place::Place;
use crate::progress::Progress;

/// Trains on the folder's purchases.
///
/// # Errors
/// [`Failure`] if the parameters or the folder cannot be used, or there is nothing to train on.
pub async fn run(options: &Train) -> Result<(), Failure> {
    let params = match &options.params {
        Some(path) => read_params(path)?,
        None => Params::default(),
    };
    let place = Place::open(&options.data.data).await?;
    place.bulk_loading(true)?;
    let result = train(place.tables(), params, options.threads).await;
    place.bulk_loading(false)?;
    place.close().await?;
    let trained = result?;
    if options.json {
        println!("{}", as_json(&trained));
    } else {
        println!("{}", sentence(&trained));
    }
    Ok(())
}

fn read_params(path: &Path) -> Result<Params, Failure> {
    let named = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| Failure::File { path: named.clone(), source })?;
    let params: Params =
        serde_json::from_str(&text).map_err(|error| Failure::Usage(format!("{named}: {error}")))?;
    params.validate().map_err(|error| Failure::Usage(format!("{named}: {error}")))?;
    Ok(params)
}

/// Trains with progress on standard error.
///
/// # Errors
/// [`Failure`] as `nextbasket_training::run`.
pub async fn train(
    tables: &Tables,
    params: Params,
    threads: Option<NonZero<usize>>,
) -> Result<Trained, Failure> {
    let threads = threads.or_else(|| available_parallelism().ok()).unwrap_or(NonZero::<usize>::MIN);
    let bar = Progress::new("Training", 0, false);
    let show = |step: Step| match step {
        Step::Reading(read) => bar.set_total(read),
        Step::Counting => {}
        Step::Publishing(written, all) => {
            bar.set_total(all);
            bar.set(written);
        }
    };
    let trained = nextbasket_training::run(tables, params, threads, &Clock::system(), &show).await?;
    bar.finish(format!(
        "read {:.1} s, counted {:.1} s, published {:.1} s",
        trained.reading.as_secs_f64(),
        trained.counting.as_secs_f64(),
        trained.publishing.as_secs_f64()
    ));
    Ok(trained)
}

/// What a training came to, in a sentence.
#[must_use]
pub fn sentence(trained: &Trained) -> String {
    format!(
        "Model {} is live: {} products from {} purchases of {} users.",
        trained.pointer.version, trained.products, trained.purchases, trained.users
    )
}

fn as_json(trained: &Trained) -> serde_json::Value {
    json!({
        "modelVersion": trained.pointer.version,
        "users": trained.users,
        "purchases": trained.purchases,
        "products": trained.products,
        "seconds": {
            "reading": trained.reading.as_secs_f64(),
            "counting": trained.counting.as_secs_f64(),
            "publishing": trained.publishing.as_secs_f64(),
        },
    })
}
