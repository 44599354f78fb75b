//! What leads to what, from `pairs.json`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Products of which each leads to the same others.
#[derive(Debug, Deserialize)]
pub(crate) struct Lead {
    pub(crate) from: Vec<String>,
    pub(crate) leads_to: Vec<Pair>,
}

/// What one product leads to.
#[derive(Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) to: String,
    /// Of a hundred.
    pub(crate) percent: u32,
    /// Days later, at least and at most; zero is the same basket.
    #[serde(default)]
    pub(crate) after: (u32, u32),
    /// Whether it happens again with every purchase; one tamper is enough.
    #[serde(default)]
    pub(crate) again: bool,
}

pub(crate) static LEADS: LazyLock<Vec<Lead>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> serde_json::Result<Vec<Lead>> {
    serde_json::from_str(include_str!("pairs.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_are_readable() {
        assert_eq!(read().unwrap().iter().map(|lead| lead.leads_to.len()).sum::<usize>(), 62);
    }
}
