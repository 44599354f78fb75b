//! The options of `map`.

use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use super::{Running, duration};

/// Options of `map`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("worker").required(true).args(["command", "function"]))]
#[command(group = ArgGroup::new("source").required(true).args(["input", "table"]))]
pub struct MapRecords {
    /// A file, a folder, or s3://BUCKET/PREFIX: files of CSV or JSON Lines, gzip or not
    pub input: Option<String>,
    /// A table, whose items come as JSON Lines, instead of files
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// The condition that a table's items meet: "size(tags) > 2 AND price < 5"
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "input")]
    pub condition: Option<String>,
    /// Items as plain JSON, {"id": "a"}, rather than in DynamoDB's own form, {"Item": {"id": {"S": "a"}}}
    #[arg(long, conflicts_with = "input")]
    pub plain: bool,
    /// Read units per second, over all workers, of a table [default: as many as go through]
    #[arg(long, value_name = "UNITS", conflicts_with = "input")]
    pub rcu: Option<f64>,
    /// Where the results go, in the input's order: a file or s3://BUCKET/KEY
    #[arg(long, value_name = "OUTPUT")]
    pub to: String,
    /// The command that each batch goes to, run by sh: records on standard input, results on standard output
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// The Lambda function that each batch goes to, by its name or ARN: {"records": [...]} in and out
    #[arg(long, value_name = "FUNCTION")]
    pub function: Option<String>,
    /// What the files hold [default: by the file's name]
    #[arg(long, value_enum, conflicts_with = "table")]
    pub format: Option<Format>,
    /// The most records of a batch [default: 8 MiB of them, for a function 4 MiB]
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,
    /// How many batches are worked on at a time [default: as --workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub width: Option<u32>,
    /// How often a batch that fails is tried again
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=7))]
    pub retries: u32,
    /// How long a batch may take, such as 90s
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    /// How the job runs.
    #[command(flatten)]
    pub running: Running,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values; the first record names the columns.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Format {
    /// By a file's name, gzip or not; `None` if that does not say.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// Its name in a job's parameters.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_what_it_holds() {
        for (name, format) in [
            ("orders.csv", Some(Format::Csv)),
            ("/data/2026.01/Orders.CSV.gz", Some(Format::Csv)),
            ("s3://shop/orders.jsonl", Some(Format::JsonLines)),
            ("orders.ndjson.gz", Some(Format::JsonLines)),
            ("orders.json", Some(Format::JsonLines)),
            ("orders", None),
            ("orders.gz", None),
            ("/data/2026.01/orders", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }
}
