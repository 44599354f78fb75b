//! What to do with an item that is there already.

use serde::{Deserialize, Serialize};

/// What to do with an item whose key is there already. In JSON `"overwrite"`, `"skip"`, `"fail"` or
/// `{"ifNewer": "updatedAt"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnConflict {
    /// Replace it.
    #[default]
    Overwrite,
    /// Leave it.
    Skip,
    /// Reject the new item: it is listed in the refused files.
    Fail,
    /// Replace it if its attribute of this name, a string, a number or binary, is less than the new item's and of the
    /// same type. An item that is there without the attribute is left; a new one without it is refused.
    IfNewer(String),
}
