//! How the files of an import are read.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use clap::Args;
use nextbasket_importer::{DateOrder, DecimalSign};
use serde_json::{Value, json};

use crate::Failure;
use crate::options::Parameters;

/// A column of the file, and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnValue {
    column: String,
    value: String,
}

fn column_value(text: &str) -> Result<ColumnValue, String> {
    match text.split_once('=') {
        Some((column, value)) if !column.trim().is_empty() => {
            Ok(ColumnValue { column: column.trim().to_owned(), value: value.trim().to_owned() })
        }
        _ => Err("expected COLUMN=VALUE, such as event=transaction".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How the files are read")]
pub struct ReadingOptions {
    /// The names of our columns in the files, as in user_id=CustomerID,product_id=StockCode
    #[arg(long, value_name = "OURS=THEIRS,…")]
    pub map: Option<String>,
    /// What the files are: auto recognises exports of well-known systems by their columns, none reads our own columns
    /// only; otherwise the name of an export, or a TOML file that describes one
    #[arg(long = "as", value_name = "auto|none|NAME|FILE", default_value = "auto")]
    pub form: String,
    /// Keep only rows whose column has this value; may be repeated
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = column_value)]
    pub only: Vec<ColumnValue>,
    /// Skip rows whose column has this value; may be repeated
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = column_value)]
    pub skip: Vec<ColumnValue>,
    /// Columns whose blank cells take the value of the row above
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub fill_down: Vec<String>,
    /// A value of the user's column that stands for no customer in particular: each order of it is one of a visitor;
    /// may be repeated
    #[arg(long, value_name = "VALUE")]
    pub guest: Vec<String>,
    /// The format of times, as in %d/%m/%Y %H:%M, if it is not recognised
    #[arg(long, value_name = "PATTERN")]
    pub time_format: Option<String>,
    /// Whether dates such as 03/04/2026 begin with the day or the month, if the files do not show it
    #[arg(long, value_enum)]
    pub date_order: Option<DateOrder>,
    /// The zone of times without one, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// The decimal sign of numbers such as 1.234, if the files do not show it
    #[arg(long, value_enum)]
    pub decimal: Option<DecimalSign>,
    /// The encoding of the files, such as windows-1252, if it is not recognised
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// The currency of prices without one (ISO 4217) [default: that of the recognised export, or EUR]
    #[arg(long)]
    pub currency: Option<String>,
    /// Product ids to skip because they are not products, such as POST,gift_*
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    pub skip_products: Vec<String>,
}

impl ReadingOptions {
    /// The parameters of the job.
    ///
    /// # Errors
    /// [`Failure`] if the file of `--as` cannot be read.
    pub(super) fn parameters(&self) -> Result<Parameters, Failure> {
        let trimmed = |texts: &[String]| -> Vec<String> {
            texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
        };
        let skipped = trimmed(&self.skip_products);
        let profile = self.profile()?;
        Ok(Parameters::default()
            .with("map", self.map.clone())
            .with("profile", profile)
            .with("only", by_column(&self.only))
            .with("skip", by_column(&self.skip))
            .with("fillDown", some(trimmed(&self.fill_down)))
            .with("guests", some(self.guest.clone()))
            .with("timeFormat", self.time_format.clone())
            .with("dateOrder", json!(self.date_order))
            .with("timezone", self.timezone.clone())
            .with("decimal", json!(self.decimal))
            .with("encoding", self.encoding.clone())
            .with("currency", self.currency.clone())
            .with("skipProducts", some(skipped)))
    }

    /// The name of an export, or the content of a file: whoever works on the job may be elsewhere.
    fn profile(&self) -> Result<Option<String>, Failure> {
        match self.form.as_str() {
            "auto" => Ok(None),
            name if !name.contains(['.', '/', '\\']) => Ok(Some(name.to_owned())),
            path => match fs::read_to_string(path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == ErrorKind::InvalidData => Err(Failure::Usage(format!(
                    "--as: {path} is not a text file: expected a profile in TOML"
                ))),
                Err(error) => Err(Failure::Usage(format!("--as: cannot read {path}: {error}"))),
            },
        }
    }
}

fn some(texts: Vec<String>) -> Option<Vec<String>> {
    (!texts.is_empty()).then_some(texts)
}

fn by_column(rules: &[ColumnValue]) -> Value {
    let mut columns: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ColumnValue { column, value } in rules {
        columns.entry(column).or_default().push(value);
    }
    if columns.is_empty() { Value::Null } else { json!(columns) }
}
