//! The parameters of a `map` job.

use std::path::PathBuf;
use std::time::Duration;

use nextbasket_items::expression::Condition;
use nextbasket_job_engine::kind::{self, check_range, check_tolerated};
use nextbasket_job_engine::{Assign, Rates, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::records::RecordFormat;
use nextbasket_objects::Location;

/// Bytes of a batch if the job does not say.
const BATCH_BYTES: u64 = 8 << 20;
/// The most bytes of a batch for a function: a call takes 6 MB, and JSON makes records longer.
pub(crate) const CALL_BYTES: u64 = 4 << 20;
/// Seconds that a command or a call may take if the job does not say.
const TIMEOUT: u64 = 600;
/// How often a batch is tried again if the job does not say, and at the most.
const RETRIES: u32 = 3;
const MAX_RETRIES: u32 = 7;
/// Parts of a split by feature if the job does not say.
const PARTS: u32 = 64;
const MAX_TIMEOUT: u64 = 7 * 24 * 60 * 60;
const WIDTH: u32 = 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Executor {
    /// A command of this machine, in a folder.
    Command { argv: Vec<String>, folder: Option<PathBuf> },
    /// A Lambda function, by its name or ARN.
    Function(String),
}

#[derive(Debug, Clone)]
pub(crate) enum MapInput {
    Files { at: Location, format: RecordFormat },
    Table { name: String, filter: Option<Box<Condition>>, segments: Option<u32>, form: ItemForm },
}

/// How a table's items are written as lines of JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ItemForm {
    /// `{"Item": {"id": {"S": "a"}}}`, as in AWS's exports: types survive.
    #[default]
    Dynamodb,
    /// `{"id": "a"}`: sets become lists, binaries base64.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchSplit {
    /// So many bytes or records at a time.
    Size,
    /// Files by the day of their last change, items by the period of an attribute.
    Time { attribute: Option<String>, every: Duration },
    /// By the hash of a column or attribute: records with the same value are in the same batch.
    Feature { attribute: String, parts: u32 },
}

impl BatchSplit {
    /// For the plan: the split in words.
    pub(crate) fn described(&self) -> Value {
        match self {
            Self::Size => json!({ "by": "size" }),
            Self::Time { attribute, every } => {
                json!({ "by": "time", "attribute": attribute, "everySeconds": every.as_secs() })
            }
            Self::Feature { attribute, parts } => {
                json!({ "by": "feature", "attribute": attribute, "parts": parts })
            }
        }
    }

    pub(crate) fn described_with(&self, name: &str, number: impl Into<Value>) -> Value {
        let mut split = self.described();
        if let Value::Object(fields) = &mut split {
            fields.insert(name.to_owned(), number.into());
        }
        split
    }
}

/// What stands between the results of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OutputFormat {
    /// Each result begins with the names of the columns; the output does so once.
    Csv,
    /// Each result is whole lines.
    Jsonl,
    /// Results are put one behind the other as they are.
    Text,
}

#[derive(Debug, Clone)]
pub struct MapTask {
    pub(crate) input: MapInput,
    pub(crate) split: BatchSplit,
    pub(crate) batch_bytes: u64,
    pub(crate) batch_items: Option<u64>,
    pub(crate) executor: Executor,
    pub(crate) output: Location,
    pub(crate) output_format: OutputFormat,
    pub(crate) width: u32,
    pub(crate) assign: Option<Assign>,
    pub(crate) rates: Rates,
    pub(crate) retries: u32,
    pub(crate) tolerated: f64,
    pub(crate) timeout: Duration,
}

/// Sends the records of files or the items of a table, batch by batch, to a command or a Lambda function, and collects the
/// results in order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{ "required": ["command"] }, { "required": ["function"] }]))
)]
pub(crate) struct MapParameters {
    /// What is read: files or a table.
    input: InputParameters,
    /// How the input is divided into batches.
    #[serde(default)]
    split: SplitParameters,
    /// How many bytes a batch has at most: 8 MB by default, 4 MB for a function.
    #[cfg_attr(feature = "schema", schemars(range(min = 1), extend("x-unit" = "bytes")))]
    batch_bytes: Option<u64>,
    /// How many records a batch has at most.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = u32::MAX)))]
    batch_items: Option<u64>,
    /// The command that does a batch, with its arguments; only from the machine itself.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    command: Option<Vec<String>>,
    /// The folder that the command runs in.
    folder: Option<PathBuf>,
    /// The Lambda function that does a batch, by its name or ARN.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 170)))]
    function: Option<String>,
    /// The file or object that the results are written to.
    output: Location,
    /// What is between the results of batches; by default as the input has it.
    output_format: Option<OutputFormat>,
    /// How many batches are worked on at a time; 8 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    width: Option<u32>,
    /// The order in which batches go out.
    assign: Option<Assign>,
    /// Read units per second, all workers together; by default as fast as it goes.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "x-unit" = "units/s")))]
    read_units: Option<f64>,
    /// How often a batch that failed is tried again; 3 times by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = MAX_RETRIES)))]
    retries: Option<u32>,
    /// How many batches may fail for good, in percent; all by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100), extend("x-unit" = "percent")))]
    tolerated: Option<f64>,
    /// How long the command or a call may take for a batch, in seconds; 600 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_TIMEOUT), extend("x-unit" = "seconds")))]
    timeout: Option<u64>,
}

/// Files or a table.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [{ "required": ["files", "format"] }, { "required": ["table"] }]))
)]
struct InputParameters {
    /// The file, or the folder or prefix of the files.
    files: Option<Location>,
    /// The format of the files.
    format: Option<FormatName>,
    /// For CSV: the character between fields; a comma by default.
    delimiter: Option<char>,
    /// For CSV: whether the first record has the names of the columns, as by default.
    header: Option<bool>,
    /// The table.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "table-name")))]
    table: Option<String>,
    /// For a table: which items, if not all: a condition.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "condition")))]
    r#where: Option<String>,
    /// For a table: into how many segments it is split.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    segments: Option<u32>,
    /// For a table: how items are written.
    form: Option<ItemForm>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum FormatName {
    /// CSV.
    Csv,
    /// JSON Lines.
    Jsonl,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct SplitParameters {
    /// By what.
    #[serde(default)]
    by: By,
    /// By time: the attribute that holds the time of an item. By feature: the column or attribute.
    attribute: Option<String>,
    /// By time: the length of a period, such as 12h or 7d; a day by default.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "duration")))]
    every: Option<String>,
    /// By feature: how many parts; 64 by default.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    parts: Option<u32>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum By {
    /// So many bytes or records at a time.
    #[default]
    Size,
    /// Files by the day of their last change, items by the period of an attribute.
    Time,
    /// By the hash of a column or attribute: records with the same value are in the same batch.
    Feature,
}

impl MapTask {
    pub(crate) fn parse(parameters: &Value) -> Result<Self, Refusal> {
        if !parameters.is_object() {
            return Err(Refusal::parameter(".", "must be an object"));
        }
        let given: MapParameters = kind::parameters(parameters)?;
        let executor = executor(given.command, given.folder, given.function)?;
        let input = input(given.input)?;
        let split = split(given.split, &input)?;
        let most = if matches!(executor, Executor::Function(_)) { CALL_BYTES } else { 1 << 40 };
        let batch_bytes = given.batch_bytes.unwrap_or_else(|| BATCH_BYTES.min(most));
        check_range("batchBytes", Some(batch_bytes), 1, most)?;
        check_range("batchItems", given.batch_items, 1, u64::from(u32::MAX))?;
        check_range("width", given.width, 1, 10_000)?;
        check_range("retries", given.retries, 0, u64::from(MAX_RETRIES))?;
        check_range("timeout", given.timeout, 1, MAX_TIMEOUT)?;
        let tolerated = given.tolerated.unwrap_or(100.0);
        check_tolerated(tolerated)?;
        if given.read_units.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
            return Err(Refusal::parameter("readUnits", "must be more than 0"));
        }
        absolute("output", &given.output)?;
        if let MapInput::Files { at, .. } = &input
            && at.holds(&given.output)
        {
            return Err(Refusal::parameter("output", "must not be within the input"));
        }
        let csv = matches!(&input, MapInput::Files { format, .. } if format.has_header());
        let columns = csv && matches!(executor, Executor::Command { .. });
        let default_format = if columns { OutputFormat::Csv } else { OutputFormat::Jsonl };
        Ok(Self {
            input,
            split,
            batch_bytes,
            batch_items: given.batch_items,
            executor,
            output: given.output,
            output_format: given.output_format.unwrap_or(default_format),
            width: given.width.unwrap_or(WIDTH),
            assign: given.assign,
            rates: Rates { read: given.read_units, write: None },
            retries: given.retries.unwrap_or(RETRIES),
            tolerated,
            timeout: Duration::from_secs(given.timeout.unwrap_or(TIMEOUT)),
        })
    }

    /// Whether only this machine can do it: a command, or files of its own.
    pub(crate) fn is_local(&self) -> Option<&'static str> {
        let files = matches!(&self.input, MapInput::Files { at, .. } if at.is_local());
        match &self.executor {
            Executor::Command { .. } => Some("command"),
            Executor::Function(_) if files => Some("input.files"),
            Executor::Function(_) if self.output.is_local() => Some("output"),
            Executor::Function(_) => None,
        }
    }

    /// How the records come to whoever does the work.
    pub(crate) fn format(&self) -> RecordFormat {
        match &self.input {
            MapInput::Files { format, .. } => *format,
            MapInput::Table { .. } => RecordFormat::Jsonl,
        }
    }
}

/// Whoever works on the job may be in another folder than who submitted it.
fn absolute(field: &str, location: &Location) -> Result<(), Refusal> {
    match location {
        location if !location.is_absolute() => {
            Err(Refusal::parameter(field, "must be an absolute path or s3://BUCKET/KEY"))
        }
        Location::Object { key, .. } if field == "output" && (key.is_empty() || key.ends_with('/')) => {
            Err(Refusal::parameter(field, "must name an object, not a prefix"))
        }
        _ => Ok(()),
    }
}

fn executor(
    command: Option<Vec<String>>,
    folder: Option<PathBuf>,
    function: Option<String>,
) -> Result<Executor, Refusal> {
    match (command, function) {
        (Some(argv), None) => {
            if argv.first().is_none_or(String::is_empty) {
                return Err(Refusal::parameter("command", "must begin with a program's name"));
            }
            if folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
                return Err(Refusal::parameter("folder", "must be an absolute path"));
            }
            Ok(Executor::Command { argv, folder })
        }
        (None, Some(_)) if folder.is_some() => {
            Err(Refusal::parameter("folder", "is accepted with command only"))
        }
        (None, Some(name)) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_:$/".contains(c);
            if name.is_empty() || name.len() > 170 || !name.chars().all(fits) {
                return Err(Refusal::parameter("function", "must be a function's name or ARN"));
            }
            Ok(Executor::Function(name))
        }
        (Some(_), Some(_)) => Err(Refusal::parameter("function", "is not accepted together with command")),
        (None, None) => {
            Err(Refusal::parameter("command", "is missing, and so is function: give one of them"))
        }
    }
}

fn input(given: InputParameters) -> Result<MapInput, Refusal> {
    let only = |field: &str, there: bool, what: &str| match there {
        true => Err(Refusal::parameter(&format!("input.{field}"), format!("is accepted for {what} only"))),
        false => Ok(()),
    };
    match (given.files, given.table) {
        (Some(at), None) => {
            only("where", given.r#where.is_some(), "tables")?;
            only("segments", given.segments.is_some(), "tables")?;
            only("form", given.form.is_some(), "tables")?;
            absolute("input.files", &at)?;
            let format = match given.format {
                Some(FormatName::Csv) => {
                    let delimiter = u8::try_from(given.delimiter.unwrap_or(',')).ok();
                    let delimiter =
                        delimiter.filter(|byte| byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n'));
                    let delimiter = delimiter.ok_or_else(|| {
                        Refusal::parameter(
                            "input.delimiter",
                            "must be one ASCII character other than a quote or a line end",
                        )
                    })?;
                    RecordFormat::Csv { delimiter, header: given.header.unwrap_or(true) }
                }
                Some(FormatName::Jsonl) => {
                    only("delimiter", given.delimiter.is_some(), "CSV")?;
                    only("header", given.header.is_some(), "CSV")?;
                    RecordFormat::Jsonl
                }
                None => return Err(Refusal::parameter("input.format", "must be csv or jsonl")),
            };
            Ok(MapInput::Files { at, format })
        }
        (None, Some(name)) => {
            only("format", given.format.is_some(), "files")?;
            only("delimiter", given.delimiter.is_some(), "files")?;
            only("header", given.header.is_some(), "files")?;
            check_range("input.segments", given.segments, 1, 1_000_000)?;
            let filter = given.r#where.as_deref().map(Condition::parse).transpose();
            let filter = filter.map_err(|error| Refusal::parameter("input.where", error.to_string()))?;
            Ok(MapInput::Table {
                name,
                filter: filter.map(Box::new),
                segments: given.segments,
                form: given.form.unwrap_or_default(),
            })
        }
        (Some(_), Some(_)) => Err(Refusal::parameter("input.table", "is not accepted together with files")),
        (None, None) => {
            Err(Refusal::parameter("input.files", "is missing, and so is table: give one of them"))
        }
    }
}

fn split(given: SplitParameters, input: &MapInput) -> Result<BatchSplit, Refusal> {
    let wrong = |field: &str, problem: &str| Err(Refusal::parameter(&format!("split.{field}"), problem));
    if given.by != By::Feature && given.parts.is_some() {
        return wrong("parts", "is accepted for a split by feature only");
    }
    if given.by != By::Time && given.every.is_some() {
        return wrong("every", "is accepted for a split by time only");
    }
    let table = matches!(input, MapInput::Table { .. });
    match given.by {
        By::Size if given.attribute.is_some() => wrong("attribute", "is not accepted for a split by size"),
        By::Size => Ok(BatchSplit::Size),
        By::Time if table && given.attribute.is_none() => {
            wrong("attribute", "must name the attribute that holds the time")
        }
        By::Time if !table && given.attribute.is_some() => {
            wrong("attribute", "is accepted for tables only: files are split by the day of their last change")
        }
        By::Time => {
            let every = given.every.as_deref().unwrap_or("1d");
            match period(every) {
                Some(every) => Ok(BatchSplit::Time { attribute: given.attribute, every }),
                None => wrong("every", "must be a number and m, h, d or w, such as 7d"),
            }
        }
        By::Feature => {
            if let MapInput::Files { format: RecordFormat::Csv { header: false, .. }, .. } = input {
                return wrong("by", "must not be feature for files without a header");
            }
            check_range("split.parts", given.parts, 1, 10_000)?;
            let parts = given.parts.unwrap_or(PARTS);
            match given.attribute {
                Some(attribute) => Ok(BatchSplit::Feature { attribute, parts }),
                None => wrong("attribute", "must name the column or attribute"),
            }
        }
    }
}

/// `30m`, `1h`, `7d`, `2w`.
fn period(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    (number > 0).then(|| Duration::from_secs(u64::from(number) * seconds))
}
