//! `related`: products that go with a product.

use clap::Args;
use nextbasket_domain::ProductId;

use super::api_answer;
use crate::Failure;
use crate::api_client::escape;
use crate::options::DataFolder;

#[derive(Debug, Args)]
pub struct Related {
    /// The product's id
    pub product: String,
    #[command(flatten)]
    pub folder: DataFolder,
    /// together: in the same baskets; similar: by the same shoppers, at other times
    #[arg(long, default_value = "together")]
    pub kind: String,
    /// The number of products, 1 to 100
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
    /// Print the API's answer as JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) async fn run(options: &Related) -> Result<(), Failure> {
    ProductId::parse(&options.product).map_err(|error| Failure::Usage(format!("PRODUCT {error}")))?;
    let (product, kind) = (escape(&options.product), escape(&options.kind));
    // In the query, which carries every id.
    let path = format!("/products/related?productId={product}&kind={kind}&limit={}", options.limit);
    api_answer::show(&options.folder.data, None, &path, options.json).await
}
