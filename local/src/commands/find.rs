//! `find`: shows the items of a table or an index.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use clap::{Args, ValueEnum};
use nextbasket_domain::Clock;
use nextbasket_dynamodb::item::Item;
use nextbasket_items::expression::{Condition, Order, Path, SyntaxError};
use nextbasket_items::find::{Find as Search, FindError, FindTotals, MAX_SORTED, Wanted};
use nextbasket_items::table::{Table, check_name};
use nextbasket_job_engine::calls::Calls;
use nextbasket_job_engine::kind::check_rate;
use nextbasket_job_engine::limit::Limiter;
use nextbasket_jobs_dump::csv::{Columns, write_header, write_row};
use nextbasket_jobs_dump::json_lines::{write_line, write_value};

use crate::Failure;
use crate::folder_sharing::IfMissing;
use crate::options::ReadRate;
use crate::stdio::{errln, outln};
use crate::target::{Target, TargetOptions};
use crate::text_table::text_table;

#[derive(Debug, Args)]
pub struct Find {
    /// The table
    pub table: String,
    /// The condition, in DynamoDB's expression language with values inline. One that says `KEY = VALUE` of the partition
    /// key is asked for by a query, which reads no other items
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Read this index, local or global, in place of the table
    #[arg(long, value_name = "NAME")]
    pub index: Option<String>,
    /// Show only these attributes, separated by commas, such as "id, address.city, lines[0]"
    #[arg(long, value_name = "ATTRIBUTES")]
    pub columns: Option<String>,
    /// Sort by these attributes, such as "price desc, name"; without --limit, at most 100,000 items are sorted
    #[arg(long, value_name = "ATTRIBUTES")]
    pub order_by: Option<String>,
    /// Show at most N items; without --order-by, reading ends when they are found
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// How the items are printed: a table and CSV hold at most 100,000
    #[arg(long, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// Read strongly consistently, for twice the units
    #[arg(long)]
    pub consistent: bool,
    /// How many pages of a scan are read at the same time [default: 1 with --limit and no order, otherwise 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub workers: Option<u16>,
    #[command(flatten)]
    pub reads: ReadRate,
    #[command(flatten)]
    pub target: TargetOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A table for people.
    #[default]
    Table,
    /// JSON Lines, as `dump --format json-lines` writes them.
    Json,
    /// CSV with the types in its header, as `dump --format csv` writes it.
    Csv,
}

/// What is shown of the items.
struct Shown {
    columns: Option<Vec<Path>>,
    keys: Vec<String>,
    output: OutputFormat,
    /// What a table or CSV is made of when all items are there.
    collected: Vec<Item>,
}

pub(crate) async fn run(options: &Find) -> Result<(), Failure> {
    check_name("table", &options.table)
        .map_err(|refusal| Failure::Usage(format!("TABLE: {}", refusal.problem)))?;
    check_rate("rcu", options.reads.rcu)
        .map_err(|refusal| Failure::Usage(format!("--rcu: {}", refusal.problem)))?;
    let wanted = Wanted {
        condition: parsed("--where", options.condition.as_deref(), Condition::parse)?,
        index: options.index.clone(),
        columns: parsed("--columns", options.columns.as_deref(), Path::parse_list)?,
        order: parsed("--order-by", options.order_by.as_deref(), Order::parse)?,
        limit: options.limit,
        consistent: options.consistent,
    };
    let target = options.target.open(IfMissing::Fail).await?;
    let found = find(options, wanted, &target).await;
    target.close(found).await
}

fn parsed<T>(
    option: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, SyntaxError>,
) -> Result<Option<T>, Failure> {
    let parsed = text.map(parse).transpose();
    parsed.map_err(|error| Failure::Usage(format!("{option}: {error}")))
}

async fn find(options: &Find, wanted: Wanted, target: &Target) -> Result<(), Failure> {
    let table = Table::of_job(&target.dynamodb, &options.table).await?;
    let lacks = wanted.index.as_ref().and_then(|name| table.index(name).ok()?.lacks());
    let mut shown = Shown {
        columns: wanted.columns.clone(),
        keys: table.keys.names().map(str::to_owned).collect(),
        output: options.output,
        collected: Vec::new(),
    };
    let search = Search::new(&table, wanted, Clock::system().now())
        .map_err(|refusal| Failure::Usage(format!("--{}: {}", refusal.field, refusal.problem)))?;
    let workers = options.workers.map_or_else(|| search.default_workers(), usize::from);
    let calls = Calls::of_client(&target.dynamodb, target.random.clone());
    let found =
        search.run(&calls, &Limiter::new(options.reads.rcu), workers, |items| shown.take(items)).await;
    let totals = found.map_err(|error| match error {
        FindError::TooManyToSort => Failure::Usage(format!("--order-by: {error}")),
        error => Failure::Other(error.to_string()),
    })?;
    shown.finish()?;
    let FindTotals { found, read, read_units } = totals;
    errln!("{found} items, found {}: {read} items read, {read_units:.1} read units", search.source());
    if let Some(lacks) = lacks.filter(|_| options.columns.is_none()) {
        errln!("{lacks}");
    }
    Ok(())
}

impl Shown {
    fn take(&mut self, items: Vec<Item>) -> Result<(), String> {
        let items = items.into_iter().map(|item| self.cut(item));
        if self.output == OutputFormat::Json {
            let mut lines = Vec::new();
            for item in items {
                write_line(&item, &mut lines).map_err(|error| error.to_string())?;
            }
            print(&lines);
            return Ok(());
        }
        let items: Vec<Item> = items.collect();
        self.collected.extend(items);
        if self.collected.len() as u64 > MAX_SORTED {
            return Err(format!(
                "more than {MAX_SORTED} items meet the condition: they are kept in memory for this output. Give --limit, \
                 or --output json"
            ));
        }
        Ok(())
    }

    /// Only the columns that were asked for, by their paths.
    fn cut(&self, item: Item) -> Item {
        let Some(columns) = &self.columns else { return item };
        let column = |path: &Path| Some((path.to_string(), path.of(&item)?.clone()));
        columns.iter().filter_map(column).collect()
    }

    /// The names of the columns: as they were asked for, or those of the keys and then all others by name.
    fn names(&self) -> Vec<String> {
        if let Some(columns) = &self.columns {
            return columns.iter().map(ToString::to_string).collect();
        }
        let others: BTreeSet<&String> =
            self.collected.iter().flat_map(Item::keys).filter(|name| !self.keys.contains(name)).collect();
        self.keys.iter().chain(others).cloned().collect()
    }

    fn finish(self) -> Result<(), Failure> {
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match self.output {
            OutputFormat::Json => {}
            OutputFormat::Csv => print(&csv(&names, &self.collected)?),
            OutputFormat::Table if self.collected.is_empty() => {}
            OutputFormat::Table => {
                let mut table = text_table(&names);
                for item in &self.collected {
                    table.add_row(names.iter().map(|name| item.get(*name).map_or_else(String::new, cell)));
                }
                outln!("{table}");
            }
        }
        Ok(())
    }
}

fn csv(names: &[&str], items: &[Item]) -> Result<Vec<u8>, Failure> {
    let misfit = |misfit: nextbasket_jobs_dump::csv::Misfit| {
        Failure::Other(format!(
            "attribute \"{}\" cannot be written as CSV: {}",
            misfit.attribute, misfit.reason
        ))
    };
    let columns = Columns::of(names, items).map_err(misfit)?;
    let mut out = Vec::new();
    if !columns.is_empty() {
        write_header(&columns, &mut out).map_err(Failure::other)?;
    }
    for item in items {
        write_row(&columns, item, &mut out).map_err(misfit)?;
    }
    Ok(out)
}

/// A value for people: text as it is, everything else as JSON. Control characters could do things to a terminal.
fn cell(value: &AttributeValue) -> String {
    let text = match value {
        AttributeValue::S(text) => text.clone(),
        value => {
            let mut json = Vec::new();
            match write_value(value, &mut json) {
                Ok(()) => String::from_utf8_lossy(&json).into_owned(),
                Err(error) => error.to_string(),
            }
        }
    };
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// Prints lines that end with a line feed.
fn print(lines: &[u8]) {
    let text = String::from_utf8_lossy(lines);
    if let Some(text) = text.strip_suffix('\n') {
        outln!("{text}");
    }
}
