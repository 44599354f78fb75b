//! Which of the languages that there are suits a request best.

/// The index of the language among `available` (tags such as `de` or `pt-br`, in lower case) that an `Accept-Language`
/// header asks for; `None` if it asks for none of them.
///
/// Ranges are looked up as in RFC 4647, section 3.4, the heaviest first: `de-AT` finds `de`. A range also finds a
/// language that is more special (`pt` finds `pt-br`). `*` finds the first that no range excludes with the weight 0.
/// What is not of the form of RFC 9110 is skipped.
pub(crate) fn negotiate(header: &str, available: &[String]) -> Option<usize> {
    let mut ranges: Vec<(f32, String)> = header.split(',').filter_map(range).collect();
    let refused: Vec<String> =
        ranges.extract_if(.., |(weight, _)| *weight <= 0.0).map(|(_, range)| range).collect();
    // Stable: of equal weight the first counts.
    ranges.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let taken = |tag: &String| !refused.iter().any(|range| covers(range, tag));
    ranges.iter().find_map(|(_, range)| {
        if range == "*" {
            return available.iter().position(taken);
        }
        lookup(range, available).filter(|found| available.get(*found).is_some_and(taken))
    })
}

fn range(text: &str) -> Option<(f32, String)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?.to_ascii_lowercase();
    let form = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if range.is_empty() || range != "*" && !range.chars().all(form) {
        return None;
    }
    let weight = match parts.next() {
        None => 1.0,
        Some(weight) => {
            let number = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?.trim();
            number.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?
        }
    };
    Some((weight, range))
}

fn lookup(range: &str, available: &[String]) -> Option<usize> {
    let mut shorter = Some(range);
    while let Some(tag) = shorter {
        if let Some(found) = available.iter().position(|available| available == tag) {
            return Some(found);
        }
        shorter = tag.rsplit_once('-').map(|(front, _)| front);
    }
    available.iter().position(|tag| covers(range, tag))
}

/// Whether the range stands for the language, or for a group of languages that it belongs to.
fn covers(range: &str, tag: &str) -> bool {
    tag.strip_prefix(range).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(header: &str) -> Option<&'static str> {
        const AVAILABLE: [&str; 4] = ["en", "de", "pt-br", "de-ch"];
        let available = AVAILABLE.map(str::to_owned);
        negotiate(header, &available).map(|at| AVAILABLE[at])
    }

    #[test]
    fn the_heaviest_range_that_a_language_suits_decides() {
        for (header, language) in [
            ("", None),
            ("de", Some("de")),
            ("DE", Some("de")),
            ("de-AT", Some("de")),
            ("de-AT-1996", Some("de")),
            ("de-CH", Some("de-ch")),
            ("de-CH-1996", Some("de-ch")),
            ("pt", Some("pt-br")),
            ("pt-PT", None),
            ("p", None),
            ("fr, de;q=0.8, en;q=0.9", Some("en")),
            ("en;q=0.5,de;q=0.5", Some("en")),
            ("de;q=0.5 , en ;q=0.7", Some("en")),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", Some("en")),
            ("fr, *;q=0.1", Some("en")),
            ("*", Some("en")),
            ("*, en;q=0", Some("de")),
            ("*, en;q=0, de;q=0", Some("pt-br")),
            ("de, de;q=0", None),
            ("de;q=0", None),
            ("de;q=0.000, en;q=0.001", Some("en")),
            ("fr", None),
            ("de;q=2, en;q=0.1", Some("en")),
            ("de;q=NaN, en;q=0.1", Some("en")),
            ("de;level=1, en;q=0.1", Some("en")),
            ("ä, de", Some("de")),
            (",,;, -, de", Some("de")),
        ] {
            assert_eq!(chosen(header), language, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_a_panic(header in "\\PC{0,60}", lists in "[a-z*;=q0-9., -]{0,60}") {
            let _ = (chosen(&header), chosen(&lists));
        }
    }
}
