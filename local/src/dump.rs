//! `dump`, `restore`, `verify`, `diff`, `archive`: copies of tables that can be proved.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Failure;
use crate::cli::Running;
use crate::cli::dump::{Archive, Diff, Dump, Format, Restore, Verify};
use crate::cli::parameters::{Parameters, up};
use crate::jobs::run::{Ended, as_option, run};
use crate::system::table_names;

/// Options that are not called as their parameters.
const OPTIONS: [(&str, &str); 12] = [
    ("table", "TABLE"),
    ("tables", "TABLES"),
    ("where", "--where"),
    ("from", "FROM"),
    ("dump", "SIDE"),
    ("left", "LEFT"),
    ("right", "RIGHT"),
    ("output", "--to"),
    ("keep.count", "--keep"),
    ("keep.days", "--keep-days"),
    ("readUnits", "--rcu"),
    ("writeUnits", "--wcu"),
];

/// Dumps tables.
///
/// # Errors
/// [`Failure`] if the job is refused or fails, or items could not be dumped.
pub async fn dump(options: &Dump) -> Result<(), Failure> {
    let Dump { tables, to, format, filter, columns, no_gzip, segments, batch_size, reads, .. } = options;
    let tables = if tables.is_empty() { stack_tables()? } else { tables.clone() };
    let format = match format {
        Format::DynamodbJson => "dynamodb-json",
        Format::Csv => "csv",
        Format::JsonLines => "json-lines",
    };
    let keep = Parameters::default().with("count", options.keep).with("days", options.keep_days);
    let parameters = Parameters::default()
        .with("tables", tables)
        .with("to", place(to)?)
        .with("format", format)
        .with("where", filter.clone())
        .with("columns", if columns.is_empty() { Value::Null } else { json!(columns) })
        .with("gzip", no_gzip.then_some(false))
        .with("segments", *segments)
        .with("batchSize", *batch_size)
        .with("consistentRead", up(options.consistent))
        .with("keep", keep.json_if_any());
    let Some(ended) = start(&options.running, "dump", reads.add(parameters)).await? else { return Ok(()) };
    ended.say(options.running.json, || {
        let dumps = ended.result().get("dumps").and_then(Value::as_array);
        let lines = dumps.into_iter().flatten().map(|dump| {
            let (table, folder) = (text(dump, "table"), text(dump, "folder"));
            let (files, size) = (count(dump, "files"), indicatif::HumanBytes(count(dump, "bytes")));
            let mut line =
                format!("{table}: {} items in {files} files, {size}: {folder}", count(dump, "count"));
            let removed = dump.get("removed").and_then(Value::as_array).map_or(0, Vec::len);
            if removed > 0 {
                let _ = write!(line, "\n  {removed} older dumps removed");
            }
            line
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    ended.verdict()
}

/// The tables of the stack. What the operations table holds is of jobs that run, this one too.
fn stack_tables() -> Result<Vec<String>, Failure> {
    let names = table_names()?;
    let names = [names.products, names.purchases, names.history, names.model];
    Ok(names.into_iter().flatten().collect())
}

/// Restores a table.
///
/// # Errors
/// [`Failure`] if the job is refused or fails, or lines could not be restored.
pub async fn restore(options: &Restore) -> Result<(), Failure> {
    let Restore { from, table, create, puts, running } = options;
    let parameters = Parameters::default()
        .with("from", place(from)?)
        .with("table", table.as_str())
        .with("create", up(*create));
    let Some(ended) = start(running, "restore", puts.add(parameters)).await? else { return Ok(()) };
    ended.say(running.json, || {
        let result = ended.result();
        let (lines, written) = (count(result, "lines"), count(result, "written"));
        let mut words =
            format!("{written} of {lines} items written to {table} from {}", text(result, "from"));
        for (name, said) in [("deleted", "deleted"), ("skipped", "skipped")] {
            if count(result, name) > 0 {
                let _ = write!(words, ", {} {said}", count(result, name));
            }
        }
        for note in result.get("notes").and_then(Value::as_array).into_iter().flatten() {
            let _ = write!(words, "\n  {}", note.as_str().unwrap_or_default());
        }
        words
    });
    ended.verdict()
}

/// Verifies a dump, a table against a dump, or two tables.
///
/// # Errors
/// [`Failure`] if the job is refused or fails, or something is not as it must be.
pub async fn verify(options: &Verify) -> Result<(), Failure> {
    let Verify { side, other, other_region, other_endpoint, reads, running } = options;
    let parameters = reads.add(Parameters::default());
    let parameters = match (table_of(side), other.as_deref().map(table_of)) {
        (None, None) => parameters.with("dump", place(side)?),
        (None, Some(Some(table))) if other_region.is_none() && other_endpoint.is_none() => {
            parameters.with("dump", place(side)?).with("table", table)
        }
        (Some(table), Some(Some(other))) => {
            let other = Parameters::default()
                .with("table", other)
                .with("region", other_region.clone())
                .with("endpoint", other_endpoint.clone());
            parameters.with("table", table).with("other", other.json())
        }
        (Some(table), None) => {
            let problem = format!("what must table:{table} equal? nextbasket verify DUMP table:{table}");
            return Err(Failure::Usage(problem));
        }
        _ => {
            let problem = "a dump is held against its manifest, or against table:NAME of the same endpoint; \
                           diff compares two dumps";
            return Err(Failure::Usage(problem.to_owned()));
        }
    };
    let Some(ended) = start(running, "verify", parameters).await? else { return Ok(()) };
    let result = ended.result();
    let problems: Vec<&str> = result
        .get("problems")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ended.say(running.json, || {
        let left = result.get("left").unwrap_or(&Value::Null);
        let (items, digest) = (count(left, "count"), text(left, "digest"));
        match problems.as_slice() {
            [] if other.is_some() => format!("equal: {items} items, digest {digest}"),
            [] => format!("good: {items} items, digest {digest}"),
            problems => problems.join("\n"),
        }
    });
    match problems.len() {
        0 => Ok(()),
        count => {
            let all = result.pointer("/allProblems/count").and_then(Value::as_u64);
            Err(Failure::Other(format!("{} problems", all.unwrap_or(count as u64))))
        }
    }
}

/// Names the items that differ.
///
/// # Errors
/// [`Failure`] if the job is refused or fails, or there are differences.
pub async fn diff(options: &Diff) -> Result<(), Failure> {
    let Diff { left, right, to, reads, running } = options;
    let parameters = Parameters::default()
        .with("left", side(left)?)
        .with("right", side(right)?)
        .with("output", place(to)?);
    let Some(ended) = start(running, "diff", reads.add(parameters)).await? else { return Ok(()) };
    let result = ended.result();
    let equal = result.get("equal").and_then(Value::as_bool).unwrap_or(false);
    let differences = || {
        let [only_left, only_right, differing] =
            ["onlyLeft", "onlyRight", "differing"].map(|name| count(result, name));
        format!("{only_left} items only left, {only_right} only right, {differing} differ")
    };
    ended.say(running.json, || match equal {
        true => format!("equal: {} items", count(result.get("left").unwrap_or(&Value::Null), "count")),
        false => format!("{}: {to}", differences()),
    });
    if equal { Ok(()) } else { Err(Failure::Other(differences())) }
}

/// Moves items to an archive.
///
/// # Errors
/// [`Failure`] if the job is refused or fails.
pub async fn archive(options: &Archive) -> Result<(), Failure> {
    let Archive { table, condition, to, reads, writes, running } = options;
    let parameters = Parameters::default()
        .with("table", table.as_str())
        .with("where", condition.as_str())
        .with("to", place(to)?);
    let parameters = writes.add(reads.add(parameters));
    let Some(ended) = start(running, "archive", parameters).await? else { return Ok(()) };
    ended.say(running.json, || {
        let result = ended.result();
        let archived = count(result.get("archived").unwrap_or(&Value::Null), "count");
        let (moved, folder) = (count(result, "deleted"), text(result, "archive"));
        let mut words = format!("{moved} of {archived} items moved from {table} to {folder}");
        for (name, said) in [
            ("changed", "changed meanwhile and stay"),
            ("gone", "were gone already"),
            ("putBack", "put back"),
        ] {
            if count(result, name) > 0 {
                let _ = write!(words, "\n  {} {said}", count(result, name));
            }
        }
        words
    });
    ended.verdict()
}

async fn start(running: &Running, kind: &str, parameters: Parameters) -> Result<Option<Ended>, Failure> {
    let parameters = running.with_width(parameters).json();
    let ended = run(&running.target, kind, parameters, &running.options()).await;
    ended.map_err(|failure| as_option(failure, &OPTIONS))
}

/// The table of `table:NAME`.
fn table_of(side: &str) -> Option<&str> {
    side.strip_prefix("table:")
}

fn side(text: &str) -> Result<Value, Failure> {
    match table_of(text) {
        Some(table) => Ok(json!({ "table": table })),
        None => Ok(json!({ "dump": place(text)? })),
    }
}

/// A place by a name that holds wherever the job is worked on.
pub(crate) fn place(location: &str) -> Result<String, Failure> {
    if location.starts_with("s3://") {
        return Ok(location.to_owned());
    }
    let absolute: Result<PathBuf, _> = std::path::absolute(Path::new(location));
    let absolute = absolute.map_err(|error| Failure::Usage(format!("{location:?}: {error}")))?;
    absolute.to_str().map(str::to_owned).ok_or_else(|| Failure::Usage(format!("{location:?} is not UTF-8")))
}

fn count(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
