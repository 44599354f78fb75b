//! The stage `remove`: items whose copies were found to be whole, if they are still what the copies say.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValue};
use derive_more::{Add, AddAssign, Sum};
use futures::StreamExt;
use nextbasket_dynamodb::capacity::units;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::fetch::fetch;
use nextbasket_items::key::{KeySchema, hash};
use nextbasket_items::spawned::spawned;
use nextbasket_job_engine::calls::{CallError, Calls};
use nextbasket_job_engine::limit::Limiter;
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::diff::same_items;
use crate::digest::sorted;
use crate::format::Format;
use crate::json::LineChange;
use crate::records::{Piece, Record, Records};
use crate::source::SourceFile;

/// How many items are looked at between two checkpoints: as many as one call reads.
const PART: usize = 100;
/// How many deletions are under way at a time.
const AT_ONCE: usize = 16;
/// DynamoDB takes expressions of 4,096 bytes, with 300 operators and functions.
const LONGEST: usize = 4_000;
const MOST: usize = 140;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RemoveInput {
    pub file: SourceFile,
    pub keys: KeySchema,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Add, AddAssign, Sum, Serialize, Deserialize)]
pub(crate) struct Removed {
    pub deleted: u64,
    /// They are not what their copies say any more, and stay.
    pub changed: u64,
    /// They were not there any more: deleted by others, or before a kill.
    pub gone: u64,
    /// Of the changed ones, those that were changed in the moment of their deletion, and put back.
    pub put_back: u64,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Checkpoint {
    line: u64,
    removed: Removed,
}

/// A write that asks whether the item is still what its copy says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub condition: String,
    pub names: HashMap<String, String>,
    pub values: HashMap<String, AttributeValue>,
}

pub(crate) async fn work(work: &mut Work, files: &Files, table: &str) -> Result<Outcome, CallError> {
    let input: RemoveInput = work.input()?;
    let found = input.file.found()?;
    let mut state = work.checkpoint::<Checkpoint>()?.unwrap_or_default();
    let calls = Calls::new(work);
    let mut records = Records::open(files, found, Format::DynamodbJson, state.line).await?;
    loop {
        match records.next().await? {
            Piece::Chunk(mut chunk) => {
                while !chunk.is_empty() {
                    let rest = chunk.split_off(chunk.len().min(PART));
                    if removed(work, &calls, table, &input.keys, chunk, &mut state).await? == Go::Stop {
                        return Ok(Outcome::Stopped);
                    }
                    chunk = rest;
                }
            }
            Piece::End { .. } => return Ok(Outcome::done(&state.removed)?),
        }
    }
}

async fn removed(
    work: &mut Work,
    calls: &Calls,
    table: &str,
    keys: &KeySchema,
    chunk: Vec<Record>,
    state: &mut Checkpoint,
) -> Result<Go, CallError> {
    let mut copies = Vec::with_capacity(chunk.len());
    for Record { line, change } in chunk {
        state.line = line;
        match change {
            Ok(LineChange::Put(item)) => copies.push(item),
            // The file was read as a whole before.
            _ => return Err(WorkError::Failed(format!("line {line} is no longer a valid item")).into()),
        }
    }
    let looked_up: Vec<Item> = copies.iter().map(|item| keys.of(item)).collect();
    let limits = work.limits().clone();
    let (there, read_units) = fetch(calls, &limits.read, table, &looked_up).await?;
    work.progress.read_units += read_units;
    let there: HashMap<u128, Item> =
        there.into_iter().map(|item| (hash(keys, &keys.of(&item)), item)).collect();
    let around: BTreeSet<String> = copies.iter().flat_map(|item| item.keys().cloned()).collect();
    let mut wanted = Vec::new();
    let mut result = Removed::default();
    work.progress.processed += u64::try_from(copies.len()).unwrap_or(0);
    for copy in copies {
        match there.get(&hash(keys, &keys.of(&copy))) {
            None => result.gone += 1,
            Some(item) if same_items(item, &copy)? => wanted.push(copy),
            Some(_) => result.changed += 1,
        }
    }
    let deletions = futures::stream::iter(wanted)
        .map(|copy| {
            let asked = asked(keys, &copy, &around);
            let (calls, limiter, table, keys) =
                (calls.clone(), limits.write.clone(), table.to_owned(), keys.clone());
            spawned(async move { delete(&calls, &limiter, &table, &keys, copy, asked).await })
        })
        .buffer_unordered(AT_ONCE);
    for deleted in deletions.collect::<Vec<_>>().await {
        let (became, write_units) = deleted?;
        work.progress.write_units += write_units;
        result += became;
    }
    work.progress.matched += result.deleted + result.changed;
    work.progress.changed += result.deleted;
    state.removed += result;
    Ok(work.save(state).await?)
}

async fn delete(
    calls: &Calls,
    limiter: &Limiter,
    table: &str,
    keys: &KeySchema,
    copy: Item,
    asked: Asked,
) -> Result<(Removed, f64), CallError> {
    let changed = Removed { changed: 1, ..Removed::default() };
    let send = || {
        calls
            .client
            .delete_item()
            .table_name(table)
            .set_key(Some(keys.of(&copy)))
            .condition_expression(&asked.condition)
            .set_expression_attribute_names(Some(asked.names.clone()))
            .set_expression_attribute_values(Some(asked.values.clone()).filter(|values| !values.is_empty()))
            .return_values(ReturnValue::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
    };
    let consumed = |output: &DeleteItemOutput| units(output.consumed_capacity());
    let (output, spent) = match calls.call(table, limiter, None, send, consumed).await {
        Ok(deleted) => deleted,
        Err(CallError::Refused(refused)) if refused.is_condition() => return Ok((changed, 0.0)),
        Err(CallError::Refused(refused)) => {
            // Not its key: a job's record must name nobody.
            let reason = refused.reason();
            let problem = format!(
                "an item of table {table} cannot be deleted: {reason}. To find it, diff the archive and the table."
            );
            return Err(WorkError::Failed(problem).into());
        }
        Err(error) => return Err(error),
    };
    match output.attributes {
        Some(was) if !same_items(&was, &copy)? => {
            let back = put_back(calls, limiter, table, keys, &was).await?;
            Ok((Removed { put_back: 1, ..changed }, spent + back))
        }
        _ => Ok((Removed { deleted: 1, ..Removed::default() }, spent)),
    }
}

/// An item that got an attribute in the moment of its deletion, as it was; unless there is a new one already.
async fn put_back(
    calls: &Calls,
    limiter: &Limiter,
    table: &str,
    keys: &KeySchema,
    was: &Item,
) -> Result<f64, CallError> {
    let send = || {
        calls
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(was.clone()))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", &keys.partition.name)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
    };
    let consumed = |output: &PutItemOutput| units(output.consumed_capacity());
    match calls.call(table, limiter, None, send, consumed).await {
        Ok((_, units)) => Ok(units),
        Err(CallError::Refused(refused)) if refused.is_condition() => Ok(0.0),
        Err(error) => Err(error),
    }
}

/// That each attribute has the copy's value, and that those of the items around are not there if the copy has them not;
/// as many as DynamoDB takes.
pub(crate) fn asked(keys: &KeySchema, copy: &Item, around: &BTreeSet<String>) -> Asked {
    let mut asked = Asked {
        condition: "attribute_exists(#k)".to_owned(),
        names: HashMap::from([("#k".to_owned(), keys.partition.name.clone())]),
        values: HashMap::new(),
    };
    let is_key = |name: &str| keys.names().any(|key| key == name);
    let values = sorted(copy).into_iter().map(|(name, value)| (name, Some(value)));
    let others = around.iter().filter(|name| !copy.contains_key(*name)).map(|name| (name, None));
    for (n, (name, value)) in values.chain(others).filter(|(name, _)| !is_key(name)).take(MOST).enumerate() {
        let clause = match value {
            Some(_) => format!(" AND #{n} = :{n}"),
            None => format!(" AND attribute_not_exists(#{n})"),
        };
        if asked.condition.len() + clause.len() > LONGEST {
            break;
        }
        asked.condition.push_str(&clause);
        asked.names.insert(format!("#{n}"), name.clone());
        if let Some(value) = value {
            asked.values.insert(format!(":{n}"), value.clone());
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_dynamodb::item::{number, text};
    use nextbasket_items::key::{KeyAttribute, KeyKind};

    fn keys() -> KeySchema {
        KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyKind::S }, sort: None }
    }

    #[test]
    fn a_deletion_asks_for_every_attribute_and_for_none_of_the_others() {
        let copy = Item::from([("id".to_owned(), text("a")), ("n".to_owned(), number(1))]);
        let around = BTreeSet::from(["id".to_owned(), "n".to_owned(), "seen".to_owned()]);
        let asked = asked(&keys(), &copy, &around);
        assert_eq!(asked.condition, "attribute_exists(#k) AND #0 = :0 AND attribute_not_exists(#1)");
        assert_eq!(asked.names["#1"], "seen");
        assert_eq!(asked.values, HashMap::from([(":0".to_owned(), number(1))]));
    }

    #[test]
    fn it_asks_for_no_more_than_an_expression_holds() {
        let mut copy: Item = (0..400).map(|n| (format!("a{n:03}"), number(n))).collect();
        copy.insert("id".to_owned(), text("a"));
        let many = asked(&keys(), &copy, &BTreeSet::new());
        assert_eq!(many.values.len(), MOST);
        assert!(many.condition.len() <= LONGEST);
        let around = (0..400).map(|n| format!("b{n:03}")).collect();
        let others = asked(&keys(), &Item::from([("id".to_owned(), text("a"))]), &around);
        assert!(others.condition.len() <= LONGEST && others.names.len() > 100);
    }
}
