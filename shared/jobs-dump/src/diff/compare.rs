//! A group of buckets, item by item.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use nextbasket_dynamodb::item::Item;
use nextbasket_job_engine::{Outcome, Work, WorkError};
use nextbasket_objects::Files;
use serde::{Deserialize, Serialize};

use crate::diff::buckets::{Tally, key_of};
use crate::digest::write_value;
use crate::error::FormatError;
use crate::grouped::GroupSlice;
use crate::json::write::{write_item, write_list, write_string};
use crate::json::{LineChange, read_line};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompareInput {
    pub slices: Vec<Slice>,
}

/// A group's items of a side in an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Slice {
    pub side: u8,
    #[serde(flatten)]
    pub lines: GroupSlice,
}

/// What was found: the lines' object, and how many.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Compared {
    pub object: Option<String>,
    pub tally: Tally,
}

pub(crate) async fn work(work: &mut Work, files: &Files, keys: &[String]) -> Result<Outcome, WorkError> {
    let input: CompareInput = work.input()?;
    let mut sides: [BTreeMap<Vec<u8>, Item>; 2] = Default::default();
    let (mut lines, mut tally) = (Vec::new(), Tally::default());
    for slice in &input.slices {
        let content = slice.lines.read(work, files).await?;
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let change = read_line(0, line).map_err(|error| WorkError::Failed(error.to_string()))?;
            let LineChange::Put(item) = change else { continue };
            let key = key_of(keys, &item)?;
            let Some(side) = sides.get_mut(usize::from(slice.side)) else { continue };
            if let Some(before) = side.insert(key, item) {
                tally.twice += 1;
                let name = if slice.side == 0 { "left" } else { "right" };
                one_sided("twice", name, keys, &before, &mut lines)?;
            }
        }
    }
    let [left, right] = &sides;
    let all: BTreeSet<&Vec<u8>> = left.keys().chain(right.keys()).collect();
    for key in all {
        match (left.get(key), right.get(key)) {
            (Some(item), None) => {
                tally.only_left += 1;
                one_sided("only", "left", keys, item, &mut lines)?;
            }
            (None, Some(item)) => {
                tally.only_right += 1;
                one_sided("only", "right", keys, item, &mut lines)?;
            }
            (Some(left), Some(right)) => {
                let names = differing(left, right)?;
                if !names.is_empty() {
                    tally.differing += 1;
                    two_sided(&names, keys, left, right, &mut lines)?;
                }
            }
            (None, None) => {}
        }
    }
    work.progress.processed += u64::try_from(left.len() + right.len()).unwrap_or(0);
    work.progress.matched += tally.only_left + tally.only_right + tally.differing;
    let object = match lines.is_empty() {
        true => None,
        false => Some(work.put_own("differences.jsonl", lines).await?),
    };
    Outcome::done(&Compared { object, tally })
}

/// The attributes that are not the same, by name.
fn differing<'a>(left: &'a Item, right: &'a Item) -> Result<Vec<&'a String>, FormatError> {
    let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let mut differing = Vec::new();
    for name in names {
        let same = match (left.get(name), right.get(name)) {
            (Some(left), Some(right)) => same(left, right)?,
            _ => false,
        };
        if !same {
            differing.push(name);
        }
    }
    Ok(differing)
}

/// Whether two values are equal, whatever the order of their sets and the spelling of their numbers.
fn same(left: &AttributeValue, right: &AttributeValue) -> Result<bool, FormatError> {
    if left == right {
        return Ok(true);
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    write_value(left, &mut one)?;
    write_value(right, &mut other)?;
    Ok(one == other)
}

pub(crate) fn same_items(left: &Item, right: &Item) -> Result<bool, FormatError> {
    Ok(left == right || differing(left, right)?.is_empty())
}

fn part<'a>(item: &Item, names: impl Iterator<Item = &'a String>) -> Item {
    names.filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect()
}

/// `{"only":"left","key":{…},"item":{…}}`
fn one_sided(
    what: &str,
    side: &str,
    keys: &[String],
    item: &Item,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    out.push(b'{');
    write_string(what, out);
    out.push(b':');
    write_string(side, out);
    out.extend_from_slice(b",\"key\":");
    write_item(&part(item, keys.iter()), out)?;
    out.extend_from_slice(b",\"item\":");
    write_item(item, out)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// `{"differs":["n"],"key":{…},"left":{"n":…},"right":{"n":…}}`
fn two_sided(
    names: &[&String],
    keys: &[String],
    left: &Item,
    right: &Item,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    out.extend_from_slice(b"{\"differs\":");
    write_list(names, out, |name, out| {
        write_string(name, out);
        Ok(())
    })?;
    out.extend_from_slice(b",\"key\":");
    write_item(&part(left, keys.iter()), out)?;
    out.extend_from_slice(b",\"left\":");
    write_item(&part(left, names.iter().copied()), out)?;
    out.extend_from_slice(b",\"right\":");
    write_item(&part(right, names.iter().copied()), out)?;
    out.extend_from_slice(b"}\n");
    Ok(())
}
