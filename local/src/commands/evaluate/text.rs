//! The report as tables.

use comfy_table::CellAlignment;
use nextbasket_recommender::evaluate::{CUTOFFS, Estimate, GroupReport, MeasuresAt, MethodReport};

use super::Evaluated;
use crate::text_table::text_table;

/// The list length of what is not shown for all of them.
pub(super) const K: usize = 10;

/// A measure that methods are compared by.
pub(super) struct ComparedMeasure {
    pub(super) name: &'static str,
    pub(super) of: fn(&MeasuresAt) -> Option<Estimate>,
    /// How much better the product's own method is.
    pub(super) advantage: fn(&MeasuresAt) -> Option<Estimate>,
}

pub(super) const COMPARED: [ComparedMeasure; 3] = [
    ComparedMeasure {
        name: "Recall",
        of: |at| at.recall,
        advantage: |at| at.own_advantage.and_then(|own| own.recall),
    },
    ComparedMeasure {
        name: "nDCG",
        of: |at| at.ndcg,
        advantage: |at| at.own_advantage.and_then(|own| own.ndcg),
    },
    ComparedMeasure {
        name: "Hit rate",
        of: |at| at.hit_rate,
        advantage: |at| at.own_advantage.and_then(|own| own.hit_rate),
    },
];

/// A group of questions, and what is shown of it.
pub(super) struct Group<'r> {
    pub(super) title: &'static str,
    /// What was asked, in a sentence.
    pub(super) about: &'static str,
    pub(super) report: &'r GroupReport,
    pub(super) measures: &'static [ComparedMeasure],
    /// Whether users have bought something before.
    pub(super) has_history: bool,
}

pub(super) const MARKS: &str = "* worse than the product's own method, the last one, and + better: the 95 % interval of the \
     difference on the same users leaves no doubt.";

impl Evaluated {
    pub(super) fn groups(&self) -> [Group<'_>; 3] {
        let [_, ndcg_and_hits @ ..] = &COMPARED;
        [
            Group {
                title: "Returning users",
                about: "Users who had bought before are recommended products; the hidden purchase says which were right.",
                report: &self.report.returning_users,
                measures: &COMPARED,
                has_history: true,
            },
            Group {
                title: "New users",
                about: "The same for users without an earlier purchase.",
                report: &self.report.new_users,
                measures: &COMPARED,
                has_history: false,
            },
            Group {
                title: "Carts",
                about: "One product is taken out of each hidden purchase of several, and has to be found for the rest.",
                report: &self.report.carts,
                measures: ndcg_and_hits,
                has_history: false,
            },
        ]
    }
}

pub(super) fn report(evaluated: &Evaluated) -> String {
    let mut parts = vec![evaluated.summary()];
    for group in evaluated.groups() {
        let asked = group.report.asked;
        if asked == 0 {
            parts.push(format!("{}: none to ask.", group.title));
            continue;
        }
        parts.push(format!("{} ({asked} asked). {}", group.title, group.about));
        parts.extend(group.measures.iter().map(|measure| compared(group.report, measure)));
        parts.push(others(&group));
    }
    parts.push(MARKS.to_owned());
    parts.join("\n\n")
}

fn compared(group: &GroupReport, measure: &ComparedMeasure) -> String {
    let heads = CUTOFFS.map(|k| format!("{}@{k}", measure.name));
    let header: Vec<&str> = std::iter::once("").chain(heads.iter().map(String::as_str)).collect();
    let rows = group.methods.iter().map(|method| {
        let cells = method.at.iter().map(|at| {
            let mark = mark((measure.advantage)(at));
            (measure.of)(at).map_or_else(String::new, |estimate| format!("{}{mark}", with_interval(estimate)))
        });
        std::iter::once(method.name.to_owned()).chain(cells).collect()
    });
    table(&header, rows)
}

/// What tells lists of one length apart, besides how right they are.
fn others(group: &Group<'_>) -> String {
    let columns = other_measures(group);
    let heads: Vec<String> = columns.iter().map(|(name, _)| format!("{name}@{K}")).collect();
    let products = format!("products@{K} of {}", group.report.products);
    let header: Vec<&str> =
        std::iter::once("").chain(heads.iter().map(String::as_str)).chain([products.as_str()]).collect();
    let rows = group.report.methods.iter().filter_map(|method: &MethodReport| {
        let at = method.at(K)?;
        let cells = columns.iter().map(|(_, of)| of(at).map_or_else(String::new, with_interval));
        let row = std::iter::once(method.name.to_owned()).chain(cells);
        Some(row.chain([at.coverage.to_string()]).collect())
    });
    table(&header, rows)
}

type OtherMeasure = (&'static str, fn(&MeasuresAt) -> Option<Estimate>);

pub(super) fn other_measures(group: &Group<'_>) -> Vec<OtherMeasure> {
    let novelty: OtherMeasure = ("new, bits", |at| at.novelty);
    if group.has_history {
        vec![
            ("repeat", |at| at.repeat_recall),
            ("explore", |at| at.explore_recall),
            ("bought before", |at| at.bought_before),
            novelty,
        ]
    } else {
        vec![novelty]
    }
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = text_table(header);
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in 1..header.len() {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// `0.181 (0.170-0.192)`.
pub(super) fn with_interval(estimate: Estimate) -> String {
    match estimate.interval {
        Some((low, high)) => format!("{:.3} ({low:.3}-{high:.3})", estimate.mean),
        None => format!("{:.3}", estimate.mean),
    }
}

/// Whether a method is worse or better than the product's own beyond doubt.
pub(super) fn mark(advantage: Option<Estimate>) -> &'static str {
    match advantage {
        Some(advantage) if advantage.is_above(0.0) => "*",
        Some(advantage) if advantage.is_below(0.0) => "+",
        _ => " ",
    }
}
