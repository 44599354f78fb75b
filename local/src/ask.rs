//! `recommend` and `related`: one question to the API, answered as a table.

use std::path::Path;
use std::time::Duration;

use nextbasket_domain::{ProductId, UserId};
use serde_json::Value;

use crate::Failure;
use crate::cli::{Recommend, Related};
use crate::client::{Api, escape};
use crate::out::outln;
use crate::place::{Absent, Place};
use crate::table;

/// How long a command waits for an answer while another process takes over the folder.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows a user's recommendations.
///
/// # Errors
/// [`Failure`] if the folder cannot be used or the API refuses.
pub async fn recommend(options: &Recommend) -> Result<(), Failure> {
    let user = UserId::parse(&options.user).map_err(|error| Failure::Usage(format!("USER {error}")))?;
    let category =
        options.category.as_deref().map_or(String::new(), |name| format!("&category={}", escape(name)));
    let path = format!("/users/{}/recommendations?limit={}{category}", escape(&options.user), options.limit);
    show(&options.data.data, Some(&user), &path, options.json).await
}

/// Shows what goes with a product.
///
/// # Errors
/// [`Failure`] if the folder cannot be used or the API refuses.
pub async fn related(options: &Related) -> Result<(), Failure> {
    ProductId::parse(&options.product).map_err(|error| Failure::Usage(format!("PRODUCT {error}")))?;
    let (product, kind) = (escape(&options.product), escape(&options.kind));
    let path = format!("/products/{product}/related?kind={kind}&limit={}", options.limit);
    show(&options.data.data, None, &path, options.json).await
}

async fn show(data: &Path, user: Option<&UserId>, path: &str, json: bool) -> Result<(), Failure> {
    let place = Place::open(data, Absent::Refuse).await?;
    let answer = async {
        if let Some(user) = user {
            refresh(&place, user).await?;
        }
        // Nobody takes over from a server.
        let patience = if place.has_server() { Duration::ZERO } else { PATIENCE };
        Api::new(place.address()).patient(patience).get(path).await
    }
    .await;
    let answer = place.finish(answer).await?;
    if json {
        outln!("{}", serde_json::to_string_pretty(&answer).map_err(Failure::other)?);
    } else {
        print(&answer);
    }
    Ok(())
}

/// If no stream is followed, the user's history may lack the latest purchases. To refresh it costs reads of this
/// user's purchases only, however many changes of other users wait for the next server.
async fn refresh(place: &Place, user: &UserId) -> Result<(), Failure> {
    if !place.has_server() {
        let (history, purchases) = (place.tables().history()?, place.tables().purchases()?);
        history.refresh(user, &purchases).await?;
    }
    Ok(())
}

/// Prints an answer as a table.
pub fn print(answer: &Value) {
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        outln!("Nothing to recommend: the catalogue has no available product that fits.");
        return;
    }
    outln!("{}", table::recommendations(items));
    if answer.get("modelVersion").is_some_and(Value::is_null) {
        outln!("There is no model yet: run `nextbasket train --data DIR`.");
    }
}
