//! What to do with an item that is there already.

use serde::{Deserialize, Serialize};

/// What to do with an item whose key is there already. In JSON `"overwrite"`, `"skip"`, `"fail"` or
/// `{"ifNewer": "updatedAt"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Conflict", into = "Conflict")]
pub enum OnConflict {
    /// Replace it.
    #[default]
    Overwrite,
    /// Leave it.
    Skip,
    /// Reject the new item: it is listed in the refused files.
    Fail,
    /// Replace it if its attribute is less than the new item's and of the same type. An item that is there without
    /// the attribute is left; a new one without it is refused.
    IfNewer {
        /// The attribute: a string, a number or binary.
        attribute: String,
    },
}

/// [`OnConflict`] in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Conflict {
    Overwrite,
    Skip,
    Fail,
    IfNewer(String),
}

impl From<Conflict> for OnConflict {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Overwrite => Self::Overwrite,
            Conflict::Skip => Self::Skip,
            Conflict::Fail => Self::Fail,
            Conflict::IfNewer(attribute) => Self::IfNewer { attribute },
        }
    }
}

impl From<OnConflict> for Conflict {
    fn from(conflict: OnConflict) -> Self {
        match conflict {
            OnConflict::Overwrite => Self::Overwrite,
            OnConflict::Skip => Self::Skip,
            OnConflict::Fail => Self::Fail,
            OnConflict::IfNewer { attribute } => Self::IfNewer(attribute),
        }
    }
}
