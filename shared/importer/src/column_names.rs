//! Names that are nearly the same.

use strsim::levenshtein;

use crate::columns::FileColumn;

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

/// Of `names`, the likeliest for a column of ours; none that shows that it is something else.
pub(crate) fn akin(column: FileColumn, names: &[String]) -> Option<&str> {
    let is_alien = |name: &String| column.alien().iter().any(|part| folded(name).contains(part));
    let like = |part: &str| names.iter().find(|name| folded(name).contains(part) && !is_alien(name));
    column.akin().iter().find_map(|part| like(part)).map(String::as_str)
}

/// A text as one word of a shell's command line.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | '=' | '/' | ':' | '@');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
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
    fn a_word_of_the_shell_is_quoted_if_it_must_be() {
        assert_eq!(shell_word("user_id=CustomerID,price=Price"), "user_id=CustomerID,price=Price");
        assert_eq!(shell_word("user_id=Customer ID"), "'user_id=Customer ID'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_column_that_is_something_else_is_not_suggested() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let like = |column, has: &[&str]| akin(column, &names(has)).map(str::to_owned);
        assert_eq!(like(FileColumn::Timestamp, &["reordered", "shipping_limit_date"]), None);
        assert_eq!(like(FileColumn::Price, &["Order Total Amount", "Shipping Price"]), None);
        assert_eq!(like(FileColumn::BasketId, &["verified_purchase"]), None);
        assert_eq!(like(FileColumn::ProductName, &["Name"]), None);
        assert_eq!(
            like(FileColumn::UserId, &["Customer Note", "Customer ID"]).as_deref(),
            Some("Customer ID")
        );
    }

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("abc", ""), 3);
        assert_eq!(levenshtein("same", "same"), 0);
    }
}
