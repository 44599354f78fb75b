//! `recommend` and `related`: one question to the API, answered as a table.

use std::path::Path;

use nextbasket_domain::{ProductId, UserId};
use serde_json::Value;

use crate::Failure;
use crate::cli::{Recommend, Related};
use crate::client::{Api, escape};
use crate::place::Place;
use crate::table;

/// Shows a user's recommendations.
///
/// # Errors
/// [`Failure`] if the folder cannot be used or the API refuses.
pub async fn recommend(options: &Recommend) -> Result<(), Failure> {
    UserId::parse(&options.user).map_err(|error| Failure::Usage(format!("USER {error}")))?;
    let category =
        options.category.as_deref().map_or(String::new(), |name| format!("&category={}", escape(name)));
    let path = format!("/users/{}/recommendations?limit={}{category}", escape(&options.user), options.limit);
    show(&options.data.data, &path, options.json).await
}

/// Shows what goes with a product.
///
/// # Errors
/// [`Failure`] if the folder cannot be used or the API refuses.
pub async fn related(options: &Related) -> Result<(), Failure> {
    ProductId::parse(&options.product).map_err(|error| Failure::Usage(format!("PRODUCT {error}")))?;
    let (product, kind) = (escape(&options.product), escape(&options.kind));
    let path = format!("/products/{product}/related?kind={kind}&limit={}", options.limit);
    show(&options.data.data, &path, options.json).await
}

async fn show(data: &Path, path: &str, json: bool) -> Result<(), Failure> {
    if !data.exists() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}: name it with --data, or fill one with `nextbasket import FILE --data DIR`",
            data.display()
        )));
    }
    let mut place = Place::open(data).await?;
    let answer = async {
        place.catch_up(|_| ()).await?;
        Api::new(place.address()).get(path).await
    }
    .await;
    place.close().await?;
    let answer = answer?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer).map_err(Failure::other)?);
    } else {
        print(&answer);
    }
    Ok(())
}

/// Prints an answer as a table.
pub fn print(answer: &Value) {
    let items = answer.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        println!("Nothing to recommend: the catalogue has no available product that fits.");
        return;
    }
    println!("{}", table::recommendations(items));
    if answer.get("modelVersion").is_some_and(Value::is_null) {
        println!("There is no model yet: run `nextbasket train --data DIR`.");
    }
}
