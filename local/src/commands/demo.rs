//! `demo`: a generated coffee shop, trained, asked once, then served.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use nextbasket_domain::Clock;
use nextbasket_shop::Shop;
use nextbasket_tables::Tables;
use serde_json::json;

use super::{api_answer, train};
use crate::api_client::ApiClient;
use crate::job_run::RunOptions;
use crate::json_fields::array;
use crate::local_deployment::{DeploymentOptions, LocalDeployment, SERVER_WORKERS, job_site, machine_engine};
use crate::options::value::listen_address;
use crate::signals::until_stopped;
use crate::stdio::outln;
use crate::step_progress::StepProgress;
use crate::{Failure, text_table};

const PURCHASES_SHOWN: usize = 5;

/// How many items are written at a time.
const WRITERS: usize = 32;

#[derive(Debug, Args)]
pub struct Demo {
    /// The address of the HTTP API; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    pub listen: SocketAddr,
    /// The seed of the generated shop: the same seed gives the same shop
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Show the answer and exit, without serving
    #[arg(long)]
    pub once: bool,
}

impl Default for Demo {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), seed: 1, once: false }
    }
}

pub(crate) async fn run(options: &Demo) -> Result<(), Failure> {
    let mut deployment = LocalDeployment::start_without_mappings(DeploymentOptions {
        listen: options.listen,
        ..DeploymentOptions::on_any_port(None)
    })
    .await?;
    let shop =
        nextbasket_shop::generate(options.seed, Clock::system().now(), nextbasket_shop::ShopSize::DEMO);
    let names: HashMap<String, String> =
        shop.products.iter().map(|product| (product.product_id.to_string(), product.name.clone())).collect();
    outln!(
        "A coffee shop, generated: {} products, {} purchases in a year.",
        shop.products.len(),
        shop.purchases.len()
    );
    load(deployment.tables(), &shop).await?;
    deployment.start_mappings().await?;
    let bar = StepProgress::new("Updating histories", shop.purchases.len() as u64);
    deployment.drain(|progress| bar.set(progress.delivered)).await?;
    bar.finish("done");
    deployment.forget_measurements();
    let engine =
        machine_engine(job_site(deployment.machine())?, deployment.tables(), deployment.machine().key());
    let training = train::train(&engine, Path::new(""), json!({}), None, RunOptions::default());
    if let Some(trained) = training.await? {
        outln!("{}", train::sentence(&trained));
    }
    let api = ApiClient::new(deployment.address());
    let user = nextbasket_shop::HEROES.first().map_or("ada", |hero| &hero.user);
    let purchases = api.get(&format!("/users/{user}/purchases?limit={PURCHASES_SHOWN}")).await?;
    outln!("\nWhat {user} bought last:");
    outln!(
        "{}",
        text_table::purchases(array(&purchases, "items"), &|id| names
            .get(id)
            .cloned()
            .unwrap_or_else(|| id.to_owned()))
    );
    outln!("\nRecommended for {user}:");
    api_answer::print(&api.get(&format!("/users/{user}/recommendations?limit=8")).await?);
    if options.once {
        return deployment.stop().await;
    }
    deployment.work_on_jobs(SERVER_WORKERS)?;
    print_what_to_try(&deployment, user);
    let signal = until_stopped().await;
    deployment.stop().await?;
    Failure::of_endless(signal)
}

/// Writes products, then purchases, many at a time.
async fn load(tables: &Tables, shop: &Shop) -> Result<(), Failure> {
    let (products, purchases) = (tables.products()?, tables.purchases()?);
    let bar = StepProgress::new("Writing", (shop.products.len() + shop.purchases.len()) as u64);
    let mut written =
        stream::iter(&shop.products).map(|product| products.put(product)).buffer_unordered(WRITERS);
    while written.try_next().await?.is_some() {
        bar.increment();
    }
    let mut written =
        stream::iter(&shop.purchases).map(|purchase| purchases.record(purchase)).buffer_unordered(WRITERS);
    while written.try_next().await?.is_some() {
        bar.increment();
    }
    bar.finish("done");
    Ok(())
}

fn print_what_to_try(deployment: &LocalDeployment, user: &str) {
    let url = format!("http://{}", deployment.address());
    outln!("\nServing at {url}. Try:");
    outln!("  {}   # the console, in a browser", deployment.console_link());
    outln!("  curl -s {url}/users/{user}/recommendations");
    outln!(
        "  curl -s -X POST {url}/purchases -d '{{\"purchaseId\":\"try-1\",\"userId\":\"{user}\",\"lines\":[{{\"productId\":\"matcha-ceremonial-30g\",\"quantity\":1}}]}}'"
    );
    outln!("  curl -s {url}/users/{user}/recommendations   # knows it already");
    outln!("  curl -s {url}/products/coffee-espresso-1kg/related");
    outln!("  curl -s {url}/products/popular");
    outln!("Stop with Ctrl-C.");
}
