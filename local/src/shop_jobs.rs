//! `rebuild-history` and `refresh-popular`: jobs over the shop's own tables.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Failure;
use crate::cli::parameters::Parameters;
use crate::cli::{RebuildHistory, RefreshPopular};
use crate::jobs::run::run;

#[derive(Debug, Deserialize)]
struct Rebuilt {
    users: u64,
    changed: u64,
    swept: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refreshed {
    purchases: u64,
    products: u64,
    published: bool,
    lists: BTreeMap<String, u64>,
}

/// Brings all histories, or one user's, in line with the purchases.
///
/// # Errors
/// [`Failure`] if the target cannot be used, or the job fails.
pub async fn rebuild_history(options: &RebuildHistory) -> Result<(), Failure> {
    let parameters = Parameters::default().with("user", options.user.clone()).json();
    let running = &options.running;
    let Some(ended) = run(&running.target, "rebuild-history", parameters, &running.options()).await? else {
        return Ok(());
    };
    ended.note_skipped();
    let Rebuilt { users, changed, swept } = ended.result_as()?;
    ended.say(running.json, || {
        format!("Looked at {users} users: {changed} histories were brought in line, {swept} without purchases removed.")
    });
    Ok(())
}

/// Counts anew what is popular.
///
/// # Errors
/// [`Failure`] if the target cannot be used, or the job fails.
pub async fn refresh_popular(options: &RefreshPopular) -> Result<(), Failure> {
    let parameters = Parameters::default().with("products", options.products).json();
    let running = &options.running;
    let Some(ended) = run(&running.target, "refresh-popular", parameters, &running.options()).await? else {
        return Ok(());
    };
    ended.note_skipped();
    let Refreshed { purchases, products, published, lists } = ended.result_as()?;
    ended.say(running.json, || {
        if published {
            let lists: Vec<String> =
                lists.iter().map(|(list, length)| format!("{list} ({length})")).collect();
            format!(
                "Counted {products} products of {purchases} purchases anew; new lists: {}.",
                lists.join(", ")
            )
        } else {
            "There are no purchases, so nothing is popular.".to_owned()
        }
    });
    Ok(())
}
