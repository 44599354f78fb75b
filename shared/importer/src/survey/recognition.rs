//! From the names of a file's columns to the rules by which its rows are read.

use chrono_tz::Tz;
use nextbasket_domain::Currency;

use crate::column_names::{folded, nearest, shown};
use crate::columns::{FileColumn, RecordKind};
use crate::error::ImportError;
use crate::mapping::Mapping;
use crate::options::ImportOptions;
use crate::profile::{Profile, ProfileChoice};
use crate::rules::{FillDown, Guests, ReadingRules, RowRule};
use crate::shape::{JoinedFiles, Shape, Sources, names_with};
use crate::time_format::{TimeFormat, TimeReader};

/// Names, without case and punctuation, of columns with the state of an order.
const STATUS_NAMES: [&str; 8] = [
    "status",
    "orderstatus",
    "financialstatus",
    "paymentstatus",
    "orderstate",
    "state",
    "bestellstatus",
    "auftragsstatus",
];
/// Values of such a column for orders that are not purchases.
const UNDONE: [&str; 14] = [
    "cancelled",
    "canceled",
    "refunded",
    "voided",
    "failed",
    "declined",
    "rejected",
    "expired",
    "returned",
    "abandoned",
    "storniert",
    "erstattet",
    "abgebrochen",
    "fehlgeschlagen",
];
/// Names of columns that say what a row is about.
const EVENT_NAMES: [&str; 8] =
    ["event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviortype", "interaction"];
/// Values of such a column for purchases.
const PURCHASES: [&str; 13] = [
    "purchase",
    "purchases",
    "purchased",
    "transaction",
    "buy",
    "bought",
    "order",
    "ordered",
    "sale",
    "sold",
    "checkout",
    "conversion",
    "kauf",
];
/// Parts of names of columns that a person should look at, if they are not used.
const REMARKABLE: [&str; 10] =
    ["status", "event", "refund", "cancel", "return", "void", "storno", "action", "type", "state"];

/// The rules of a file with these columns, without what its values decide, and what was recognised.
pub(super) fn recognise(
    names: &[String],
    joined: &JoinedFiles,
    kind: RecordKind,
    options: &ImportOptions,
) -> Result<Recognised, ImportError> {
    let mut notes = Vec::new();
    let own = names;
    let names = &names_with(names, joined);
    let profile = Profile::choose(&options.profile, own, kind);
    if let Some(profile) = profile
        && joined.is_empty()
        && let Some(join) = profile.joins.iter().find(|join| !join.optional)
    {
        let (title, header) = (profile.title.clone(), join.header.clone());
        return Err(ImportError::MissingFile { title, header });
    }
    if profile.is_none() && options.profile == ProfileChoice::Auto {
        reject_other_kind(own, kind, options)?;
    }
    let mut mapping = options.mapping.clone();
    let mut rows = Vec::new();
    let mut guests = options.guests.clone();
    let mut shape = Shape::default();
    let mut format = options.time_format.clone();
    if let Some(profile) = profile {
        notes.push(format!("recognised: {}", profile.title));
        profile.columns_in(names).for_each(|(column, theirs)| mapping.add(column, theirs));
        rows = profile.rows_in(names);
        shape = profile.shape_in(names);
        guests.extend(profile.guests.iter().cloned());
        notes.extend(profile.notes.iter().cloned());
        if let (TimeFormat::Usual, Ok(Some(own))) = (&format, profile.time_format()) {
            format = own;
        }
    } else if options.profile == ProfileChoice::Auto && kind == RecordKind::Purchases {
        rows = rules_by_name(names, |name| !mapping.columns_of(name, kind).is_empty());
    }
    own_rules(options, names, &mut rows)?;
    if !options.fill_down.is_empty() {
        let columns = options.fill_down.iter().map(|name| present(name, "--fill-down", names));
        shape.fill_down = Some(FillDown { by: None, columns: columns.collect::<Result<_, _>>()? });
    }
    notes.extend(rows.iter().map(RowRule::text));
    let is_used = |name: &&String| {
        !mapping.columns_of(name, kind).is_empty() || rows.iter().any(|rule| rule.column == **name)
    };
    let unused: Vec<String> = names
        .iter()
        .filter(|name| !is_used(name) && REMARKABLE.iter().any(|part| folded(name).contains(part)))
        .map(|name| shown(name))
        .collect();
    if kind == RecordKind::Purchases && profile.is_none() && !unused.is_empty() {
        notes.push(format!(
            "not used, though the names look like a state or an event: {}. --only or --skip COLUMN=VALUE decides by them",
            unused.join(", ")
        ));
    }
    let own_zone = profile.and_then(Profile::zone);
    let time = TimeReader {
        format,
        zone: options.timezone.or(own_zone).unwrap_or(Tz::UTC),
        order: options.date_order,
        clock: profile.map(Profile::clock_digits).unwrap_or_default(),
    };
    let currency = options.currency.or_else(|| profile.and_then(Profile::currency));
    let currency = currency.unwrap_or(Currency::EUR);
    shape.sources = FileColumn::of(kind).map(|column| sources(&mapping, column, names, kind)).collect();
    let guests = Guests::new(guests);
    (shape.rows, shape.guests) = (rows.clone(), guests.clone());
    let shape = (!own.is_empty() && (!joined.is_empty() || !shape.is_needless())).then_some(shape);
    let categories = profile.and_then(|profile| profile.categories.clone()).unwrap_or_default();
    let decimal = options.decimal;
    let rules = ReadingRules { mapping, rows, guests, time, decimal, currency, categories };
    Ok(Recognised { rules, shape, notes })
}

/// Names a file that is a known export of the other kind, and lacks columns of this one.
fn reject_other_kind(names: &[String], kind: RecordKind, options: &ImportOptions) -> Result<(), ImportError> {
    let (other, name) = match kind {
        RecordKind::Purchases => (RecordKind::Products, "products"),
        RecordKind::Products => (RecordKind::Purchases, "purchases"),
    };
    let has = |required: &FileColumn| {
        names.iter().any(|name| options.mapping.columns_of(name, kind).iter().any(|(own, _)| own == required))
    };
    match Profile::of_header(names, other) {
        Some(profile) if !FileColumn::required(kind).iter().all(has) => {
            Err(ImportError::OtherKind { title: profile.title.clone(), kind: name })
        }
        _ => Ok(()),
    }
}

/// What was recognised of a file.
pub(super) struct Recognised {
    /// Without what its values decide.
    pub(super) rules: ReadingRules,
    pub(super) shape: Option<Shape>,
    /// Sentences for people.
    pub(super) notes: Vec<String>,
}

/// What a column of ours is made of.
fn sources(mapping: &Mapping, column: FileColumn, names: &[String], kind: RecordKind) -> Sources {
    let names = match mapping.theirs(column) {
        Some(theirs) => theirs.to_vec(),
        None => {
            let is_own =
                |name: &&String| mapping.columns_of(name, kind).iter().any(|(own, _)| *own == column);
            names.iter().filter(is_own).cloned().collect()
        }
    };
    Sources { column, names }
}

/// Rules about columns that are no secret: states of orders, and events.
fn rules_by_name(names: &[String], is_used: impl Fn(&str) -> bool) -> Vec<RowRule> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let rule = |name: &String| {
        let plain = folded(name);
        let column = name.clone();
        if is_used(name) {
            None
        } else if STATUS_NAMES.contains(&plain.as_str()) {
            Some(RowRule { column, keep: false, values: words(&UNDONE), filled: None })
        } else if EVENT_NAMES.contains(&plain.as_str()) {
            Some(RowRule { column, keep: true, values: words(&PURCHASES), filled: None })
        } else {
            None
        }
    };
    names.iter().filter_map(rule).collect()
}

/// Adds the rules of `--only` and `--skip`; a person's rule about a column replaces what was recognised.
fn own_rules(options: &ImportOptions, names: &[String], rows: &mut Vec<RowRule>) -> Result<(), ImportError> {
    let mut own: Vec<RowRule> = Vec::new();
    for (pairs, keep) in [(&options.only, true), (&options.skip, false)] {
        for (name, value) in pairs {
            let column = present(name, if keep { "--only" } else { "--skip" }, names)?;
            match own.iter_mut().find(|rule| rule.column == column && rule.keep == keep) {
                Some(rule) => rule.values.push(value.clone()),
                None => own.push(RowRule { column, keep, values: vec![value.clone()], filled: None }),
            }
        }
    }
    rows.retain(|rule| !own.iter().any(|own| own.column == rule.column));
    rows.append(&mut own);
    Ok(())
}

/// The file's own name for a column that an option names.
fn present(name: &str, option: &'static str, names: &[String]) -> Result<String, ImportError> {
    if let Some(own) =
        names.iter().find(|own| *own == name).or_else(|| names.iter().find(|own| folded(own) == folded(name)))
    {
        return Ok(own.clone());
    }
    Err(ImportError::NoSuchOptionColumn {
        option,
        name: name.to_owned(),
        has: names.iter().map(|name| shown(name)).collect(),
        nearest: nearest(name, names).map(shown),
    })
}
