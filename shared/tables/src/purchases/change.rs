//! Purchases that are recorded again with other content.

use nextbasket_domain::purchase::PurchaseError;
use nextbasket_domain::{Line, Purchase};
use nextbasket_dynamodb::TableError;
use nextbasket_dynamodb::item::{Item, hashed};
use serde::{Deserialize, Serialize};

use super::{KEYS, LINES, PURCHASED_AT, PurchasesTable, RECOMMENDATION_ID, from_item, key, to_item};
use crate::damaged::{self, Damaged};

/// How many times a purchase is read again because somebody else has changed it in the meantime.
const MAX_ATTEMPTS: usize = 8;

/// What happens to a stored purchase if one of the same user and id, with other content, is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnChange {
    /// It stays as it is
    #[default]
    Keep,
    /// It gets the new content
    Replace,
    /// It gets the lines of those products that it lacks; everything else stays
    Add,
}

/// The outcome of [`PurchasesTable::record_or_change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It was not there and is now.
    New,
    /// Its content was there.
    Same,
    /// It was there with other content, and was changed. `differs`: a line of it still has another quantity or price.
    Changed { differs: bool },
    /// It is there with other content, and stays as it is.
    Differs,
    /// With the lines that it lacks it would be no valid purchase; it stays as it is.
    Full(PurchaseError),
    /// The stored item is damaged; it stays as it is.
    Damaged(Damaged),
}

/// What is to be done with a stored purchase.
enum Change {
    Nothing(ChangeOutcome),
    /// These attributes are to be as in the new item.
    Set {
        attributes: &'static [&'static str],
        item: Item,
        differs: bool,
    },
}

const CONTENT: &[&str] = &[PURCHASED_AT, LINES, RECOMMENDATION_ID];

impl PurchasesTable {
    /// Records the purchase, or changes the one of the same user and id that is there. A change is bound to the content
    /// that was read, so that no other change is lost. Attributes of other tools stay.
    ///
    /// After a lost response the caller finds its own purchase as [`ChangeOutcome::Same`].
    pub async fn record_or_change(
        &self,
        purchase: &Purchase,
        on_change: OnChange,
    ) -> Result<ChangeOutcome, TableError> {
        for _ in 0..MAX_ATTEMPTS {
            let put = self.table.put(to_item(purchase)).condition_expression("attribute_not_exists(userId)");
            let Some(found) = self.table.put_or_find(put).await? else { return Ok(ChangeOutcome::New) };
            let stored = damaged::one(&self.table, &KEYS, found.clone(), |item| from_item(&self.table, item));
            match change(stored, purchase, on_change) {
                Change::Nothing(outcome) => return Ok(outcome),
                Change::Set { attributes, item, differs } => {
                    if self.change(purchase, &found, attributes, item).await? {
                        return Ok(ChangeOutcome::Changed { differs });
                    }
                }
            }
        }
        let key = format!("{}/{}", hashed(purchase.user_id.as_str()), hashed(purchase.purchase_id.as_str()));
        Err(self.table.contended(key, MAX_ATTEMPTS))
    }

    /// Sets these attributes as `item` has them, unless the stored content is not `found` any more.
    async fn change(
        &self,
        purchase: &Purchase,
        found: &Item,
        attributes: &[&str],
        mut item: Item,
    ) -> Result<bool, TableError> {
        let mut update = self.table.update(key(&purchase.user_id, purchase.purchase_id.as_str()));
        let mut conditions = vec!["attribute_exists(userId)".to_owned()];
        // Their names may be reserved words.
        for (index, name) in CONTENT.iter().enumerate() {
            update = update.expression_attribute_names(format!("#a{index}"), *name);
            match found.get(*name) {
                Some(value) => {
                    conditions.push(format!("#a{index} = :f{index}"));
                    update = update.expression_attribute_values(format!(":f{index}"), value.clone());
                }
                None => conditions.push(format!("attribute_not_exists(#a{index})")),
            }
        }
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (index, name) in CONTENT.iter().enumerate().filter(|(_, name)| attributes.contains(name)) {
            match item.remove(*name) {
                Some(value) => {
                    set.push(format!("#a{index} = :n{index}"));
                    update = update.expression_attribute_values(format!(":n{index}"), value);
                }
                None => remove.push(format!("#a{index}")),
            }
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let update = update.update_expression(expression).condition_expression(conditions.join(" AND "));
        Ok(self.table.write_if(update.send().await)?.is_some())
    }
}

/// What is to be done with the stored purchase.
fn change(stored: Result<Purchase, Damaged>, purchase: &Purchase, on_change: OnChange) -> Change {
    let stored = match (stored, on_change) {
        (Ok(stored), _) => stored,
        // The file has the correct one.
        (Err(_), OnChange::Replace) => {
            return Change::Set { attributes: CONTENT, item: to_item(purchase), differs: false };
        }
        (Err(damaged), OnChange::Keep | OnChange::Add) => {
            return Change::Nothing(ChangeOutcome::Damaged(damaged));
        }
    };
    if stored == *purchase {
        return Change::Nothing(ChangeOutcome::Same);
    }
    match on_change {
        OnChange::Keep => Change::Nothing(ChangeOutcome::Differs),
        OnChange::Replace => Change::Set { attributes: CONTENT, item: to_item(purchase), differs: false },
        OnChange::Add => add(stored, purchase),
    }
}

fn add(mut stored: Purchase, purchase: &Purchase) -> Change {
    let has_product = |line: &&Line| stored.lines.iter().any(|has| has.product_id == line.product_id);
    let (known, missing): (Vec<&Line>, Vec<&Line>) = purchase.lines.iter().partition(has_product);
    let differs = known.iter().any(|line| !stored.lines.contains(line));
    if missing.is_empty() {
        let outcome = if differs { ChangeOutcome::Differs } else { ChangeOutcome::Same };
        return Change::Nothing(outcome);
    }
    stored.lines.extend(missing.into_iter().cloned());
    match Purchase::check_lines(&stored.lines) {
        Ok(()) => Change::Set { attributes: &[LINES], item: to_item(&stored), differs },
        Err(error) => Change::Nothing(ChangeOutcome::Full(error)),
    }
}
