//! Items of the shop's tables that must not come back, since their users were erased.

use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::Item;
use nextbasket_erasure::Erasures;

use crate::client::Tables;
use crate::history;
use crate::purchases;

/// Tells which items of one table must not come back.
#[derive(Debug, Clone)]
pub struct ErasedItems {
    erasures: Erasures,
    table: PersonalTable,
}

/// The tables that hold persons.
#[derive(Debug, Clone, Copy)]
enum PersonalTable {
    Purchases,
    Histories,
}

impl ErasedItems {
    /// Whether the item is a purchase that was made before its user was erased; or the history of a user who was ever
    /// erased, since it may hold such purchases: histories are folded anew from the purchases.
    #[must_use]
    pub fn contains(&self, item: &Item) -> bool {
        match self.table {
            PersonalTable::Purchases => purchases::user_and_time(item)
                .is_some_and(|(user, purchased_at)| self.erasures.covers(user, purchased_at)),
            PersonalTable::Histories => {
                history::user_in(item).is_some_and(|user| self.erasures.until(user).is_some())
            }
        }
    }
}

impl Tables {
    /// What must not come back into the table of this name; `None` if it is not one of the shop's tables that hold
    /// persons, or nobody was erased so far.
    pub async fn erased_items(&self, table: &str) -> Result<Option<ErasedItems>, TableError> {
        let Some(table) = self.personal_table(table) else { return Ok(None) };
        let Ok(erased_users) = self.erased_users() else { return Ok(None) };
        let erasures = erased_users.load().await?;
        Ok((!erasures.is_empty()).then_some(ErasedItems { erasures, table }))
    }

    fn personal_table(&self, table: &str) -> Option<PersonalTable> {
        let names = self.names();
        if names.purchases.as_deref() == Some(table) {
            Some(PersonalTable::Purchases)
        } else if names.history.as_deref() == Some(table) {
            Some(PersonalTable::Histories)
        } else {
            None
        }
    }
}
