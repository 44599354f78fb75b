//! `recommend`: a user's recommendations.

use clap::Args;
use nextbasket_domain::{Timestamp, UserId};

use super::api_answer;
use crate::Failure;
use crate::api_client::escape;
use crate::options::DataFolder;

#[derive(Debug, Args)]
pub struct Recommend {
    /// The user's id
    pub user: String,
    #[command(flatten)]
    pub folder: DataFolder,
    /// The number of products, 1 to 100
    #[arg(long, default_value_t = 10)]
    pub limit: u32,
    /// Only products of this category
    #[arg(long)]
    pub category: Option<String>,
    /// The time that the answer is for, such as 2026-12-04T09:00:00Z; by default now
    #[arg(long, value_parser = Timestamp::parse_lenient)]
    pub at: Option<Timestamp>,
    /// Print the API's answer as JSON
    #[arg(long)]
    pub json: bool,
}

pub(crate) async fn run(options: &Recommend) -> Result<(), Failure> {
    let user = UserId::parse_new(&options.user).map_err(|error| Failure::Usage(format!("USER {error}")))?;
    let category =
        options.category.as_deref().map_or(String::new(), |name| format!("&category={}", escape(name)));
    let at = options.at.map_or(String::new(), |at| format!("&at={}", escape(&at.to_string())));
    let path =
        format!("/users/{}/recommendations?limit={}{category}{at}", escape(&options.user), options.limit);
    api_answer::show(&options.folder.data, Some(&user), &path, options.json).await
}
