//! Shoppers with a story that an answer can be judged by, from `heroes.json`.

use std::sync::LazyLock;

use serde::Deserialize;

/// A shopper whose purchases are the same whatever the seed.
#[derive(Debug, Deserialize)]
pub struct Hero {
    pub user: String,
    /// What they buy and what an answer should know of it.
    pub story: String,
    pub(crate) routines: Vec<Routine>,
}

/// Something that a hero buys so many times, the last time so many days before the end.
#[derive(Debug, Deserialize)]
pub(crate) struct Routine {
    /// With quantities.
    pub(crate) items: Vec<(String, u32)>,
    pub(crate) last: u32,
    #[serde(default)]
    pub(crate) every: u32,
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// The first and the last month of the year (1 to 12) in which they do.
    #[serde(default = "all_year")]
    pub(crate) months: (u32, u32),
}

fn once() -> u32 {
    1
}

fn all_year() -> (u32, u32) {
    (1, 12)
}

/// The heroes, the one to show first first.
pub static HEROES: LazyLock<Vec<Hero>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> serde_json::Result<Vec<Hero>> {
    serde_json::from_str(include_str!("heroes.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heroes_are_readable() {
        assert_eq!(read().unwrap().len(), 9);
    }
}
