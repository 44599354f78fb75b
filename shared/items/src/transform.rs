//! A change of items on their way from one table, or file, into another.

use nextbasket_domain::Timestamp;
use nextbasket_dynamodb::item::Item;

use crate::expression::Change;
use crate::key::KeySchema;

/// Changes items before they are put into a table. It may change their keys; that two of them come to have the same key
/// is not noticed: whichever is put last stays.
#[derive(Debug, Clone)]
pub struct Transform {
    change: Change,
    keys: KeySchema,
    now: Timestamp,
}

impl Transform {
    /// For a table with these keys. `now` is what `now()` stands for: the same for all items, so that one that is put
    /// twice is the same.
    #[must_use]
    pub fn new(change: Change, keys: KeySchema, now: Timestamp) -> Self {
        Self { change, keys, now }
    }

    /// The item as it goes into the table.
    ///
    /// # Errors
    /// Why it cannot be changed so, or the table would not take it.
    pub fn of(&self, item: &Item) -> Result<Item, String> {
        let changed = self.change.apply(item, self.now).map_err(|error| error.to_string())?;
        match self.keys.problem_of(&changed) {
            Some(problem) => Err(format!("the changed item has no valid key: {problem}")),
            None => Ok(changed),
        }
    }

    /// Whether the change writes a part of the key.
    #[must_use]
    pub fn changes_key(change: &Change, keys: &KeySchema) -> bool {
        let attributes = change.attributes();
        keys.names().any(|name| attributes.contains(name))
    }
}
