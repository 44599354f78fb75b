//! What shop systems write for products that can be bought, and for those that cannot.

use crate::column_names::folded;

/// Words for a product that can be bought, without case and punctuation: English ones (`visible`, `catalog` and `search`
/// are where a WooCommerce shop shows a product), then German ones.
const AVAILABLE_WORDS: [&str; 2] = [
    "true yes y on instock available availablefororder limitedavailability instoreonly onlineonly preorder \
    presale backorder onbackorder madetoorder publish published active enabled visible catalog search",
    "ja wahr verfügbar lieferbar sofortlieferbar auflager vorrätig vorbestellbar vorbestellung nachbestellbar \
    lieferrückstand aktiv aktiviert veröffentlicht sichtbar",
];

/// Words for one that cannot.
const UNAVAILABLE_WORDS: [&str; 2] = [
    "false no n off outofstock notinstock soldout unavailable notavailable discontinued reserved draft \
    autodraft pending private archived inactive disabled hidden unpublished unlisted trash deleted",
    "nein falsch nichtverfügbar nichtlieferbar nichtauflager nichtvorrätig ausverkauft vergriffen entwurf \
    privat archiviert inaktiv deaktiviert versteckt gelöscht",
];

/// Whether a product can be bought; nothing if the text does not say.
pub(crate) fn is_available(text: &str) -> Option<bool> {
    // A number is one of pieces in stock, or a flag; WooCommerce writes -1 for a draft.
    if let Ok(stock) = text.parse::<i64>() {
        return Some(stock > 0);
    }
    let word = folded(text.rsplit_once("schema.org/").map_or(text, |(_, word)| word));
    let is_one_of =
        |words: [&str; 2]| words.iter().flat_map(|words| words.split(' ')).any(|other| other == word);
    if is_one_of(AVAILABLE_WORDS) {
        Some(true)
    } else if is_one_of(UNAVAILABLE_WORDS) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_for_availability_is_understood_however_it_is_written() {
        for (text, is) in [
            ("in stock", true),
            ("in_stock", true),
            ("In Stock", true),
            ("InStock", true),
            ("https://schema.org/InStock", true),
            ("http://schema.org/OutOfStock", false),
            ("OUT OF STOCK", false),
            ("Pre-Order", true),
            ("active", true),
            ("draft", false),
            ("Nicht vorrätig", false),
            ("VERFÜGBAR", true),
            ("1", true),
            ("12", true),
            ("0", false),
            ("-1", false),
        ] {
            assert_eq!(is_available(text), Some(is), "{text}");
        }
        for text in
            ["", "perhaps", "in", "stock", "on request", "1.5", "truefalse", "-", "in stock out of stock"]
        {
            assert_eq!(is_available(text), None, "{text}");
        }
    }

    #[test]
    fn no_word_means_both() {
        for (words, is) in [(AVAILABLE_WORDS, true), (UNAVAILABLE_WORDS, false)] {
            for word in words.iter().flat_map(|words| words.split(' ')) {
                assert_eq!((folded(word).as_str(), is_available(word)), (word, Some(is)));
            }
        }
    }
}
