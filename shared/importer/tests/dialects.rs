//! A table of orders, written in any way that shop systems and spreadsheets write tables, is read back as it was or
//! refused, and never read as something else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime};
use common::opens;
use nextbasket_domain::{Currency, Purchase, Timestamp};
use nextbasket_importer::{ImportError, ImportOptions, read_purchases};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Order {
    user: String,
    product: String,
    name: String,
    seconds: i64,
    quantity: u32,
    cents: i64,
}

fn text() -> impl Strategy<Value = String> {
    let sign = prop::sample::select("abcXYZ079 äöüßéÆ€–.,;|\"'\\()-_#&".chars().collect::<Vec<_>>());
    prop::collection::vec(sign, 1..14)
        .prop_map(|signs| signs.into_iter().collect::<String>().trim().to_owned())
}

fn order() -> impl Strategy<Value = Order> {
    let name = text().prop_filter("a name", |name| !name.is_empty());
    let user = prop::sample::select(vec!["ada", "bob", "jörg@example.org", "0017", "k-3"]);
    let product =
        prop::sample::select(vec!["A-1", "0042", "beans", "Größe 42", "7.5", "x,y", "4006381333931"]);
    (user, product, name, 0..700_000_000_i64, 1..5_000_u32, 1..3_000_000_i64).prop_map(
        |(user, product, name, seconds, quantity, cents)| Order {
            user: user.to_owned(),
            product: product.to_owned(),
            name,
            // From September 2001 on, in whole minutes: seconds and milliseconds have ten and thirteen digits.
            seconds: 1_000_000_020 + seconds / 60 * 60,
            quantity,
            cents,
        },
    )
}

#[derive(Debug, Clone, Copy)]
struct Written {
    delimiter: char,
    /// Every field is quoted, not only those that must be.
    quotes_all: bool,
    line_end: &'static str,
    encoding: &'static str,
    date: &'static str,
    /// The decimal sign, and the sign between thousands.
    number: (&'static str, &'static str),
    currency: (&'static str, &'static str),
    blank_columns: usize,
    trailing: bool,
    declares_delimiter: bool,
    title: bool,
    turn: usize,
}

fn written() -> impl Strategy<Value = Written> {
    let select = |texts: &'static [&'static str]| prop::sample::select(texts.to_vec());
    (
        prop::sample::select(vec![',', ';', '\t', '|']),
        any::<bool>(),
        select(&["\n", "\r\n", "\r"]),
        select(&["utf-8", "utf-8 with a mark", "utf-16le", "utf-16be", "windows-1252"]),
        select(&[
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M:%SZ",
            "%d/%m/%Y %H:%M",
            "%m/%d/%Y %I:%M %p",
            "%d.%m.%Y %H:%M",
            "%d-%b-%Y %H:%M:%S",
            "%s",
            "%s000",
            "%Y%m%d%H%M",
            "%-d.%-m.%y %H:%M",
        ]),
        prop::sample::select(vec![
            (".", ""),
            (",", ""),
            (".", ","),
            (",", "."),
            (",", " "),
            (".", "'"),
            (",", "\u{a0}"),
        ]),
        prop::sample::select(vec![("", ""), ("€", ""), ("", " €"), ("EUR ", ""), ("", " EUR")]),
        (0..3_usize, any::<bool>(), any::<bool>(), any::<bool>(), 0..8_usize),
    )
        .prop_map(|(delimiter, quotes_all, line_end, encoding, date, number, currency, rest)| {
            let (blank_columns, trailing, declares_delimiter, title, turn) = rest;
            Written {
                delimiter,
                quotes_all,
                line_end,
                encoding,
                date,
                number,
                currency,
                blank_columns,
                trailing,
                declares_delimiter,
                title,
                turn,
            }
        })
}

fn number(value: i64, places: u32, (sign, thousands): (&str, &str)) -> String {
    let unit = 10_i64.pow(places);
    let digits = (value / unit).to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push_str(thousands);
        }
        out.push(digit);
    }
    if places > 0 {
        out.push_str(&format!("{sign}{:0width$}", value % unit, width = usize::try_from(places).unwrap()));
    }
    out
}

impl Written {
    fn field(&self, text: &str) -> String {
        let must = text.contains([self.delimiter, '"', '\n', '\r']);
        if must || self.quotes_all { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    }

    fn line(&self, cells: &mut [String]) -> String {
        let (turn, length) = (self.turn, cells.len());
        cells.rotate_left(turn % length);
        let mut fields: Vec<String> = cells.iter().map(|cell| self.field(cell)).collect();
        if self.trailing {
            fields.push(String::new());
        }
        fields.join(&self.delimiter.to_string()) + self.line_end
    }

    fn file(&self, orders: &[Order]) -> Vec<u8> {
        // An encoding without a byte order mark is detected from natural words.
        const NAMES: [&str; 4] = [
            "Größe M, für Müller",
            "Crème brûlée à l'ancienne",
            "Grüner Tee \u{2013} 100 g",
            "Señor \"Café\"",
        ];
        let mut text = String::new();
        if self.declares_delimiter {
            text.push_str(&format!("sep={}{}", self.delimiter, self.line_end));
        } else if self.title {
            text.push_str(&format!("Sales report{}{}", self.line_end, self.line_end));
        }
        let names = ["user_id", "product_id", "product_name", "timestamp", "quantity", "price", "basket_id"];
        let mut header: Vec<String> = names.map(str::to_owned).to_vec();
        header.extend((0..self.blank_columns).map(|n| format!("extra {n}")));
        text.push_str(&self.line(&mut header));
        for (n, order) in orders.iter().enumerate() {
            let time = DateTime::from_timestamp(order.seconds, 0).unwrap();
            let price = number(order.cents, 2, self.number);
            let mut cells = vec![
                order.user.clone(),
                order.product.clone(),
                if self.encoding == "windows-1252" { NAMES[n % 4].to_owned() } else { order.name.clone() },
                time.format(self.date).to_string(),
                number(i64::from(order.quantity), 0, self.number),
                format!("{}{price}{}", self.currency.0, self.currency.1),
                format!("b{n}"),
            ];
            cells.extend((0..self.blank_columns).map(|_| String::new()));
            text.push_str(&self.line(&mut cells));
        }
        match self.encoding {
            "utf-8 with a mark" => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => {
                "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
            }
            "windows-1252" => text
                .chars()
                .map(|sign| match sign {
                    '€' => 0x80,
                    '–' => 0x96,
                    sign => u8::try_from(u32::from(sign)).unwrap(),
                })
                .collect(),
            _ => text.into_bytes(),
        }
    }
}

fn shown(purchase: &Purchase) -> String {
    let line = &purchase.lines[0];
    let price = line.unit_price.map(|price| format!("{} {}", price.amount(), price.currency().as_str()));
    format!(
        "{} {} {} {} {} {price:?}",
        purchase.purchase_id.as_str(),
        purchase.user_id.as_str(),
        purchase.purchased_at,
        line.product_id.as_str(),
        line.quantity
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_table_in_any_dialect_is_itself_or_refused(orders in prop::collection::vec(order(), 1..25), how in written()) {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let options = ImportOptions::new(now, Currency::EUR);
        let bytes = how.file(&orders);
        let (mut refused, expected): (Vec<u8>, BTreeMap<String, String>) = (Vec::new(), orders.iter().enumerate().map(|(n, order)| {
            let at = NaiveDateTime::default() + chrono::Duration::seconds(order.seconds);
            let at = Timestamp::from_millis(at.and_utc().timestamp_millis()).unwrap();
            let shown = format!(
                "b{n} {} {at} {} {} {:?}", order.user, order.product, order.quantity, Some(format!("{} EUR", order.cents))
            );
            (format!("b{n}"), shown)
        }).collect());
        match read_purchases(&mut opens(&bytes), &options, &mut refused, &mut |_| {}) {
            Err(ImportError::AmbiguousNumber { .. } | ImportError::AmbiguousDate { .. }) => {}
            Err(error) => prop_assert!(false, "{error}\n{}", String::from_utf8_lossy(&bytes)),
            Ok(import) => {
                prop_assert_eq!(String::from_utf8_lossy(&refused), "", "{}", String::from_utf8_lossy(&bytes));
                let read: BTreeMap<String, String> = import
                    .purchases
                    .iter()
                    .map(|purchase| (purchase.purchase_id.as_str().to_owned(), shown(purchase)))
                    .collect();
                prop_assert_eq!(read, expected, "{}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}
