//! Tables for people.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use crate::json_fields::{array, text};

pub(crate) fn text_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    // Without a terminal there is no width to fit.
    if table.width().is_none() {
        table.set_width(110);
    }
    table
}

/// An answer's items: rank, product, score and reasons.
#[must_use]
pub fn recommendations(items: &[Value]) -> String {
    let mut table = text_table(&["", "Product", "Score", "Why"]);
    for (rank, item) in (1..).zip(items) {
        let why: Vec<&str> = array(item, "reasons").iter().map(|reason| text(reason, "text")).collect();
        let score = item.get("score").and_then(Value::as_f64).unwrap_or_default();
        table.add_row([
            rank.to_string(),
            text(item, "name").to_owned(),
            format!("{score:.3}"),
            why.join("\n"),
        ]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A user's purchases: when, and what by name.
#[must_use]
pub fn purchases(items: &[Value], name: &dyn Fn(&str) -> String) -> String {
    let mut table = text_table(&["Purchased", "Products"]);
    for item in items {
        let day = text(item, "purchasedAt").split('T').next().unwrap_or_default();
        let names: Vec<String> =
            array(item, "lines").iter().map(|line| name(text(line, "productId"))).collect();
        table.add_row([day.to_owned(), names.join(" · ")]);
    }
    table.to_string()
}
