//! What a scorer answers with.

use crate::catalogue::ProductIx;

/// A product of the user's history, with what it counts for the next basket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anchor {
    /// Which product.
    pub product: ProductIx,
    /// Σ over the baskets with it of `next decay^lag / size^power`.
    pub weight: f64,
}

/// One recommended product.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Which product.
    pub product: ProductIx,
    /// The sum of the parts; of a ranker's candidates, the share of their sums that it gives this one.
    pub total: f64,
    /// Where the total comes from.
    pub parts: ScoreParts,
    /// Its purchases by this user, if any.
    pub bought: Option<Bought>,
    /// The user's products that speak for it most, best first, at most [`MOST_REASONS`].
    pub next_reasons: Vec<NeighbourReason>,
    /// The cart's products that speak for it most, best first, at most [`MOST_REASONS`].
    pub together_reasons: Vec<NeighbourReason>,
}

/// How many reasons of a kind are given.
pub const MOST_REASONS: usize = 3;

/// The weighted parts of a total; with a ranker, what each of them carries of it. They then need not add up to the total:
/// a product may be carried by none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScoreParts {
    /// `f_i · d(u,i) · P(u,i)`: bought before, and bought again as a rule.
    pub personal: f64,
    /// `a · N(u,i)`: others bought it after what the user bought.
    pub next: f64,
    /// `g · pop_i`: bought by many these days.
    pub popular: f64,
    /// What lies in baskets with the cart's products.
    pub together: f64,
}

impl ScoreParts {
    /// The total.
    pub fn sum(&self) -> f64 {
        self.personal + self.next + self.popular + self.together
    }
}

/// A user's purchases of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bought {
    /// In how many baskets.
    pub times: u32,
    /// Out of how many.
    pub of_baskets: u32,
    /// How many baskets ago it was bought last; 0 is the newest.
    pub lag: u32,
    /// When that was, in milliseconds since 1970.
    pub time_ms: i64,
}

/// A product that speaks for another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NeighbourReason {
    /// The product that the user bought or has in the cart.
    pub product: ProductIx,
    /// What it adds to the part.
    pub contribution: f64,
    /// Shoppers who bought both in this order, or baskets with both.
    pub evidence: u32,
}

/// Keeps the strongest reasons; of equal ones those of smaller number.
pub(super) fn add_reason(reasons: &mut Vec<NeighbourReason>, reason: NeighbourReason) {
    let stronger = |other: &NeighbourReason| {
        (other.contribution, reason.product) >= (reason.contribution, other.product)
    };
    let place = reasons.iter().take_while(|other| stronger(other)).count();
    if place < MOST_REASONS {
        reasons.truncate(MOST_REASONS - 1);
        reasons.insert(place, reason);
    }
}
