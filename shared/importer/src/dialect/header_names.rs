//! The names of columns, as a person would write them.

use std::collections::HashSet;

/// Cleans the names of a header, and makes them distinct: `Price`, `Price (2)`. A column without a name is called
/// after its position: `Column 3`.
pub(crate) fn header_names<'a>(fields: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let names: Vec<String> = fields.into_iter().map(clean_name).collect();
    let mut taken: HashSet<String> = HashSet::new();
    let own: HashSet<String> = names.iter().cloned().collect();
    let mut distinct = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let base = if name.is_empty() { format!("Column {}", index + 1) } else { name.clone() };
        let mut chosen = base.clone();
        let mut number = 2_usize;
        // A made name must not be one that another column has by itself.
        while taken.contains(&chosen) || (chosen != name && own.contains(&chosen)) {
            chosen = format!("{base} ({number})");
            number += 1;
        }
        taken.insert(chosen.clone());
        distinct.push(chosen);
    }
    distinct
}

/// A name without blanks and quotes around it, and without what cannot be seen.
fn clean_name(name: &str) -> String {
    let visible: String = name
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}'))
        .map(|c| if c.is_whitespace() || c.is_control() { ' ' } else { c })
        .collect();
    let mut name = visible.trim();
    for (open, close) in
        [('"', '"'), ('\'', '\''), ('\u{201c}', '\u{201d}'), ('\u{201e}', '\u{201c}'), ('`', '`')]
    {
        if let Some(inside) = name.strip_prefix(open).and_then(|name| name.strip_suffix(close)) {
            name = inside.trim();
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_distinct() {
        for (fields, wanted) in [
            (
                vec![" Order ", "\u{a0}SKU\u{a0}", "\u{feff}Date", "Net\u{a0}total"],
                vec!["Order", "SKU", "Date", "Net total"],
            ),
            (
                vec!["\"Order\"", "'SKU'", "`Date`", "\u{200b}Qty\u{200b}", "5\""],
                vec!["Order", "SKU", "Date", "Qty", "5\""],
            ),
            (vec!["Price", "Price", "Price"], vec!["Price", "Price (2)", "Price (3)"]),
            (vec!["Price", "Price", "Price (2)"], vec!["Price", "Price (3)", "Price (2)"]),
            (vec!["", "Order", " ", "Column 3"], vec!["Column 1", "Order", "Column 3 (2)", "Column 3"]),
            (vec!["Net\nprice", "'"], vec!["Net price", "'"]),
        ] {
            assert_eq!(header_names(fields.iter().copied()), wanted);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_names_become_distinct_ones(fields in proptest::collection::vec("[ab\\\"]{0,2}( \\([23]\\))?", 0..12)) {
            let names = header_names(fields.iter().map(String::as_str));
            proptest::prop_assert_eq!(names.len(), fields.len());
            let distinct: HashSet<&String> = names.iter().collect();
            proptest::prop_assert_eq!(distinct.len(), names.len());
            proptest::prop_assert!(names.iter().all(|name| !name.is_empty()));
        }
    }
}
