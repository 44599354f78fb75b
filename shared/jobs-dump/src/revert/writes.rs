//! One item's way back: on the condition that it still is what was read.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue};
use nextbasket_dynamodb::capacity::Consuming;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::KeySchema;
use nextbasket_job_engine::WorkError;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;

use crate::diff::same_items;
use crate::equality_condition::EqualityCondition;
use crate::kept_items::KeptItems;

/// What a table's items are written with.
#[derive(Clone)]
pub(super) struct Writes {
    pub calls: Calls,
    pub reads: Limiter,
    pub limiter: Limiter,
    pub table: String,
    pub keys: KeySchema,
    pub kept: KeptItems,
}

pub(super) struct Revertal {
    pub line: u64,
    pub key: Item,
    /// What it was; `None` if it was not there.
    pub target: Option<Item>,
    /// What it is now.
    pub there: Option<Item>,
    pub condition: EqualityCondition,
}

pub(super) enum Became {
    Restored,
    Deleted,
    /// It is not what was read, and stays.
    Changed,
    /// It was changed in the moment of its revert, and is again what it was changed to.
    PutBack,
    Refused(String),
}

pub(super) fn same(one: Option<&Item>, other: Option<&Item>) -> Result<bool, WorkError> {
    match (one, other) {
        (None, None) => Ok(true),
        (Some(one), Some(other)) => Ok(same_items(one, other)?),
        _ => Ok(false),
    }
}

/// That the item is still what was read.
pub(super) fn condition(
    keys: &KeySchema,
    there: Option<&Item>,
    around: &BTreeSet<String>,
) -> EqualityCondition {
    match there {
        Some(there) => EqualityCondition::of(keys, there, around),
        None => EqualityCondition {
            condition: "attribute_not_exists(#k)".to_owned(),
            names: HashMap::from([("#k".to_owned(), keys.partition.name.clone())]),
            values: HashMap::new(),
        },
    }
}

impl Writes {
    pub(super) async fn revert(&self, revertal: Revertal) -> Result<(Became, f64), CallError> {
        let Revertal { line, key, target, there, condition } = revertal;
        let done = if target.is_some() { Became::Restored } else { Became::Deleted };
        let written = match &target {
            Some(target) => self.put(target, &condition).await,
            None => self.delete(&key, &condition).await,
        };
        let (was, units) = match written {
            Ok(written) => written,
            Err(CallError::Refused(refused)) if refused.is_condition() => {
                // It may have been written by a call whose answer was lost.
                let (now, _) =
                    fetch(&self.calls, &self.reads, &self.table, std::slice::from_ref(&key)).await?;
                let is_done = same(now.first(), target.as_ref())?;
                return Ok((if is_done { done } else { Became::Changed }, 0.0));
            }
            Err(CallError::Refused(refused)) => return Ok((Became::Refused(refused.reason()), 0.0)),
            Err(error) => return Err(error),
        };
        match was {
            // A condition cannot say "and no other attribute".
            Some(was) if !same(Some(&was), there.as_ref())? => {
                let back = self.put_back(line, was, target).await?;
                Ok((Became::PutBack, units + back))
            }
            _ => Ok((done, units)),
        }
    }

    /// Puts an item back that was changed in the moment of its revert, if the table has what it was reverted to, and
    /// keeps it until that is done. What others change in this moment, too, is put back in the same way.
    ///
    /// # Errors
    /// [`CallError`] if it cannot be put back; the message says where it is kept.
    pub(super) async fn put_back(
        &self,
        line: u64,
        mut item: Item,
        mut in_its_place: Option<Item>,
    ) -> Result<f64, CallError> {
        let mut all_units = 0.0;
        loop {
            let unchanged = condition(&self.keys, in_its_place.as_ref(), &BTreeSet::new());
            let put = async {
                match self.put(&item, &unchanged).await {
                    // An attempt whose answer was lost has put it, or somebody has written it since.
                    Err(CallError::Refused(refused)) if refused.is_condition() => Ok(None),
                    put => put.map(Some),
                }
            };
            let Some((was, units)) = self.kept.put_back(&self.table, (line, &item), put).await? else {
                return Ok(all_units);
            };
            all_units += units;
            match was {
                Some(was) if !same(Some(&was), in_its_place.as_ref())? => {
                    in_its_place = Some(std::mem::replace(&mut item, was));
                }
                _ => return Ok(all_units),
            }
        }
    }

    /// Puts an item, and gives the one that it replaced.
    async fn put(
        &self,
        item: &Item,
        unchanged: &EqualityCondition,
    ) -> Result<(Option<Item>, f64), CallError> {
        let send = || {
            self.calls
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression(&unchanged.condition)
                .set_expression_attribute_names(Some(unchanged.names.clone()))
                .set_expression_attribute_values(unchanged.request_values())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) =
            self.calls.call(&self.table, &self.limiter, None, send, Consuming::units).await?;
        Ok((output.attributes, units))
    }

    /// Deletes an item, and gives it.
    async fn delete(
        &self,
        key: &Item,
        unchanged: &EqualityCondition,
    ) -> Result<(Option<Item>, f64), CallError> {
        let send = || {
            self.calls
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .condition_expression(&unchanged.condition)
                .set_expression_attribute_names(Some(unchanged.names.clone()))
                .set_expression_attribute_values(unchanged.request_values())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let (output, units) =
            self.calls.call(&self.table, &self.limiter, None, send, Consuming::units).await?;
        Ok((output.attributes, units))
    }
}
