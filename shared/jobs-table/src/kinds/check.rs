//! Which fields a kind knows, and which it needs.

use nextbasket_items::write::OnConflict;
use nextbasket_job_engine::{Kind as _, Refusal};
use serde_json::Value;

use super::TableOperation;
use crate::parameters::TableParameters;

/// The parameters, if they say what the kind needs and nothing else.
pub(super) fn checked(operation: TableOperation, parameters: &Value) -> Result<TableParameters, Refusal> {
    let parameters = TableParameters::parse(parameters)?;
    parameters.only(operation.name(), &known(operation))?;
    match operation {
        TableOperation::Count => check_sample(&parameters)?,
        TableOperation::Update => {
            needed("set", "the change of the items, such as \"price = 5\"", parameters.set.is_some())?;
        }
        TableOperation::Delete if parameters.all == parameters.r#where.is_some() => {
            let problem = if parameters.all {
                "cannot be combined with where: omit one of the two"
            } else {
                "must be true to delete all items; otherwise select items with where"
            };
            return Err(Refusal::parameter("all", problem));
        }
        TableOperation::Delete => {}
        TableOperation::Copy => check_copy(&parameters)?,
        TableOperation::Fill => {
            needed("count", "how many items to make", parameters.count.is_some())?;
            if parameters.template.as_ref().is_some_and(serde_json::Map::is_empty) {
                return Err(Refusal::parameter("template", "must have at least one attribute"));
            }
        }
    }
    if parameters.binned().is_some() {
        let by_size = [("follow", parameters.follow.is_some()), ("limit", parameters.limit.is_some())];
        if let Some((field, _)) = by_size.into_iter().find(|(_, given)| *given) {
            return Err(Refusal::parameter(field, "requires a split by size"));
        }
    }
    if parameters.limit.is_some() && parameters.follow.is_some() {
        return Err(Refusal::parameter("limit", "cannot be combined with follow: omit one of the two"));
    }
    Ok(parameters)
}

/// The fields that a kind knows beside those that all know.
pub(super) fn known(operation: TableOperation) -> Vec<&'static str> {
    let reading = ["where", "segments", "consistentRead", "split", "follow"];
    let own: &[&str] = match operation {
        TableOperation::Count => &["index", "sample", "seed"],
        TableOperation::Update => &["set", "limit"],
        TableOperation::Delete => &["all", "limit"],
        TableOperation::Copy => &["to", "onConflict", "set"],
        TableOperation::Fill => &["segments", "count", "itemBytes", "seed", "partitions", "template"],
    };
    if operation == TableOperation::Fill { own.to_vec() } else { [&reading, own].concat() }
}

fn check_sample(parameters: &TableParameters) -> Result<(), Refusal> {
    if parameters.sample.is_none() {
        return match parameters.seed {
            0 => Ok(()),
            _ => Err(Refusal::parameter("seed", "requires a sample")),
        };
    }
    if parameters.follow.is_some() || parameters.binned().is_some() {
        let problem = "cannot be combined with follow, nor with a split by time or feature";
        return Err(Refusal::parameter("sample", problem));
    }
    Ok(())
}

fn check_copy(parameters: &TableParameters) -> Result<(), Refusal> {
    let Some(to) = &parameters.to else {
        return needed("to", "the table to copy to, such as {\"table\": \"copies\"}", false);
    };
    if to.table == parameters.table && to.is_of_site() {
        return Err(Refusal::parameter("to.table", "must be another table than the source"));
    }
    if let Some(OnConflict::IfNewer(attribute)) = &parameters.on_conflict
        && attribute.is_empty()
    {
        return Err(Refusal::parameter("onConflict.ifNewer", "must name an attribute"));
    }
    Ok(())
}

fn needed(field: &str, what: &str, given: bool) -> Result<(), Refusal> {
    if given { Ok(()) } else { Err(Refusal::parameter(field, format!("is missing: {what}"))) }
}

pub(super) fn lock(operation: TableOperation, parameters: &TableParameters) -> Option<String> {
    let changed = match (operation, &parameters.to) {
        (TableOperation::Count, _) => None,
        (TableOperation::Copy, to) => to.as_ref().map(|to| &to.table),
        (TableOperation::Update | TableOperation::Delete | TableOperation::Fill, _) => {
            Some(&parameters.table)
        }
    };
    changed.map(|table| format!("table/{table}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(operation: TableOperation, parameters: &Value) -> String {
        checked(operation, parameters).unwrap_err().to_string()
    }

    #[test]
    fn each_kind_says_what_it_misses() {
        for (operation, parameters, problem) in [
            (
                TableOperation::Update,
                json!({ "table": "abc" }),
                "parameters.set: is missing: the change of the items, such as \"price = 5\"",
            ),
            (
                TableOperation::Delete,
                json!({ "table": "abc" }),
                "parameters.all: must be true to delete all items; otherwise select items with where",
            ),
            (
                TableOperation::Delete,
                json!({ "table": "abc", "all": true, "where": "a = 1" }),
                "parameters.all: cannot be combined with where: omit one of the two",
            ),
            (
                TableOperation::Copy,
                json!({ "table": "abc" }),
                "parameters.to: is missing: the table to copy to, such as {\"table\": \"copies\"}",
            ),
            (
                TableOperation::Copy,
                json!({ "table": "abc", "to": { "table": "abc" } }),
                "parameters.to.table: must be another table than the source",
            ),
            (
                TableOperation::Copy,
                json!({ "table": "abc", "to": { "table": "abd" }, "onConflict": { "ifNewer": "" } }),
                "parameters.onConflict.ifNewer: must name an attribute",
            ),
            (
                TableOperation::Fill,
                json!({ "table": "abc" }),
                "parameters.count: is missing: how many items to make",
            ),
            (
                TableOperation::Count,
                json!({ "table": "abc", "follow": {}, "split": { "by": "feature", "attribute": "a", "parts": 2 } }),
                "parameters.follow: requires a split by size",
            ),
            (
                TableOperation::Update,
                json!({ "table": "abc", "set": "a = 1", "limit": 0 }),
                "parameters.limit: must be from 1 to 18446744073709551615",
            ),
            (
                TableOperation::Update,
                json!({ "table": "abc", "set": "a = 1", "limit": 5, "follow": {} }),
                "parameters.limit: cannot be combined with follow: omit one of the two",
            ),
            (
                TableOperation::Delete,
                json!({ "table": "abc", "all": true, "limit": 5, "split": { "by": "feature", "attribute": "a", "parts": 2 } }),
                "parameters.limit: requires a split by size",
            ),
            (
                TableOperation::Update,
                json!({ "table": "abc", "set": "a = 1", "index": "by-a" }),
                "parameters.index: not accepted by kind \"update\"",
            ),
            (
                TableOperation::Count,
                json!({ "table": "abc", "sample": "10%", "follow": {} }),
                "parameters.sample: cannot be combined with follow, nor with a split by time or feature",
            ),
            (
                TableOperation::Count,
                json!({ "table": "abc", "seed": 5 }),
                "parameters.seed: requires a sample",
            ),
            (
                TableOperation::Fill,
                json!({ "table": "abc", "count": 1, "where": "a = 1" }),
                "parameters.where: not accepted by kind \"fill\"",
            ),
        ] {
            assert_eq!(refused(operation, &parameters), problem);
        }
    }

    #[test]
    fn a_conflict_is_one_of_four() {
        let read = |on: Value| {
            let parameters = json!({ "table": "abc", "to": { "table": "abd" }, "onConflict": on });
            checked(TableOperation::Copy, &parameters).map(|parameters| parameters.on_conflict.unwrap())
        };
        assert_eq!(read(json!("skip")).unwrap(), OnConflict::Skip);
        let newer = OnConflict::IfNewer("at".to_owned());
        assert_eq!(read(json!({ "ifNewer": "at" })).unwrap(), newer);
        assert_eq!(serde_json::to_value(&newer).unwrap(), json!({ "ifNewer": "at" }));
        assert!(
            read(json!("replace"))
                .unwrap_err()
                .to_string()
                .starts_with("parameters.onConflict: unknown variant")
        );
    }

    #[test]
    fn whoever_changes_a_table_locks_it() {
        let lock = |operation, parameters| lock(operation, &checked(operation, &parameters).unwrap());
        let copy = json!({ "table": "abc", "to": { "table": "abd" } });
        assert_eq!(lock(TableOperation::Copy, copy).as_deref(), Some("table/abd"));
        assert_eq!(lock(TableOperation::Count, json!({ "table": "abc" })), None);
        let update = json!({ "table": "abc", "set": "a = 1" });
        assert_eq!(lock(TableOperation::Update, update).as_deref(), Some("table/abc"));
    }

    #[test]
    fn the_examples_of_the_readme_are_accepted() {
        let kinds = [
            TableOperation::Count,
            TableOperation::Update,
            TableOperation::Delete,
            TableOperation::Copy,
            TableOperation::Fill,
        ];
        let mut shown = Vec::new();
        for line in include_str!("../../README.md").lines().filter(|line| line.starts_with("{ \"kind\"")) {
            let job: Value = serde_json::from_str(line).unwrap();
            let operation = kinds.into_iter().find(|operation| job["kind"] == operation.name()).unwrap();
            assert!(checked(operation, &job["parameters"]).is_ok(), "{line}");
            shown.push(operation);
        }
        assert!(kinds.iter().all(|operation| shown.contains(operation)), "{shown:?}");
    }
}
