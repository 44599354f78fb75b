//! `rebuild-history`: rebuilds every history from the purchases.
//!
//! Histories follow the purchases by themselves, through the table's stream. This is for when they could not: records
//! that the stream's consumer gave up, a restored table, a new form of the history's item.
//!
//! Of users who were erased, purchases that another tool has brought back (a table restored to a point in time, say) are
//! deleted.
//!
//! Stage `refresh` reads the purchases, one batch for each segment, and refreshes the history of every user found
//! there. Damaged purchases, which are skipped, are listed in the job's refused files.
//! Stage `sweep` looks at the histories: of a user whose purchases are all gone, the history goes, too. A history that
//! is as it should be is read and not written.

use std::ops::Add;

use nextbasket_domain::UserId;
use nextbasket_job_engine::calls::{CallError, Consumes};
use nextbasket_job_engine::work::Go;
use nextbasket_job_engine::{
    BatchPlan, Estimate, JobError, Kind, Next, Outcome, Planning, Redaction, Refusal, Site, StagePlan, Trust,
    Work, WorkError,
};
use nextbasket_tables::Tables;
use nextbasket_tables::damaged::check;
use nextbasket_tables::segment::{Segment, SegmentPosition, TableSize};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::histories::HistoryAction;
use crate::run_settings::{RunSettings, parse};
use crate::{histories, refuse, segments, unnamed, unplanned};

const REFRESH: &str = "refresh";
const SWEEP: &str = "sweep";

/// The kind `rebuild-history`, over these tables: purchases and histories.
#[derive(Debug, Clone)]
pub struct RebuildHistory(pub Tables);

/// Rebuilds the purchase histories that do not match the purchases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebuildParameters {
    /// Only the history of this user; those of all users if it is omitted.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", length(min = 1)))]
    user: Option<UserId>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Input {
    /// The user of the job's parameters: a batch's input is kept longer than they are.
    User,
    /// The users of a segment of the purchases.
    Purchases(Segment),
    /// The users of a segment of the histories.
    Histories(Segment),
}

#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    after: SegmentPosition,
    /// The last user of the page, who may be the first of the next one, too.
    last: Option<UserId>,
    #[serde(default)]
    counts: ScanCounts,
}

/// A batch's result: the number of items that it has read.
#[derive(Debug, Clone, Copy, Default, derive_more::Add, Serialize, Deserialize)]
struct ScanCounts {
    /// The number of readable purchases, or histories.
    readable: u64,
    /// The number of damaged items, which were skipped.
    damaged: u64,
    /// The number of purchases of erased users, which were deleted.
    #[serde(default)]
    erased: u64,
}

impl RebuildHistory {
    async fn refresh(&self, work: &mut Work, user: Option<UserId>) -> Result<Outcome, CallError> {
        let history = self.0.history().map_err(unnamed)?;
        let purchases = self.0.purchases().map_err(unnamed)?;
        let erased_users = self.0.erased_users().map_err(unnamed)?;
        let erasures = work.call(Consumes::Reads, || erased_users.load()).await?;
        let input: Input = work.input()?;
        let (what, segment) = match input {
            Input::User => {
                let user = user.ok_or_else(|| WorkError::Failed("the job names no user".to_owned()))?;
                let erased = histories::remove_erased(work, &erasures, &purchases, &[&user]).await?;
                let damaged =
                    histories::update(work, HistoryAction::Refresh, &history, &purchases, &[user]).await?;
                refuse(work, &damaged);
                return Ok(Outcome::done(&ScanCounts { erased, ..ScanCounts::default() })?);
            }
            Input::Purchases(segment) => (HistoryAction::Refresh, segment),
            Input::Histories(segment) => (HistoryAction::Sweep, segment),
        };
        let (mut after, mut last, mut counts) = match work.checkpoint::<Checkpoint>()? {
            Some(Checkpoint { after, last, counts }) => (Some(after), last, counts),
            None => (None, None, ScanCounts::default()),
        };
        loop {
            let place = after.as_ref();
            let (history, purchases) = (&history, &purchases);
            let page = match what {
                HistoryAction::Refresh => {
                    work.call(Consumes::Reads, || purchases.users_in(segment, place)).await?
                }
                HistoryAction::Sweep => {
                    work.call(Consumes::Reads, || history.users_in(segment, place)).await?
                }
            };
            counts.readable += u64::try_from(page.items.len()).unwrap_or(u64::MAX);
            let mut damaged = page.damaged;
            let mut users = page.items;
            users.dedup();
            if users.first() == last.as_ref() {
                users.drain(..users.len().min(1));
            }
            if what == HistoryAction::Refresh {
                let users: Vec<&UserId> = users.iter().collect();
                counts.erased += histories::remove_erased(work, &erasures, purchases, &users).await?;
            }
            let unfolded = histories::update(work, what, history, purchases, &users).await?;
            if what == HistoryAction::Refresh {
                // They were already counted with the page. The damaged purchases that a sweep meets were listed
                // before.
                counts.readable = counts.readable.saturating_sub(unfolded.len().try_into().unwrap_or(0));
                damaged.extend(unfolded);
            }
            counts.damaged += u64::try_from(damaged.len()).unwrap_or(u64::MAX);
            refuse(work, &damaged);
            let Some(end) = page.end else { return Ok(Outcome::done(&counts)?) };
            last = users.pop().or(last);
            let checkpoint = Checkpoint { after: end, last, counts };
            if work.save(&checkpoint).await? == Go::Stop {
                return Ok(Outcome::Stopped);
            }
            (after, last) = (Some(checkpoint.after), checkpoint.last);
        }
    }
}

impl Kind for RebuildHistory {
    type Task = (RebuildParameters, RunSettings);

    fn name(&self) -> &'static str {
        "rebuild-history"
    }

    fn task(&self, parameters: &Value, _: Trust) -> Result<Self::Task, Refusal> {
        parse(parameters)
    }

    fn redact(&self, parameters: &mut Value, redaction: &mut Redaction) {
        redaction.whole(parameters.get_mut("user"));
    }

    async fn estimate(&self, _: &Site, (parameters, settings): &Self::Task) -> Result<Estimate, JobError> {
        if parameters.user.is_some() {
            let notes = vec!["One user: a history and at most 100 purchases are read.".to_owned()];
            return Ok(Estimate { items: Some(1), notes, ..Estimate::default() });
        }
        let purchases = self.0.purchases().map_err(unplanned)?.size().await?;
        let history = self.0.history().map_err(unplanned)?.size().await?;
        Ok(estimate(purchases, history).at(settings.rates()))
    }

    async fn plan(
        &self,
        planning: &Planning<'_>,
        (parameters, settings): &Self::Task,
    ) -> Result<Next, JobError> {
        let stage = match (planning.job.stage().map(|stage| stage.name.as_str()), &parameters.user) {
            (None, Some(_)) => {
                let batches = vec![BatchPlan { of: Some(1), ..BatchPlan::new(json!(Input::User)) }];
                settings.apply(StagePlan::new(REFRESH, json!({ "by": "feature", "users": 1 }), batches))
            }
            (None, None) => {
                let size = self.0.purchases().map_err(unplanned)?.size().await?;
                stage(REFRESH, "purchases", size, settings, Input::Purchases)
            }
            (Some(REFRESH), None) => {
                enough_is_readable(planning, "purchases").await?;
                let size = self.0.history().map_err(unplanned)?.size().await?;
                stage(SWEEP, "history", size, settings, Input::Histories)
            }
            (Some(SWEEP), None) => {
                enough_is_readable(planning, "histories").await?;
                return Ok(Next::Done(result(planning).await?));
            }
            _ => return Ok(Next::Done(result(planning).await?)),
        };
        Ok(Next::Stage(stage))
    }

    async fn work(&self, work: &mut Work, (parameters, _): Self::Task) -> Result<Outcome, WorkError> {
        self.refresh(work, parameters.user).await.or_else(CallError::outcome)
    }
}

#[cfg(feature = "schema")]
impl nextbasket_job_engine::schema::DescribedKind for RebuildHistory {
    fn parameters_schema(&self) -> Value {
        crate::run_settings::schema_of::<RebuildParameters>()
    }
}

/// Fails the job if too many of the stage's items are damaged.
async fn enough_is_readable(planning: &Planning<'_>, what: &'static str) -> Result<(), JobError> {
    let Some(stage) = planning.job.stage() else { return Ok(()) };
    let counts: ScanCounts = planning.sum(stage.number, Add::add).await?.unwrap_or_default();
    check(what, counts.damaged, counts.readable).map_err(|error| JobError::Failed(error.to_string()))
}

/// A stage with a batch for each segment.
fn stage(
    name: &str,
    table: &str,
    size: TableSize,
    settings: &RunSettings,
    input: impl Fn(Segment) -> Input,
) -> StagePlan {
    let mut plan = segments::stage(name, table, size, settings, |segment| json!(input(segment)));
    // A segment's items are purchases, and what is counted are users.
    plan.batches.iter_mut().for_each(|batch| batch.of = None);
    plan
}

async fn result(planning: &Planning<'_>) -> Result<Value, JobError> {
    let of = |name: &str| planning.job.stages.iter().find(|stage| stage.name == name);
    let progress = |name: &str| of(name).map(|stage| stage.progress).unwrap_or_default();
    let counts: Option<ScanCounts> = match of(REFRESH) {
        Some(stage) => planning.sum(stage.number, Add::add).await?,
        None => None,
    };
    Ok(json!({
        "users": progress(REFRESH).processed,
        "changed": progress(REFRESH).changed,
        "histories": progress(SWEEP).processed,
        "swept": progress(SWEEP).changed,
        "erased": counts.unwrap_or_default().erased,
        "damaged": planning.job.total.refused,
        "readUnits": planning.job.total.read_units,
        "writeUnits": planning.job.total.write_units,
    }))
}

/// Every purchase is scanned once, and read once more, strongly consistent, with its user's.
#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn estimate(purchases: TableSize, history: TableSize) -> Estimate {
    const UNIT_BYTES: f64 = 4096.0;
    let units = |bytes: u64| bytes as f64 / UNIT_BYTES;
    let scans = (units(purchases.bytes) + units(history.bytes)) / 2.0;
    // Of each user the history and the newest purchases; and once more one of them.
    let folds = units(purchases.bytes) + units(history.bytes).max(history.items as f64);
    let looks = history.items as f64;
    Estimate {
        items: Some(purchases.items),
        bytes: Some(purchases.bytes),
        read_units: scans + folds + looks,
        notes: vec![
            "Writes are not in it: only histories that are not as they should be are written.".to_owned(),
            "Of a user with more than 100 purchases, only the newest 100 are read.".to_owned(),
        ],
        ..Estimate::default()
    }
}
