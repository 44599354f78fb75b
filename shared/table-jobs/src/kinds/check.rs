//! Which fields a kind knows, and which it needs.

use nextbasket_batch::Refusal;
use serde_json::Value;

use super::What;
use crate::parameters::{OnConflict, Parameters};

/// The parameters, if they say what the kind needs and nothing else.
pub(super) fn checked(what: What, parameters: &Value) -> Result<Parameters, Refusal> {
    let parameters = Parameters::parse(parameters)?;
    let reading = ["where", "segments", "consistentRead", "split", "follow"];
    let own: &[&str] = match what {
        What::Count => &[],
        What::Update => &["set"],
        What::Delete => &["all"],
        What::Copy => &["to", "onConflict"],
        What::Fill => &["segments", "count", "itemBytes", "seed", "partitions", "template"],
    };
    let known: Vec<&str> = if what == What::Fill { own.to_vec() } else { [&reading, own].concat() };
    parameters.only(what.name(), &known)?;
    match what {
        What::Count => {}
        What::Update => {
            needed("set", "what becomes of the items, such as \"price = 5\"", parameters.set.is_some())?;
        }
        What::Delete if parameters.all == parameters.r#where.is_some() => {
            let problem = if parameters.all {
                "goes with no condition: leave out one of the two"
            } else {
                "must be true to delete all items; otherwise say in where which ones"
            };
            return Err(Refusal::parameter("all", problem));
        }
        What::Delete => {}
        What::Copy => check_copy(&parameters)?,
        What::Fill => {
            needed("count", "how many items to make", parameters.count.is_some())?;
            if parameters.template.as_ref().is_some_and(serde_json::Map::is_empty) {
                return Err(Refusal::parameter("template", "must have an attribute"));
            }
        }
    }
    if parameters.follow.is_some() && parameters.binned().is_some() {
        return Err(Refusal::parameter("follow", "goes with a split by size only"));
    }
    Ok(parameters)
}

fn check_copy(parameters: &Parameters) -> Result<(), Refusal> {
    let Some(to) = &parameters.to else {
        return needed("to", "the table to copy to, such as {\"table\": \"copies\"}", false);
    };
    if to.table == parameters.table && to.region.is_none() && to.endpoint.is_none() {
        return Err(Refusal::parameter("to.table", "is the table itself"));
    }
    if let Some(OnConflict::IfNewer { attribute }) = &parameters.on_conflict
        && attribute.is_empty()
    {
        return Err(Refusal::parameter("onConflict.ifNewer", "must name an attribute"));
    }
    Ok(())
}

fn needed(field: &str, what: &str, given: bool) -> Result<(), Refusal> {
    if given { Ok(()) } else { Err(Refusal::parameter(field, format!("is missing: {what}"))) }
}

/// The lock of the table that is changed.
pub(super) fn lock(what: What, parameters: &Parameters) -> Option<String> {
    let changed = match (what, &parameters.to) {
        _ if parameters.dry_run => None,
        (What::Count, _) => None,
        (What::Copy, to) => to.as_ref().map(|to| &to.table),
        (What::Update | What::Delete | What::Fill, _) => Some(&parameters.table),
    };
    changed.map(|table| format!("table/{table}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(what: What, parameters: &Value) -> String {
        checked(what, parameters).unwrap_err().to_string()
    }

    #[test]
    fn each_kind_says_what_it_misses() {
        for (what, parameters, problem) in [
            (
                What::Update,
                json!({ "table": "abc" }),
                "parameters.set: is missing: what becomes of the items, such as \"price = 5\"",
            ),
            (
                What::Delete,
                json!({ "table": "abc" }),
                "parameters.all: must be true to delete all items; otherwise say in where which ones",
            ),
            (
                What::Delete,
                json!({ "table": "abc", "all": true, "where": "a = 1" }),
                "parameters.all: goes with no condition: leave out one of the two",
            ),
            (
                What::Copy,
                json!({ "table": "abc" }),
                "parameters.to: is missing: the table to copy to, such as {\"table\": \"copies\"}",
            ),
            (
                What::Copy,
                json!({ "table": "abc", "to": { "table": "abc" } }),
                "parameters.to.table: is the table itself",
            ),
            (
                What::Copy,
                json!({ "table": "abc", "to": { "table": "abd" }, "onConflict": { "ifNewer": "" } }),
                "parameters.onConflict.ifNewer: must name an attribute",
            ),
            (What::Fill, json!({ "table": "abc" }), "parameters.count: is missing: how many items to make"),
            (
                What::Count,
                json!({ "table": "abc", "follow": {}, "split": { "by": "feature", "attribute": "a", "parts": 2 } }),
                "parameters.follow: goes with a split by size only",
            ),
            (
                What::Fill,
                json!({ "table": "abc", "count": 1, "where": "a = 1" }),
                "parameters.where: says nothing to a job of the kind fill",
            ),
        ] {
            assert_eq!(refused(what, &parameters), problem);
        }
    }

    #[test]
    fn a_conflict_is_one_of_four() {
        let read = |on: Value| {
            let parameters = json!({ "table": "abc", "to": { "table": "abd" }, "onConflict": on });
            checked(What::Copy, &parameters).map(|parameters| parameters.on_conflict.unwrap())
        };
        assert_eq!(read(json!("skip")).unwrap(), OnConflict::Skip);
        let newer = OnConflict::IfNewer { attribute: "at".to_owned() };
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
        let lock = |what, parameters| lock(what, &checked(what, &parameters).unwrap());
        let copy = json!({ "table": "abc", "to": { "table": "abd" } });
        assert_eq!(lock(What::Copy, copy).as_deref(), Some("table/abd"));
        assert_eq!(lock(What::Count, json!({ "table": "abc" })), None);
        let update = json!({ "table": "abc", "set": "a = 1" });
        assert_eq!(lock(What::Update, update).as_deref(), Some("table/abc"));
        let dry = json!({ "table": "abc", "set": "a = 1", "dryRun": true });
        assert_eq!(lock(What::Update, dry), None);
    }

    #[test]
    fn the_examples_of_the_readme_are_accepted() {
        let kinds = [What::Count, What::Update, What::Delete, What::Copy, What::Fill];
        let mut shown = Vec::new();
        for line in include_str!("../../README.md").lines().filter(|line| line.starts_with("{ \"kind\"")) {
            let job: Value = serde_json::from_str(line).unwrap();
            let what = kinds.into_iter().find(|what| job["kind"] == what.name()).unwrap();
            assert!(checked(what, &job["parameters"]).is_ok(), "{line}");
            shown.push(what);
        }
        assert!(kinds.iter().all(|what| shown.contains(what)), "{shown:?}");
    }
}
