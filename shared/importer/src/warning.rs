//! What makes a file suspicious although its records are valid.

use std::fmt;

use nextbasket_domain::UserId;
use serde::Serialize;

use crate::column_names::shell_word;
use crate::tally::ImportTally;
use crate::text::Grouped;

/// Fewer purchases say nothing about a shop.
const MIN_PURCHASES: u64 = 20;
/// A user with more than one purchase in this many is remarkable.
const MAX_SHARE: u64 = 10;

/// What makes a file suspicious although its records are valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ImportWarning {
    /// A user with more than a tenth of all purchases, who may stand for all guests.
    FrequentUser {
        /// Which one; `None` if persons are not to be named.
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<UserId>,
        /// The number of the user's purchases.
        purchases: u64,
        /// The number of all purchases.
        of: u64,
    },
    /// Nobody has two purchases.
    NoRepeatBuyer { users: u64 },
}

impl ImportWarning {
    /// The warnings about a whole file.
    pub(crate) fn of(tally: &ImportTally) -> Vec<Self> {
        let of = tally.purchases;
        if of < MIN_PURCHASES {
            return Vec::new();
        }
        let frequent = tally.frequent_users.iter().filter(|user| user.purchases > of / MAX_SHARE);
        let mut warnings: Vec<_> = frequent
            .map(|user| Self::FrequentUser {
                user_id: Some(user.user_id.clone()),
                purchases: user.purchases,
                of,
            })
            .collect();
        if tally.users > 0 && tally.repeat_users == 0 {
            warnings.push(Self::NoRepeatBuyer { users: tally.users });
        }
        warnings
    }

    /// Takes out who it is about.
    pub(crate) fn remove_person(&mut self) {
        if let Self::FrequentUser { user_id, .. } = self {
            *user_id = None;
        }
    }
}

impl fmt::Display for ImportWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrequentUser { user_id, purchases, of } => {
                let option = match user_id {
                    Some(user) => {
                        write!(f, "user \"{user}\"")?;
                        format!("--guest {}", shell_word(user.as_str()))
                    }
                    None => {
                        f.write_str("one user")?;
                        "--guest VALUE".to_owned()
                    }
                };
                write!(
                    f,
                    " has {} of {} purchases. If it stands for guests, import the file with {option}, which \
                     makes each of its purchases a visitor of its own.",
                    Grouped(*purchases),
                    Grouped(*of)
                )
            }
            Self::NoRepeatBuyer { users } => write!(
                f,
                "none of {} users has a second purchase: nobody can be recommended what they bought before. \
                 Check that user_id is the customer's column, not the order's.",
                Grouped(*users)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_for_the_shell_if_it_has_to_be() {
        for (text, is) in [("0", "0"), ("guest account", "'guest account'"), ("o'brien", "'o'\\''brien'")] {
            assert_eq!(shell_word(text), is);
        }
    }
}
