//! Known exports: what their columns mean, as data.
//!
//! A profile is a TOML file that names the columns by which an export is recognised and says what each means. Those of
//! well-known shop systems and data sets are in the folder `profiles` of this crate; a shop can write its own.

mod known;

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::NaiveDate;
use chrono_tz::Tz;
use nextbasket_domain::Currency;
use serde::Deserialize;

use crate::column_names::nearest;
use crate::columns::{FileColumn, RecordKind};
use crate::product_record::CategorySeparators;
use crate::rules::{FillDown, Guests, RowRule};
use crate::shape::{Items, MADE_DATE, Shape, Variant};
use crate::time_format::{ClockDigits, TimeFormat};

pub(crate) use known::known;

/// How an export of one system is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name for people.
    pub title: String,
    #[serde(default)]
    pub(crate) kind: RecordKind,
    /// The columns by which the export is recognised: all of them must be there.
    header: Vec<String>,
    /// Values of the user column that mean that the customer has no account.
    #[serde(default)]
    pub(crate) guests: Vec<String>,
    columns: BTreeMap<FileColumn, Names>,
    /// The currency of prices without one.
    #[serde(default)]
    currency: Option<String>,
    /// What the export cannot say, in sentences for people.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    variant: Option<Variant>,
    /// Texts that are taken off the beginnings of cells, by column.
    #[serde(default)]
    strip_prefix: BTreeMap<String, String>,
    #[serde(default)]
    time: TimeColumns,
    #[serde(default)]
    items: Option<Items>,
    #[serde(default)]
    pub(crate) categories: Option<CategorySeparators>,
    #[serde(default, rename = "join")]
    pub(crate) joins: Vec<Join>,
    #[serde(default)]
    pub(crate) fill_down: Option<FillDown>,
    #[serde(default)]
    keep: Vec<RowRule>,
    #[serde(default)]
    skip: Vec<RowRule>,
}

/// Another file of the export, joined by a common column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Join {
    /// The columns by which the file is recognised.
    pub(crate) header: Vec<String>,
    pub(crate) on: JoinColumn,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum JoinColumn {
    Same(String),
    Named { here: String, there: String },
}

impl JoinColumn {
    pub(crate) fn here(&self) -> &str {
        match self {
            Self::Same(name) | Self::Named { here: name, .. } => name,
        }
    }

    pub(crate) fn there(&self) -> &str {
        match self {
            Self::Same(name) | Self::Named { there: name, .. } => name,
        }
    }
}

impl Join {
    /// The first file that has the columns, but for the one at `own`.
    pub(crate) fn file(&self, headers: &[Vec<String>], own: usize) -> Option<usize> {
        let is_it = |names: &[String]| self.header.iter().all(|wanted| find(wanted, names).is_some());
        headers.iter().enumerate().find(|(at, names)| *at != own && is_it(names)).map(|(at, _)| at)
    }
}

/// Orders without dates: only their order and the days between them are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstOrder {
    /// The date of everybody's first order.
    pub(crate) first_order: NaiveDate,
    pub(crate) days_after: String,
    pub(crate) order: String,
    pub(crate) by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeColumns {
    /// Columns that together are the date and time.
    #[serde(default)]
    columns: Vec<String>,
    /// The zone of times without one.
    zone: Option<String>,
    /// The column with the name of the zone.
    zone_column: Option<String>,
    /// What the names of zones mean.
    #[serde(default)]
    zones: BTreeMap<String, String>,
    /// A column with the hour, or with the clock as `hhmm`.
    hour: Option<String>,
    clock: Option<String>,
    /// A pattern as `strftime` has them.
    format: Option<String>,
    /// The first day, if the column holds numbers of days since then.
    days_since: Option<String>,
    /// The date of everybody's first order, and the columns that say how long after the one before each order was.
    first_order: Option<String>,
    days_after: Option<String>,
    order: Option<String>,
    by: Option<String>,
}

/// Why a profile cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The name is not one of a known export.
    #[error(
        "unknown export \"{name}\"{}: expected auto, none, a TOML file, or one of {known}",
        .nearest.as_ref().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
    )]
    Unknown { name: String, nearest: Option<String>, known: String },
    /// The text of the profile is wrong.
    #[error("invalid profile: {0}")]
    Invalid(String),
}

/// Which profile a file is read with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProfileChoice {
    /// The one that the header shows, if any; columns of status words and events are recognised.
    #[default]
    Auto,
    /// None, and nothing is recognised.
    None,
    Given(Box<Profile>),
}

impl FromStr for ProfileChoice {
    type Err = ProfileError;

    /// `auto`, `none`, the name of a known export, or the text of a profile.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            name if !name.contains('=') => {
                let found = known().iter().find(|(own, _)| *own == name);
                found.map(|(_, profile)| Self::Given(Box::new(profile.clone()))).ok_or_else(|| {
                    let names: Vec<String> = known().iter().map(|(name, _)| (*name).to_owned()).collect();
                    ProfileError::Unknown {
                        name: name.to_owned(),
                        nearest: nearest(name, &names).map(str::to_owned),
                        known: names.join(", "),
                    }
                })
            }
            text => text.parse().map(|profile| Self::Given(Box::new(profile))),
        }
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let profile: Self = toml::from_str(text).map_err(|error| ProfileError::Invalid(error.to_string()))?;
        profile.time_format()?;
        if profile.time.first_order.is_some() && profile.first_order().is_none() {
            let problem = "time.first_order: expected a date, and days_after, order and by beside it";
            return Err(ProfileError::Invalid(problem.to_owned()));
        }
        let code = profile.currency.as_deref().unwrap_or("EUR");
        Currency::parse(code).map_err(|error| ProfileError::Invalid(format!("currency: {error}")))?;
        let zones = profile.time.zones.values().chain(&profile.time.zone);
        if let Some(zone) = zones.into_iter().find(|zone| zone.parse::<Tz>().is_err()) {
            return Err(ProfileError::Invalid(format!(
                "time: \"{zone}\" is not a zone of the IANA database"
            )));
        }
        let invalid = |problem: &str| Err(ProfileError::Invalid(problem.to_owned()));
        if profile.header.is_empty() {
            return invalid("header: name at least one column by which the export is recognised");
        }
        if profile
            .keep
            .iter()
            .chain(&profile.skip)
            .any(|rule| rule.values.is_empty() && rule.filled.is_none())
        {
            return invalid("keep, skip: each needs values = […] or filled = true|false");
        }
        if let Some(column) =
            profile.columns.keys().find(|column| !FileColumn::of(profile.kind).any(|own| own == **column))
        {
            return invalid(&format!("columns.{column}: not a column of this kind"));
        }
        Ok(profile)
    }
}

impl Profile {
    /// The profile that a header shows: the one with the most names, of those whose names are all there.
    pub(crate) fn of_header(names: &[String], kind: RecordKind) -> Option<&'static Self> {
        let is_it = |profile: &&Self| {
            profile.kind == kind
                && profile.header.iter().all(|wanted| find(wanted, names).is_some())
                && (!profile.joins.is_empty() || profile.has_required(names))
        };
        let matching = known().iter().map(|(_, profile)| profile).filter(is_it);
        matching.max_by_key(|profile| profile.header.len())
    }

    /// Whether the file has all that a purchase or a product needs: a profile that lacks a column would make every order
    /// one of a visitor.
    fn has_required(&self, names: &[String]) -> bool {
        let has_time = self.time.columns.len() > 1 && !all_in(&self.time.columns, names).is_empty();
        FileColumn::required(self.kind).iter().all(|required| {
            (*required == FileColumn::Timestamp && has_time)
                || self.columns_in(names).any(|(column, theirs)| column == *required && !theirs.is_empty())
        })
    }

    /// The file's names for each column of ours; none for those that the export does not have.
    pub(crate) fn columns_in(&self, names: &[String]) -> impl Iterator<Item = (FileColumn, Vec<String>)> {
        let made = MADE_DATE.to_owned();
        FileColumn::of(self.kind).map(move |column| {
            let of_time = match column {
                FileColumn::Timestamp if self.time.first_order.is_some() => Some(&made),
                FileColumn::Timestamp if self.time.columns.len() == 1 => self.time.columns.first(),
                FileColumn::TimeOfDay => self.time.hour.as_ref().or(self.time.clock.as_ref()),
                _ => None,
            };
            let wanted = match (self.columns.get(&column), of_time) {
                (Some(theirs), _) => theirs.all(),
                (None, Some(own)) => std::slice::from_ref(own),
                (None, None) => &[],
            };
            (column, all_in(wanted, names))
        })
    }

    /// The profile that a choice means for a file with these columns.
    pub(crate) fn choose<'c>(
        choice: &'c ProfileChoice,
        names: &[String],
        kind: RecordKind,
    ) -> Option<&'c Self> {
        match choice {
            ProfileChoice::Auto => Self::of_header(names, kind),
            ProfileChoice::None => None,
            ProfileChoice::Given(profile) => Some(profile),
        }
    }

    /// Whether the profile says anything about a column.
    pub(crate) fn uses(&self, name: &str) -> bool {
        let TimeColumns { columns, zone_column, hour, clock, .. } = &self.time;
        let of_time = columns.iter().chain(zone_column).chain(hour).chain(clock);
        let of_rules = self.keep.iter().chain(&self.skip).map(|rule| &rule.column);
        let of_joins = self.joins.iter().map(|join| join.on.here());
        let named =
            self.columns.values().flat_map(Names::all).chain(of_time).chain(of_rules).map(String::as_str);
        named.chain(of_joins).any(|own| crate::rules::same(own, name))
    }

    /// How orders without dates are dated.
    pub(crate) fn first_order(&self) -> Option<FirstOrder> {
        let TimeColumns { first_order, days_after, order, by, .. } = &self.time;
        Some(FirstOrder {
            first_order: NaiveDate::from_str(first_order.as_deref()?).ok()?,
            days_after: days_after.clone()?,
            order: order.clone()?,
            by: by.clone()?,
        })
    }

    /// What of a shape does not follow from the columns.
    pub(crate) fn shape_in(&self, names: &[String]) -> Shape {
        let in_file = |name: &String| find(name, names).map(str::to_owned);
        let time_columns =
            if self.time.columns.len() > 1 { all_in(&self.time.columns, names) } else { Vec::new() };
        Shape {
            sources: Vec::new(),
            rows: Vec::new(),
            fill_down: self.fill_down_in(names),
            guests: Guests::new(self.guests.clone()),
            variant: self.variant.as_ref().map(|variant| Variant {
                columns: all_in(&variant.columns, names),
                except: variant.except.clone(),
            }),
            time_columns,
            zone_column: self.time.zone_column.as_ref().and_then(in_file),
            zones: self.time.zones.clone(),
            items: self.items.clone(),
            prefixes: self
                .strip_prefix
                .iter()
                .filter_map(|(column, prefix)| Some((in_file(column)?, prefix.clone())))
                .collect(),
        }
    }

    pub(crate) fn currency(&self) -> Option<Currency> {
        self.currency.as_deref().and_then(|code| Currency::parse(code).ok())
    }

    pub(crate) fn clock_digits(&self) -> ClockDigits {
        if self.time.clock.is_some() { ClockDigits::HoursAndMinutes } else { ClockDigits::ByLength }
    }

    pub(crate) fn zone(&self) -> Option<Tz> {
        self.time.zone.as_deref().and_then(|zone| zone.parse().ok())
    }

    /// The rules about rows whose columns the file has.
    pub(crate) fn rows_in(&self, names: &[String]) -> Vec<RowRule> {
        let keep = self.keep.iter().map(|rule| RowRule { keep: true, ..rule.clone() });
        let all = keep.chain(self.skip.iter().map(|rule| RowRule { keep: false, ..rule.clone() }));
        all.filter_map(|rule| Some(RowRule { column: find(&rule.column, names)?.to_owned(), ..rule }))
            .collect()
    }

    fn fill_down_in(&self, names: &[String]) -> Option<FillDown> {
        let FillDown { by, columns } = self.fill_down.as_ref()?;
        let by = by.as_ref().and_then(|by| find(by, names)).map(str::to_owned);
        Some(FillDown { by, columns: all_in(columns, names) })
    }

    /// How the export writes times, if that cannot be seen.
    pub(crate) fn time_format(&self) -> Result<Option<TimeFormat>, ProfileError> {
        let invalid =
            |key: &str, error: &dyn std::fmt::Display| ProfileError::Invalid(format!("time.{key}: {error}"));
        match (&self.time.format, &self.time.days_since) {
            (Some(pattern), _) => pattern.parse().map(Some).map_err(|error| invalid("format", &error)),
            (None, Some(start)) => {
                let start = NaiveDate::from_str(start).map_err(|error| invalid("days_since", &error))?;
                Ok(Some(TimeFormat::DaysSince(start)))
            }
            (None, None) => Ok(None),
        }
    }
}

/// The name in the file for a name of the profile, but for case.
fn find<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    names.iter().find(|name| crate::rules::same(name.trim(), wanted.trim())).map(String::as_str)
}

/// Those of the names that the file has; parts of items and our own name are no columns.
fn all_in(wanted: &[String], names: &[String]) -> Vec<String> {
    let own = |wanted: &String| {
        let is_made = wanted.starts_with("item.") || wanted.starts_with('=');
        if is_made { Some(wanted.clone()) } else { find(wanted, names).map(str::to_owned) }
    };
    wanted.iter().filter_map(own).collect()
}
