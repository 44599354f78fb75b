//! What a person sees of a file at a glance: revenue, sample purchases, warnings.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails there")]

mod common;

use std::fmt::Write;

use common::read_lines;
use nextbasket_domain::Currency;
use nextbasket_importer::ImportWarning;

/// Purchases of one line, of these users, one after the other.
fn purchases_of<'a>(users: impl IntoIterator<Item = &'a str>) -> String {
    let mut lines = String::new();
    for (n, user) in users.into_iter().enumerate() {
        writeln!(lines, "{user},p{},2011-01-01T10:{n:02}:00,1,1.00,Product,b{n}", n % 7).unwrap();
    }
    lines
}

fn warnings(lines: &str) -> Vec<String> {
    read_lines(lines).0.summary.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_user_with_more_than_a_tenth_of_all_purchases_is_named_with_what_to_do() {
    let others: Vec<String> = (0..26).map(|n| format!("u{}", n % 13)).collect();
    let guests = std::iter::repeat_n("guest account", 4);
    let with_guests = || purchases_of(others.iter().map(String::as_str).chain(guests.clone()));
    let found = warnings(&with_guests());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("user \"guest account\" has 4 of 30 purchases."), "{found:?}");
    assert!(found[0].contains("--guest 'guest account',"), "{found:?}");
    // Three of thirty are a tenth, and no more.
    let more = others.iter().map(String::as_str).chain(["u12", "guest", "guest", "guest"]);
    assert_eq!(warnings(&purchases_of(more)), [""; 0]);
    // Of few purchases a large share says nothing.
    assert!(warnings(&purchases_of(["guest"; 19])).is_empty());
    assert_eq!(warnings(&purchases_of(["guest"; 20])).len(), 1);

    let mut summary = read_lines(&with_guests()).0.summary;
    summary.remove_persons();
    let (text, json) = (summary.to_string(), serde_json::to_string(&summary).unwrap());
    assert!(text.contains("warning: one user has 4 of 30 purchases"), "{text}");
    assert!(!text.contains("guest account") && !text.contains("u1"), "{text}");
    assert!(!json.contains("guest account") && !json.contains("\"u1\""), "{json}");
}

#[test]
fn a_file_in_which_nobody_buys_twice_is_pointed_out() {
    let users: Vec<String> = (0..20).map(|n| format!("u{n}")).collect();
    let all = || users.iter().map(String::as_str);
    let found = read_lines(&purchases_of(all())).0.summary.warnings;
    assert_eq!(found, [ImportWarning::NoRepeatBuyer { users: 20 }]);
    assert!(warnings(&purchases_of(all().chain(["u7"]))).is_empty());
    assert!(warnings(&purchases_of(all().take(19))).is_empty());
}

#[test]
fn revenue_is_quantity_times_price_by_currency() {
    let header = "user_id,product_id,timestamp,quantity,price,currency,basket_id\n";
    let lines = "ada,a,2011-01-01,3,1.50,EUR,b1\n\
                 ada,b,2011-01-01,2,500,JPY,b1\n\
                 bob,a,2011-01-02,1,0.99,,b2\n\
                 bob,c,2011-01-02,4,,EUR,b2\n\
                 bob,c,2011-01-02,-1,9.00,EUR,b2\n";
    let summary = common::read(&format!("{header}{lines}")).0.summary;
    let amounts: Vec<_> =
        summary.tally.revenue.iter().map(|(currency, amount)| (currency.as_str(), *amount)).collect();
    assert_eq!(amounts, [("EUR", 450), ("GBP", 99), ("JPY", 1_000)]);
    assert!(
        summary.to_string().contains("in 4 lines, revenue: 4.50 EUR, 0.99 GBP, 1,000 JPY\n"),
        "{summary}"
    );
    assert_eq!(summary.tally.revenue[&Currency::parse("JPY").unwrap()], 1_000);
}

#[test]
fn the_first_three_purchases_by_time_are_shown_with_at_most_five_lines() {
    let mut lines = String::new();
    for n in (0..9).rev() {
        for product in 0..n {
            writeln!(lines, "u{n},p{product},2011-01-0{}T10:00:00,1,1.00,,b{n}", n + 1).unwrap();
        }
    }
    // A line far behind makes a late purchase the first.
    lines.push_str("u8,p0,2010-12-31T23:59:59,1,1.00,\"The \"\"first\"\"\",b8\n");
    let samples = read_lines(&lines).0.summary.tally.samples;
    let shown: Vec<_> = samples
        .iter()
        .map(|sample| (sample.purchase_id.as_str(), sample.lines.len(), sample.more_lines))
        .collect();
    assert_eq!(shown, [("b8", 5, 3), ("b1", 1, 0), ("b2", 2, 0)]);
    assert_eq!(samples[0].lines[0].quantity, 2);
    assert_eq!(samples[0].lines[0].name.as_deref(), Some("The \"first\""));
}
