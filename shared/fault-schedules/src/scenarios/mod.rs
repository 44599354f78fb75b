//! The scenarios: what is run, and what must hold.

mod answers;
mod archives;
mod dumps;
mod histories;
pub mod items;
mod locks;
mod maps;
mod purchases;
pub mod shop;
mod shop_jobs;
mod streams;
mod table_jobs;
mod uploads;

use clap::ValueEnum;

use crate::{Checked, World};

/// A scenario, named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Scenario {
    /// Purchases over HTTP events, histories through the stream, and answers.
    Purchases,
    /// Users who are erased while they buy and their histories are folded.
    Erasure,
    /// A lock that several processes compete for, and the data that it protects.
    Locks,
    /// Files that several runs upload.
    Uploads,
    /// The job kind `count`.
    Count,
    /// Updates, those that may be applied twice and those that may not.
    Update,
    /// Deletions of items.
    Delete,
    /// Copies of items into another table.
    Copy,
    /// Generated items.
    Fill,
    /// Records that pass through a function.
    Map,
    /// Dumps of a table to files.
    Dump,
    /// Restores of files to a table.
    Restore,
    /// A dump or a table compared with a table.
    Verify,
    /// Two tables, or a dump and a table, compared item by item.
    Diff,
    /// Items that are moved to files.
    Archive,
    /// Imports of purchases and products from files.
    Import,
    /// Trainings of a model from purchases.
    Train,
    /// Histories rebuilt from purchases.
    RebuildHistory,
    /// Popular lists made from purchases.
    RefreshPopular,
}

impl Scenario {
    /// The scenario's name; for jobs, the name of their kind.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The scenario of a seed, if none is requested.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let all = Self::value_variants();
        all[(seed % all.len() as u64) as usize]
    }

    /// Runs the scenario.
    pub async fn run(self, world: &World) -> Checked {
        match self {
            Self::Purchases => purchases::buy(world).await,
            Self::Erasure => purchases::erase(world).await,
            Self::Locks => locks::run(world).await,
            Self::Uploads => uploads::run(world).await,
            Self::Count => table_jobs::count(world).await,
            Self::Update => table_jobs::update(world).await,
            Self::Delete => table_jobs::delete(world).await,
            Self::Copy => table_jobs::copy(world).await,
            Self::Fill => table_jobs::fill(world).await,
            Self::Map => maps::run(world).await,
            Self::Dump => dumps::dump(world).await,
            Self::Restore => dumps::restore(world).await,
            Self::Verify => dumps::verify(world).await,
            Self::Diff => dumps::diff(world).await,
            Self::Archive => archives::run(world).await,
            Self::Import => shop_jobs::import(world).await,
            Self::Train => shop_jobs::train(world).await,
            Self::RebuildHistory => shop_jobs::rebuild_history(world).await,
            Self::RefreshPopular => shop_jobs::refresh_popular(world).await,
        }
    }
}
