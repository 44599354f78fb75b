//! Which tables a dump is of: names, patterns of names, a tag.

use nextbasket_dynamodb::TableError;
use nextbasket_items::table::check_name;
use nextbasket_job_engine::{JobError, Refusal, Site};

use crate::dump::parameters::{DumpTask, TagFilter};
use crate::manifest::settings::Tag;

/// The pattern that fits every name.
pub(super) const ALL: &str = "*";

/// Refuses what is neither a table's name nor a pattern of such names.
pub(super) fn check(name: &str) -> Result<(), Refusal> {
    if !is_pattern(name) {
        return check_name("tables", name);
    }
    // A pattern is valid if some name fits it.
    let longest = name.replace('*', "");
    if longest.len() >= 3 {
        check_name("tables", &longest)
    } else {
        check_name("tables", &format!("{longest}---"))
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// The names of the tables, in the order in which they were given; of a pattern, as DynamoDB lists them. The table of
/// the jobs is left out unless it is named: it changes while this job runs, and the stack's secret is in it.
pub(super) async fn tables(site: &Site, task: &DumpTask) -> Result<Vec<String>, JobError> {
    let mut tables = Vec::new();
    let all = if task.tables.iter().any(|name| is_pattern(name)) { listed(site).await? } else { Vec::new() };
    for name in &task.tables {
        if !is_pattern(name) {
            tables.push(name.clone());
            continue;
        }
        let fitting = all.iter().filter(|table| fits(name, table) && **table != site.operations);
        let before = tables.len();
        tables.extend(fitting.cloned());
        if tables.len() == before {
            return Err(JobError::Failed(format!(
                "no table fits \"{name}\". Check the pattern and the region."
            )));
        }
    }
    let mut known = std::collections::HashSet::new();
    tables.retain(|table| known.insert(table.clone()));
    let Some(tag) = &task.tag else { return Ok(tables) };
    let mut tagged = Vec::new();
    for table in tables {
        if has_tag(site, &table, tag).await? {
            tagged.push(table);
        }
    }
    if tagged.is_empty() {
        let TagFilter { key, value } = tag;
        return Err(JobError::Failed(format!("none of the tables has the tag {key}={value}")));
    }
    Ok(tagged)
}

async fn listed(site: &Site) -> Result<Vec<String>, JobError> {
    let mut names = site.dynamodb.list_tables().into_paginator().items().send();
    let mut tables = Vec::new();
    while let Some(name) = names.next().await {
        tables.push(name.map_err(|error| TableError::from_sdk(ALL, error))?);
    }
    Ok(tables)
}

async fn has_tag(site: &Site, table: &str, tag: &TagFilter) -> Result<bool, JobError> {
    let client = &site.dynamodb;
    let described = client.describe_table().table_name(table).send().await;
    let described = described.map_err(|error| TableError::from_sdk(table, error))?.table;
    let Some(arn) = described.and_then(|table| table.table_arn) else { return Ok(false) };
    let tags = Tag::all(client, table, &arn).await?;
    Ok(tags.iter().any(|found| found.key == tag.key && found.value == tag.value))
}

/// Whether the name fits the pattern, in which `*` stands for any characters, or none.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, fit) in [
            ("shop-*", "shop-orders", true),
            ("shop-*", "shop-", true),
            ("shop-*", "my-shop-orders", false),
            ("*-orders", "shop-orders", true),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
            ("orders", "orders", true),
            ("orders", "orders-2", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_has_the_characters_of_names() {
        for pattern in ["*", "a*", "shop-*", "*.old"] {
            check(pattern).unwrap();
        }
        for pattern in ["a b*", "*/x", "", "é*"] {
            check(pattern).unwrap_err();
        }
    }
}
