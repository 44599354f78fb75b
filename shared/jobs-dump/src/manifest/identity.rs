//! Which table a dump is of: a name alone does not say it.

use nextbasket_domain::Timestamp;
use serde::{Deserialize, Serialize};

/// What tells a table from others of the same name: in another account, region or endpoint, or made anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TableIdentity {
    /// With account and region; endpoints other than AWS give all tables of one name the same.
    pub arn: Option<String>,
    /// Drawn when the table was made.
    pub id: Option<String>,
    /// When it was made. Dumps of version 1 do not say it.
    pub created_at: Option<Timestamp>,
}

impl TableIdentity {
    /// Whether both are one table; `None` if that cannot be proved either way.
    ///
    /// An endpoint that gives tables no id tells them apart by the time at which they were made.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        let arn = equal(self.arn.as_deref(), other.arn.as_deref());
        let id = equal(self.id.as_deref(), other.id.as_deref());
        let made = equal(self.created_at, other.created_at);
        if [arn, id, made].contains(&Some(false)) {
            return Some(false);
        }
        let neither_has_an_id = self.id.is_none() && other.id.is_none();
        let proved = arn.is_some() && (id.is_some() || neither_has_an_id && made.is_some());
        proved.then_some(true)
    }
}

/// Whether two values that are both known are equal.
fn equal<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<bool> {
    Some(one? == other?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(arn: &str, id: &str, millis: i64) -> TableIdentity {
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let created_at = (millis > 0).then(|| Timestamp::from_millis(millis).unwrap());
        TableIdentity { arn: known(arn), id: known(id), created_at }
    }

    #[test]
    fn a_table_is_the_same_only_if_that_is_proved() {
        let table = identity("arn:1", "id-1", 5);
        for (other, same) in [
            (identity("arn:1", "id-1", 5), Some(true)),
            (identity("arn:1", "id-1", 0), Some(true)),
            (identity("arn:2", "id-1", 5), Some(false)),
            (identity("arn:1", "id-2", 5), Some(false)),
            (identity("arn:1", "id-1", 6), Some(false)),
            (identity("arn:1", "", 5), None),
            (identity("", "id-1", 5), None),
            (identity("", "", 0), None),
        ] {
            assert_eq!(table.is_same(&other), same, "{other:?}");
            assert_eq!(other.is_same(&table), same, "{other:?}");
        }
        let without_id = identity("arn:1", "", 5);
        assert_eq!(without_id.is_same(&without_id), Some(true));
        assert_eq!(without_id.is_same(&identity("arn:1", "", 0)), None);
    }
}
