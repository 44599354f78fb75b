//! Names that are nearly the same.

use strsim::levenshtein;

/// A file's name for a column, fit for a terminal.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 40;
    let mut text: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

/// A name without case and punctuation.
pub(crate) fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Of `names`, one that holds a part of `parts`: the earlier the part, the likelier.
pub(crate) fn akin<'a>(parts: &[&str], names: &'a [String]) -> Option<&'a str> {
    parts.iter().find_map(|part| names.iter().find(|name| folded(name).contains(part))).map(String::as_str)
}

/// Of `names`, the one with the fewest letters to change, if they are no more than a third.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    const MOST_NAMES: usize = 1_000;
    const LONGEST: usize = 256;
    let wanted = folded(wanted);
    names
        .iter()
        .take(MOST_NAMES)
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (levenshtein(&wanted, &folded(name)), name.as_str()))
        .min()
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 3).max(1))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("abc", ""), 3);
        assert_eq!(levenshtein("same", "same"), 0);
    }
}
