//! Where a product in an answer comes from, with the evidence.

use nextbasket_domain::{ProductId, Timestamp};
use nextbasket_recommender::Window;
use serde::Serialize;

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
    /// Many buy it these days.
    Popular,
    /// The request asked for it.
    Pinned,
    /// The catalogue has it; the model knows nothing that speaks for it.
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

/// A product that speaks for another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Evidence {
    pub product_id: ProductId,
    pub name: String,
    /// Shoppers, or baskets, as the reason's own count says.
    pub count: u32,
}

/// One reason of an item. Its parts beside `kind`, `share` and `text` depend on the kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reason {
    pub kind: ReasonKind,
    /// The part of the score that it explains, 0 to 1.
    pub share: f64,
    /// The same in English.
    pub text: String,
    /// In how many of `purchases` purchases the user bought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purchases: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_purchased_at: Option<Timestamp>,
    /// The products that speak for it most, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Evidence>,
    /// At least so many shoppers did the same: the most that a single product in `because` stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shoppers: Option<u32>,
    /// At least so many baskets hold both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baskets: Option<u32>,
}

impl Reason {
    fn new(kind: ReasonKind, text: String) -> Self {
        Self {
            kind,
            share: 1.0,
            text,
            times: None,
            purchases: None,
            last_purchased_at: None,
            because: Vec::new(),
            shoppers: None,
            baskets: None,
        }
    }

    pub(crate) fn pinned() -> Self {
        Self::new(ReasonKind::Pinned, "Placed here by the shop".to_owned())
    }

    pub(crate) fn catalogue() -> Self {
        Self::new(ReasonKind::Catalogue, "From the catalogue".to_owned())
    }

    /// `popularity`: the share of the window's baskets that hold it.
    pub(crate) fn popular(popularity: f64, window: Window) -> Self {
        let percent = popularity * 100.0;
        let percent = if percent < 0.1 { "under 0.1".to_owned() } else { format!("{percent:.1}") };
        let which = if window == Window::AllTime { "all" } else { "recent" };
        Self::new(ReasonKind::Popular, format!("In {percent} % of {which} purchases"))
    }

    pub(crate) fn bought_again(times: u32, purchases: u32, last: Timestamp) -> Self {
        let text = match (times, purchases) {
            (1, 1) => "You bought it in your last purchase".to_owned(),
            _ => format!("You bought it in {times} of your last {purchases} purchases"),
        };
        let reason = Self::new(ReasonKind::BoughtAgain, text);
        Self { times: Some(times), purchases: Some(purchases), last_purchased_at: Some(last), ..reason }
    }

    pub(crate) fn bought_next(because: Vec<Evidence>) -> Self {
        let shoppers = max_count(&because);
        let text = format!("You bought {}; {} then bought this", names(&because), count(shoppers, "shopper"));
        Self { because, shoppers: Some(shoppers), ..Self::new(ReasonKind::BoughtNext, text) }
    }

    pub(crate) fn bought_together(because: Vec<Evidence>) -> Self {
        let baskets = max_count(&because);
        let text = format!("With {} in {}", names(&because), count(baskets, "basket"));
        Self { because, baskets: Some(baskets), ..Self::new(ReasonKind::BoughtTogether, text) }
    }

    pub(crate) fn bought_by_same_shoppers(because: Vec<Evidence>) -> Self {
        let shoppers = max_count(&because);
        let text = format!("{} bought {} too, at another time", count(shoppers, "shopper"), names(&because));
        Self { because, shoppers: Some(shoppers), ..Self::new(ReasonKind::BoughtBySameShoppers, text) }
    }

    /// With the part of the score that it explains, to two decimals.
    pub(crate) fn with_share(self, share: f64) -> Self {
        Self { share: (share * 100.0).round() / 100.0, ..self }
    }
}

fn max_count(because: &[Evidence]) -> u32 {
    because.iter().map(|evidence| evidence.count).max().unwrap_or(0)
}

/// In quotation marks, since names hold commas.
fn names(because: &[Evidence]) -> String {
    let names: Vec<String> = because.iter().map(|evidence| format!("“{}”", evidence.name)).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

fn count(number: u32, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(name: &str, count: u32) -> Evidence {
        Evidence { product_id: ProductId::parse("p").unwrap(), name: name.to_owned(), count }
    }

    #[test]
    fn reasons_read_as_sentences() {
        let at = Timestamp::EPOCH;
        for (reason, text) in [
            (Reason::bought_again(6, 14, at), "You bought it in 6 of your last 14 purchases"),
            (Reason::bought_again(1, 1, at), "You bought it in your last purchase"),
            (
                Reason::bought_next(vec![evidence("Beans", 41), evidence("Tamper", 9), evidence("Mug", 2)]),
                "You bought “Beans”, “Tamper” and “Mug”; 41 shoppers then bought this",
            ),
            (
                Reason::bought_next(vec![evidence("Beans", 1)]),
                "You bought “Beans”; 1 shopper then bought this",
            ),
            (Reason::bought_together(vec![evidence("Beans", 3)]), "With “Beans” in 3 baskets"),
            (
                Reason::bought_by_same_shoppers(vec![evidence("Beans", 3)]),
                "3 shoppers bought “Beans” too, at another time",
            ),
            (Reason::popular(0.0314, Window::Week), "In 3.1 % of recent purchases"),
            (Reason::popular(0.0003, Window::AllTime), "In under 0.1 % of all purchases"),
        ] {
            assert_eq!(reason.text, text);
        }
    }
}
