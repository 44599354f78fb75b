//! Names that are nearly the same.

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
        .map(|name| (distance(&wanted, &folded(name)), name.as_str()))
        .min()
        .filter(|(distance, _)| *distance <= (wanted.chars().count() / 3).max(1))
        .map(|(_, name)| name)
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
