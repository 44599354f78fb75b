//! Kinds of shoppers and what they come back for, from `personas.json`.

use std::sync::LazyLock;

use serde::Deserialize;

/// Products of which a shopper has a favourite, or shelves, by weight.
pub(crate) type Picks = Vec<(String, u32)>;

/// Something that is used up and bought again.
#[derive(Debug, Deserialize)]
pub(crate) struct Habit {
    pub(crate) picks: Picks,
    /// Days from one time to the next, at least and at most.
    pub(crate) every: (u32, u32),
    #[serde(default = "one")]
    pub(crate) quantity: (u32, u32),
    /// Of a hundred such shoppers, how many have it.
    pub(crate) share: u32,
    /// Of a hundred times, how often it is the favourite.
    pub(crate) loyal: u32,
}

fn one() -> (u32, u32) {
    (1, 1)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Persona {
    /// How many there are beside the others.
    pub(crate) weight: u32,
    pub(crate) starts: Picks,
    /// Of a hundred, how many begin with one of them; the others have it from elsewhere.
    pub(crate) starts_percent: u32,
    pub(crate) habits: Vec<Habit>,
    /// The shelves that one looks at besides, by weight.
    pub(crate) looks_at: Picks,
    /// Of a hundred orders, how many have something from there.
    pub(crate) looks_percent: u32,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Personas {
    pub(crate) regulars: Vec<Persona>,
    /// The shelves of those who come once, or now and then, without a habit.
    pub(crate) visitors_look_at: Picks,
}

pub(crate) static PERSONAS: LazyLock<Personas> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> serde_json::Result<Personas> {
    serde_json::from_str(include_str!("personas.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_personas_are_readable() {
        assert_eq!(read().unwrap().regulars.len(), 10);
    }
}
