//! `demo`: a generated coffee shop, trained, asked once, then served.

use std::collections::HashMap;
use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use nextbasket_domain::Clock;
use nextbasket_shop::Shop;
use nextbasket_tables::Tables;
use serde_json::{Value, json};

use crate::cli::Demo;
use crate::client::Api;
use crate::jobs::run::RunOptions;
use crate::out::outln;
use crate::progress::Progress;
use crate::signals::until_stopped;
use crate::system::{Settings, System, WORKERS, own_engine, site};
use crate::{Failure, ask, table, train};

/// How many of the shopper's purchases are shown.
const SHOWN: usize = 5;

/// How many items are written at a time.
const WRITERS: usize = 32;

/// Shows the demo.
///
/// # Errors
/// [`Failure`] if the system does not start or cannot stop cleanly, or after Ctrl-C.
pub async fn run(options: &Demo) -> Result<(), Failure> {
    let mut system =
        System::start_without_mappings(Settings { listen: options.listen, ..Settings::on_any_port(None) })
            .await?;
    let shop = nextbasket_shop::generate(options.seed, Clock::system().now(), nextbasket_shop::Size::DEMO);
    let names: HashMap<String, String> =
        shop.products.iter().map(|product| (product.product_id.to_string(), product.name.clone())).collect();
    outln!(
        "A coffee shop, generated: {} products, {} purchases in a year.",
        shop.products.len(),
        shop.purchases.len()
    );
    load(system.tables(), &shop).await?;
    system.follow().await?;
    let bar = Progress::new("Updating histories", shop.purchases.len() as u64, false);
    system.drain(|followed| bar.set(followed.delivered)).await?;
    bar.finish("done");
    let engine = own_engine(site(system.machine())?, system.tables(), system.machine().key());
    let how = RunOptions::default();
    if let Some(trained) = train::train(&engine, Path::new(""), json!({}), None, how).await? {
        outln!("{}", train::sentence(&trained));
    }
    let api = Api::new(system.address());
    let user = nextbasket_shop::HEROES.first().map_or("ada", |hero| hero.user);
    let purchases = api.get(&format!("/users/{user}/purchases?limit={SHOWN}")).await?;
    let items = purchases.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    outln!("\nWhat {user} bought last:");
    outln!("{}", table::purchases(&items, &|id| names.get(id).cloned().unwrap_or_else(|| id.to_owned())));
    outln!("\nRecommended for {user}:");
    ask::print(&api.get(&format!("/users/{user}/recommendations?limit=8")).await?);
    if options.once {
        return system.stop().await;
    }
    system.work_on_jobs(WORKERS)?;
    print_what_to_try(&system, user);
    let stopping = until_stopped().await;
    system.stop().await?;
    stopping.as_end()
}

/// Writes products, then purchases, many at a time.
async fn load(tables: &Tables, shop: &Shop) -> Result<(), Failure> {
    let (products, purchases) = (tables.products()?, tables.purchases()?);
    let bar = Progress::new("Writing", (shop.products.len() + shop.purchases.len()) as u64, false);
    let mut written =
        stream::iter(&shop.products).map(|product| products.put(product)).buffer_unordered(WRITERS);
    while written.try_next().await?.is_some() {
        bar.inc();
    }
    let mut written =
        stream::iter(&shop.purchases).map(|purchase| purchases.record(purchase)).buffer_unordered(WRITERS);
    while written.try_next().await?.is_some() {
        bar.inc();
    }
    bar.finish("done");
    Ok(())
}

fn print_what_to_try(system: &System, user: &str) {
    let url = format!("http://{}", system.address());
    outln!("\nServing at {url}. Try:");
    outln!("  curl -s {url}/users/{user}/recommendations");
    outln!(
        "  curl -s -X POST {url}/purchases -d '{{\"purchaseId\":\"try-1\",\"userId\":\"{user}\",\"lines\":[{{\"productId\":\"matcha-ceremonial-30g\",\"quantity\":1}}]}}'"
    );
    outln!("  curl -s {url}/users/{user}/recommendations   # knows it already");
    outln!("  curl -s {url}/products/coffee-espresso-1kg/related");
    outln!("  curl -s {url}/products/popular");
    outln!("Stop with Ctrl-C.");
}
