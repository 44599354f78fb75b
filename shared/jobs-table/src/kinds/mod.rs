//! The kinds of job.
//!
//! * `check`: which fields a kind knows, and which it needs
//! * `estimate`: what a job would take
//! * `plan`: its stages
//! * `work`: one of its batches
//! * `split`: the batches that sort a table's keys into bins
//! * `select`: the batches that note the keys of as many items as may be changed
//! * `schema`: what a form of each kind needs to know
//! * `sample`: which segments stand for a table, and what they say about it

mod check;
mod estimate;
mod plan;
mod sample;
#[cfg(feature = "schema")]
mod schema;
mod select;
mod split;
mod work;

use nextbasket_items::expression::without_constants;
use nextbasket_items::write::WriteGuard;
use nextbasket_job_engine::calls::CallError;
use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site, Trust, Work, WorkError,
};
use serde_json::Value;
use strum::IntoStaticStr;

use crate::parameters::TableParameters;

/// A kind of job over the items of a table: what it does with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum TableOperation {
    /// `count`: how many items there are, and how many meet a condition; with a split by time or by feature, how many
    /// of each period or part.
    Count,
    /// `update`: changes the items that meet a condition, or all.
    Update,
    /// `delete`: deletes the items that meet a condition; all only if it is said.
    Delete,
    /// `copy`: puts the items that meet a condition, or all, into another table, of the same keys.
    Copy,
    /// `fill`: makes items, the same ones for the same seed.
    Fill,
}

impl TableOperation {
    fn changes(self) -> bool {
        self != Self::Count
    }
}

impl Kind for TableOperation {
    type Task = TableParameters;

    fn name(&self) -> &'static str {
        self.into()
    }

    fn writes_tables(&self) -> bool {
        self.changes()
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<TableParameters, Refusal> {
        let parameters = check::checked(*self, parameters)?;
        parameters.to.iter().try_for_each(|to| to.check("to.", trust))?;
        Ok(parameters)
    }

    fn lock(&self, parameters: &TableParameters) -> Option<String> {
        check::lock(*self, parameters)
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        for name in ["where", "set"] {
            redaction.text(parameters.get_mut(name), without_constants);
        }
        redaction.whole(parameters.get_mut("template"));
    }

    async fn estimate(&self, site: &Site, parameters: &TableParameters) -> Result<Estimate, JobError> {
        estimate::estimate(*self, site, parameters).await
    }

    async fn plan(&self, planning: &Planning<'_>, parameters: &TableParameters) -> Result<Next, JobError> {
        plan::plan(*self, planning, parameters).await
    }

    async fn work(&self, work: &mut Work, parameters: TableParameters) -> Result<Outcome, WorkError> {
        work::work(*self, work, &parameters, &WriteGuard::default()).await.or_else(CallError::outcome)
    }
}

/// The kind `copy` where some tables must not get all items: what the target must not get is left out, and counted as
/// `erased`.
#[derive(Debug)]
pub struct GuardedCopy(pub WriteGuard);

impl Kind for GuardedCopy {
    type Task = TableParameters;

    fn name(&self) -> &'static str {
        TableOperation::Copy.name()
    }

    fn task(&self, parameters: &Value, trust: Trust) -> Result<TableParameters, Refusal> {
        TableOperation::Copy.task(parameters, trust)
    }

    fn lock(&self, parameters: &TableParameters) -> Option<String> {
        TableOperation::Copy.lock(parameters)
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        TableOperation::Copy.redact(parameters, redaction);
    }

    async fn estimate(&self, site: &Site, parameters: &TableParameters) -> Result<Estimate, JobError> {
        TableOperation::Copy.estimate(site, parameters).await
    }

    async fn plan(&self, planning: &Planning<'_>, parameters: &TableParameters) -> Result<Next, JobError> {
        TableOperation::Copy.plan(planning, parameters).await
    }

    async fn work(&self, work: &mut Work, parameters: TableParameters) -> Result<Outcome, WorkError> {
        work::work(TableOperation::Copy, work, &parameters, &self.0).await.or_else(CallError::outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_go_to_other_endpoints_only_where_that_is_allowed() {
        let copy = json!({ "table": "abc", "to": { "table": "abd", "endpoint": "http://127.0.0.1:8000" } });
        let refused = TableOperation::Copy.task(&copy, Trust::Open).unwrap_err().to_string();
        assert_eq!(refused, "parameters.to.endpoint: is for jobs that are submitted from the command line");
        assert!(TableOperation::Copy.task(&copy, Trust::Machine).is_ok());
    }

    #[test]
    fn constants_are_taken_out_of_what_an_ended_job_keeps() {
        let mut parameters = json!({
            "table": "orders",
            "where": "userId = 'ada' AND size(lines) > 12 AND at < now() - 30d AND id IN (b64'aGk=', \"x y\")",
            "set": "note = 'for \\'ada\\'', seen = true REMOVE `a b`",
            "template": { "userId": "user-{n}", "age": 5, "deep": [{ "name": "grace" }, null] },
            "segments": 4,
        });
        let mut redaction = Redaction::default();
        TableOperation::Update.redact(&mut parameters, &mut redaction);
        let kept = json!({
            "table": "orders",
            "where": "userId = \"…\" AND size(lines) > … AND at < now() - 30d AND id IN (…, \"…\")",
            "set": "note = \"…\", seen = true REMOVE `a b`",
            "template": { "userId": "…", "age": "…", "deep": [{ "name": "…" }, null] },
            "segments": 4,
        });
        assert_eq!(parameters, kept);
        let mut parameters = json!({ "where": "no expression 'ada" });
        TableOperation::Count.redact(&mut parameters, &mut redaction);
        assert_eq!(parameters, json!({ "where": "…" }), "of what is no expression nothing is kept");
    }
}
