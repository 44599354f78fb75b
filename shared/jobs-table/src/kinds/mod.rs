//! The kinds of job.
//!
//! * `check`: which fields a kind knows, and which it needs
//! * `estimate`: what a job would take
//! * `plan`: its stages
//! * `work`: one of its batches
//! * `split`: the batches that sort a table's keys into bins

mod check;
mod estimate;
mod plan;
mod split;
mod work;

use nextbasket_job_engine::{
    Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, Trust, Work, WorkError,
};
use serde_json::Value;

use crate::parameters::Parameters;

/// What a job does with the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Fill => "fill",
        }
    }

    /// Whether it changes items.
    fn changes(self) -> bool {
        self != Self::Count
    }
}

/// A kind of job over the items of a table.
#[derive(Debug, Clone, Copy)]
pub struct TableJob {
    operation: TableOperation,
    trust: Trust,
}

impl TableJob {
    /// Jobs that do this.
    #[must_use]
    pub fn new(operation: TableOperation) -> Self {
        Self { operation, trust: Trust::Open }
    }

    /// Sets what its jobs may do. A copy job with a valid voucher may use any endpoint that it names.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }
}

impl Kind for TableJob {
    type Task = Parameters;

    fn name(&self) -> &'static str {
        self.operation.name()
    }

    fn task(&self, parameters: &Value) -> Result<Parameters, Refusal> {
        let parameters = check::checked(self.operation, parameters)?;
        parameters.to.iter().try_for_each(|to| to.check("to.", self.trust))?;
        Ok(parameters)
    }

    fn lock(&self, parameters: &Parameters) -> Option<String> {
        check::lock(self.operation, parameters)
    }

    async fn estimate(&self, site: &Site, parameters: &Parameters) -> Result<Estimate, JobError> {
        estimate::estimate(self.operation, site, parameters).await
    }

    async fn plan(&self, planning: &Planning<'_>, parameters: &Parameters) -> Result<Next, JobError> {
        plan::plan(self.operation, planning, parameters).await
    }

    async fn work(&self, work: &mut Work, parameters: Parameters) -> Result<Outcome, WorkError> {
        work::work(self.operation, work, &parameters).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_go_to_other_endpoints_only_where_that_is_allowed() {
        let copy = json!({ "table": "abc", "to": { "table": "abd", "endpoint": "http://127.0.0.1:8000" } });
        let here = TableJob::new(TableOperation::Copy);
        let refused = here.task(&copy).unwrap_err().to_string();
        assert_eq!(refused, "parameters.to.endpoint: is for jobs that are submitted from the command line");
        assert!(here.trusting(Trust::Machine).task(&copy).is_ok());
    }
}
