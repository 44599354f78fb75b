//! The kinds of job.
//!
//! * `check`: which fields a kind knows, and which it needs
//! * `estimate`: what a job would take
//! * `plan`: its stages
//! * `begin`: one of its batches
//! * `split`: the batches that sort a table's keys into bins
//! * `target`: where a copy goes

mod begin;
mod check;
mod estimate;
pub(crate) mod plan;
mod split;
pub mod target;

use futures::future::BoxFuture;
use nextbasket_batch::{Estimate, JobError, Kind, Next, Outcome, Planning, Refusal, Site, Work, WorkError};
use serde_json::Value;

use crate::parameters::Parameters;

/// What a job does with the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Count,
    Update,
    Delete,
    Copy,
    Fill,
}

impl What {
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

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $kind;

        impl $kind {
            fn checked(&self, parameters: &Value) -> Result<Parameters, Refusal> {
                check::checked(What::$kind, parameters)
            }
        }

        implement!($kind);
    };
}

macro_rules! implement {
    ($kind:ident) => {
        impl Kind for $kind {
            fn name(&self) -> &'static str {
                What::$kind.name()
            }

            fn check(&self, parameters: &Value) -> Result<(), Refusal> {
                self.checked(parameters).map(drop)
            }

            fn lock(&self, parameters: &Value) -> Option<String> {
                check::lock(What::$kind, parameters)
            }

            fn estimate<'a>(
                &'a self,
                site: &'a Site,
                parameters: &'a Value,
            ) -> BoxFuture<'a, Result<Estimate, JobError>> {
                Box::pin(estimate::estimate(What::$kind, site, parameters))
            }

            fn plan<'a>(&'a self, planning: &'a Planning<'a>) -> BoxFuture<'a, Result<Next, JobError>> {
                Box::pin(plan::plan(What::$kind, planning))
            }

            fn work<'a>(&'a self, work: &'a mut Work) -> BoxFuture<'a, Result<Outcome, WorkError>> {
                Box::pin(begin::work(What::$kind, work))
            }
        }
    };
}

kind! {
    /// `count`: how many items there are, and how many meet a condition; with a split by time or by feature, how many
    /// of each period or part.
    Count
}
kind! {
    /// `update`: changes the items that meet a condition, or all.
    Update
}
kind! {
    /// `delete`: deletes the items that meet a condition; all only if it is said.
    Delete
}
kind! {
    /// `fill`: makes items, the same ones for the same seed.
    Fill
}

/// `copy`: puts the items that meet a condition, or all, into another table, of the same keys.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    endpoints: bool,
}

impl Copy {
    /// Also to tables at whatever endpoint a job names: for jobs of whoever may send the table's items anywhere.
    #[must_use]
    pub fn with_endpoints(self) -> Self {
        Self { endpoints: true }
    }

    fn checked(&self, parameters: &Value) -> Result<Parameters, Refusal> {
        let parameters = check::checked(What::Copy, parameters)?;
        if !self.endpoints && parameters.to.as_ref().is_some_and(|to| to.endpoint.is_some()) {
            let problem = "is for jobs that are submitted from the command line";
            return Err(Refusal::parameter("to.endpoint", problem));
        }
        Ok(parameters)
    }
}

implement!(Copy);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_go_to_other_endpoints_only_where_that_is_allowed() {
        let copy = json!({ "table": "abc", "to": { "table": "abd", "endpoint": "http://127.0.0.1:8000" } });
        let refused = Copy::default().check(&copy).unwrap_err().to_string();
        assert_eq!(refused, "parameters.to.endpoint: is for jobs that are submitted from the command line");
        assert_eq!(Copy::default().with_endpoints().check(&copy), Ok(()));
    }
}
