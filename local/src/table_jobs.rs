//! `count`, `update`, `delete`, `copy`, `fill`: jobs over the items of any table.

use serde_json::Value;

use crate::Failure;
use crate::cli::Running;
use crate::cli::parameters::{Parameters, up};
use crate::cli::table_jobs::{Copy, Count, Delete, Fill, Pass, Update};
use crate::jobs::run::{Ended, RunOptions, as_option, run};

/// Options that are not called as their parameters.
const OPTIONS: [(&str, &str); 7] = [
    ("table", "TABLE"),
    ("to.table", "TO"),
    ("to.region", "--to-region"),
    ("to.endpoint", "--to-endpoint"),
    ("follow.interval", "--interval"),
    ("readUnits", "--rcu"),
    ("writeUnits", "--wcu"),
];

/// Counts items.
///
/// # Errors
/// [`Failure`] if the job is refused or fails.
pub async fn count(options: &Count) -> Result<(), Failure> {
    let Count { table, condition, pass } = options;
    let words = |ended: &Ended| {
        let matched = number(ended, "matched");
        format!("{matched} of {} items {}", number(ended, "processed"), costs(ended))
    };
    go_over(pass, "count", of_table(table).with("where", condition.clone()), words).await
}

/// Changes items.
///
/// # Errors
/// [`Failure`] if the job is refused or fails.
pub async fn update(options: &Update) -> Result<(), Failure> {
    let Update { table, set, condition, writes, pass } = options;
    let parameters = of_table(table).with("set", set.as_str()).with("where", condition.clone());
    go_over(pass, "update", writes.add(parameters), |ended| changed(ended, "updated")).await
}

/// Deletes items.
///
/// # Errors
/// [`Failure`] if the job is refused or fails.
pub async fn delete(options: &Delete) -> Result<(), Failure> {
    let Delete { table, condition, all, writes, pass } = options;
    let parameters = of_table(table).with("where", condition.clone()).with("all", up(*all));
    go_over(pass, "delete", writes.add(parameters), |ended| changed(ended, "deleted")).await
}

/// Copies items.
///
/// # Errors
/// [`Failure`] if the job is refused or fails.
pub async fn copy(options: &Copy) -> Result<(), Failure> {
    let Copy { table, to, to_region, to_endpoint, condition, puts, pass } = options;
    let target = of_table(to).with("region", to_region.clone()).with("endpoint", to_endpoint.clone());
    let parameters = of_table(table).with("to", target.json()).with("where", condition.clone());
    go_over(pass, "copy", puts.add(parameters), |ended| changed(ended, "copied")).await
}

/// Fills a table with generated items.
///
/// # Errors
/// [`Failure`] if the template cannot be read, or the job is refused or fails.
pub async fn fill(options: &Fill) -> Result<(), Failure> {
    let Fill { table, count, item_bytes, seed, partitions, template, batch_size, writes, running } = options;
    let template: Option<Value> = match template {
        None => None,
        Some(path) => {
            let content = std::fs::read_to_string(path).map_err(Failure::of_file(path))?;
            let wrong = |error| Failure::Usage(format!("{}: {error}", path.display()));
            Some(serde_json::from_str(&content).map_err(wrong)?)
        }
    };
    let parameters = of_table(table)
        .with("count", *count)
        .with("itemBytes", *item_bytes)
        .with("seed", *seed)
        .with("partitions", *partitions)
        .with("template", template)
        .with("batchSize", *batch_size);
    start(running, "fill", writes.add(parameters), false, |ended| changed(ended, "written")).await
}

fn of_table(table: &str) -> Parameters {
    Parameters::default().with("table", table)
}

/// Runs a job over a table's items and says what it came to.
async fn go_over(
    pass: &Pass,
    kind: &str,
    parameters: Parameters,
    words: impl FnOnce(&Ended) -> String,
) -> Result<(), Failure> {
    start(&pass.running, kind, pass.add(parameters), pass.follow.follow, words).await
}

/// Runs the job and says what it came to; refused items make the command fail.
async fn start(
    running: &Running,
    kind: &str,
    parameters: Parameters,
    endless: bool,
    words: impl FnOnce(&Ended) -> String,
) -> Result<(), Failure> {
    let options = RunOptions { endless, ..running.options() };
    let parameters = running.with_width(parameters).json();
    let ended = run(&running.target, kind, parameters, &options).await;
    let Some(ended) = ended.map_err(|failure| as_option(failure, &OPTIONS))? else { return Ok(()) };
    ended.say(running.json, || words(&ended));
    ended.verdict()
}

/// Of the result, or, for a job that was stopped, of what was done until then.
fn number(ended: &Ended, name: &str) -> u64 {
    let total = &ended.job.total;
    let so_far = match name {
        "processed" => total.processed,
        "matched" => total.matched,
        "changed" => total.changed,
        _ => 0,
    };
    ended.result().get(name).and_then(Value::as_u64).unwrap_or(so_far)
}

fn changed(ended: &Ended, done: &str) -> String {
    let skipped = match number(ended, "skipped") {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let (changed, processed) = (number(ended, "changed"), number(ended, "processed"));
    format!("{changed} of {processed} items {done}{skipped} {}", costs(ended))
}

fn costs(ended: &Ended) -> String {
    let total = &ended.job.total;
    format!("({:.1} read and {:.1} write units)", total.read_units, total.write_units)
}
