//! Where a product in an answer comes from, as a fact that a person can recount from the purchases.
//!
//! Counts are of the model's training, or of the refresh of the popular lists. They are of other shoppers than the one
//! whom the answer is for, if the request names a user ([`OwnPurchases`](crate::own_purchases::OwnPurchases)), and
//! there is no reason from a single basket or shopper. A reason has no text before
//! [`ReasonTexts`](crate::reason_texts::ReasonTexts) puts it into words.

use nextbasket_domain::time::DAY_MS;
use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_recommender::Window;
use serde::Serialize;

/// The fewest shoppers or baskets that a reason may be made of.
pub const MIN_SUPPORT: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ReasonKind {
    /// The user bought it before.
    BoughtAgain,
    /// Shoppers bought it in the purchases after one with what the user bought.
    BoughtNext,
    /// It lies in baskets with what is in the cart, or with the product asked about.
    BoughtTogether,
    /// The shoppers of the product asked about bought it too, at another time.
    BoughtBySameShoppers,
    /// Many buy it.
    Popular,
    /// The request asked for it.
    Pinned,
    /// The catalogue has it; there is no other reason with enough support.
    Catalogue,
}

impl ReasonKind {
    /// Each, with the metric that counts items of this source.
    pub(crate) const METRICS: [(Self, &str); 7] = [
        (Self::BoughtAgain, "ItemsBoughtAgain"),
        (Self::BoughtNext, "ItemsBoughtNext"),
        (Self::BoughtTogether, "ItemsBoughtTogether"),
        (Self::BoughtBySameShoppers, "ItemsBoughtBySameShoppers"),
        (Self::Popular, "ItemsPopular"),
        (Self::Pinned, "ItemsPinned"),
        (Self::Catalogue, "ItemsFromCatalogue"),
    ];
}

/// How many did something, as far as it is sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SureCount {
    pub count: u32,
    /// Whether it may be more.
    pub at_least: bool,
}

impl SureCount {
    pub(crate) fn exactly(count: u32) -> Self {
        Self { count, at_least: false }
    }

    fn has_support(self) -> bool {
        self.count >= MIN_SUPPORT
    }
}

/// Whose purchases are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountedShoppers {
    /// All, since it is not known whom the answer is for.
    All,
    /// All but the one whom the answer is for.
    Others,
}

/// A product that speaks for another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub product_id: ProductId,
    pub name: String,
    /// Shoppers, or baskets, as the reason's own count says.
    pub count: u32,
    #[serde(skip_serializing_if = "is_false")]
    pub at_least: bool,
}

impl Evidence {
    pub(crate) fn new(product_id: ProductId, name: String, count: SureCount) -> Self {
        Self { product_id, name, count: count.count, at_least: count.at_least }
    }

    pub(crate) fn sure_count(&self) -> SureCount {
        SureCount { count: self.count, at_least: self.at_least }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One reason of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reason {
    pub kind: ReasonKind,
    /// The part of the score that it explains, 0 to 1.
    pub share: f64,
    /// The fact in the language of the answer.
    pub text: String,
    #[serde(flatten)]
    pub fact: ReasonFact,
    #[serde(skip)]
    pub of: CountedShoppers,
}

/// What a reason says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub(crate) enum ReasonFact {
    BoughtAgain {
        /// In how many of `purchases` purchases the user bought it.
        times: u32,
        purchases: u32,
        last_purchased_at: Timestamp,
    },
    BoughtNext {
        /// The products that speak for it most, best first: each with its own count.
        because: Vec<Evidence>,
        /// The largest count of them.
        shoppers: u32,
    },
    BoughtTogether {
        because: Vec<Evidence>,
        baskets: u32,
    },
    BoughtBySameShoppers {
        because: [Evidence; 1],
        shoppers: u32,
    },
    PopularLately {
        baskets: u32,
        /// All purchases that were made after `since`, and not after `until`.
        purchases: u64,
        since: Timestamp,
        until: Timestamp,
        #[serde(skip)]
        window: Window,
        /// Whether `until` is so close to now that nobody minds.
        #[serde(skip)]
        recent: bool,
    },
    PopularEver {
        baskets: u32,
        purchases: u64,
    },
    PopularWithShoppers {
        shoppers: u32,
        #[serde(skip_serializing_if = "is_false")]
        at_least: bool,
    },
    Pinned {},
    Catalogue {},
}

impl Reason {
    fn new(kind: ReasonKind, fact: ReasonFact, of: CountedShoppers) -> Self {
        Self { kind, share: 1.0, text: String::new(), fact, of }
    }

    pub(crate) fn pinned() -> Self {
        Self::new(ReasonKind::Pinned, ReasonFact::Pinned {}, CountedShoppers::All)
    }

    pub(crate) fn catalogue() -> Self {
        Self::new(ReasonKind::Catalogue, ReasonFact::Catalogue {}, CountedShoppers::All)
    }

    pub(crate) fn bought_again(times: u32, purchases: u32, last: Timestamp) -> Self {
        let fact = ReasonFact::BoughtAgain { times, purchases, last_purchased_at: last };
        Self::new(ReasonKind::BoughtAgain, fact, CountedShoppers::All)
    }

    /// Of those products that enough shoppers support; `None` if there are none.
    pub(crate) fn bought_next(because: Vec<Evidence>, of: CountedShoppers) -> Option<Self> {
        let (because, shoppers) = supported(because)?;
        Some(Self::new(ReasonKind::BoughtNext, ReasonFact::BoughtNext { because, shoppers }, of))
    }

    /// Of those products that enough baskets support; `None` if there are none.
    pub(crate) fn bought_together(because: Vec<Evidence>, of: CountedShoppers) -> Option<Self> {
        let (because, baskets) = supported(because)?;
        Some(Self::new(ReasonKind::BoughtTogether, ReasonFact::BoughtTogether { because, baskets }, of))
    }

    pub(crate) fn bought_by_same_shoppers(because: Evidence) -> Option<Self> {
        let shoppers = because.count;
        because.sure_count().has_support().then(|| {
            let fact = ReasonFact::BoughtBySameShoppers { because: [because], shoppers };
            Self::new(ReasonKind::BoughtBySameShoppers, fact, CountedShoppers::All)
        })
    }

    /// `baskets` of the `purchases` of the window up to `until`; of all purchases for the window of all time.
    pub(crate) fn popular_lately(
        baskets: u32,
        purchases: u64,
        window: Window,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        if !SureCount::exactly(baskets).has_support() {
            return None;
        }
        let Some(days) = window_days(window) else {
            let fact = ReasonFact::PopularEver { baskets, purchases };
            return Some(Self::new(ReasonKind::Popular, fact, CountedShoppers::All));
        };
        let since = until.plus_millis(-days * DAY_MS);
        // "The last 7 days" is said of days that ended up to one day ago, and in proportion of other windows.
        let recent = now.as_millis() - until.as_millis() < days * DAY_MS / 7;
        let fact = ReasonFact::PopularLately { baskets, purchases, since, until, window, recent };
        Some(Self::new(ReasonKind::Popular, fact, CountedShoppers::All))
    }

    pub(crate) fn popular_ever(baskets: u32, purchases: u64, of: CountedShoppers) -> Option<Self> {
        let fact = ReasonFact::PopularEver { baskets, purchases };
        SureCount::exactly(baskets).has_support().then(|| Self::new(ReasonKind::Popular, fact, of))
    }

    pub(crate) fn popular_with_shoppers(shoppers: SureCount, of: CountedShoppers) -> Option<Self> {
        let fact = ReasonFact::PopularWithShoppers { shoppers: shoppers.count, at_least: shoppers.at_least };
        shoppers.has_support().then(|| Self::new(ReasonKind::Popular, fact, of))
    }

    /// With the part of the score that it explains, to two decimals.
    pub(crate) fn with_share(self, share: f64) -> Self {
        Self { share: (share * 100.0).round() / 100.0, ..self }
    }
}

/// How many days are counted back for a window; `None` for all.
fn window_days(window: Window) -> Option<i64> {
    match window {
        Window::Day => Some(1),
        Window::Week => Some(7),
        Window::Month => Some(30),
        Window::AllTime | Window::Scoring => None,
    }
}

/// Those with enough support, and the largest count of them.
fn supported(mut because: Vec<Evidence>) -> Option<(Vec<Evidence>, u32)> {
    because.retain(|evidence| evidence.sure_count().has_support());
    let most = because.iter().map(|evidence| evidence.count).max()?;
    Some((because, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(count: u32) -> Evidence {
        Evidence::new(ProductId::parse("p").unwrap(), "P".to_owned(), SureCount::exactly(count))
    }

    #[test]
    fn nothing_is_explained_by_a_single_basket_or_shopper() {
        let (all, at) = (CountedShoppers::All, Timestamp::EPOCH);
        assert_eq!(Reason::bought_next(vec![evidence(1), evidence(0)], all), None);
        assert_eq!(Reason::bought_together(vec![evidence(1)], all), None);
        assert_eq!(Reason::bought_by_same_shoppers(evidence(1)), None);
        assert_eq!(Reason::popular_lately(1, 9, Window::Week, at, at), None);
        assert_eq!(Reason::popular_ever(1, 9, all), None);
        assert_eq!(Reason::popular_with_shoppers(SureCount { count: 1, at_least: true }, all), None);
        let kept = Reason::bought_next(vec![evidence(1), evidence(3), evidence(2)], all).unwrap();
        let ReasonFact::BoughtNext { because, shoppers } = kept.fact else { panic!("{kept:?}") };
        assert_eq!((because.len(), shoppers), (2, 3));
    }

    #[test]
    fn a_window_that_ended_long_ago_is_not_the_last_days() {
        let until = Timestamp::EPOCH.plus_millis(100 * DAY_MS);
        let recent = |window, hours: i64| {
            let now = until.plus_millis(hours * 3_600_000);
            match Reason::popular_lately(2, 3, window, until, now).unwrap().fact {
                ReasonFact::PopularLately { since, recent, .. } => {
                    (recent, (until.as_millis() - since.as_millis()) / DAY_MS)
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(recent(Window::Week, 23), (true, 7));
        assert_eq!(recent(Window::Week, 25), (false, 7));
        assert_eq!(recent(Window::Day, 5), (false, 1));
        assert_eq!(recent(Window::Month, 72), (true, 30));
    }
}
