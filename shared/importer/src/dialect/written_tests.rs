//! Tables written in every dialect, and read back.

use proptest::prelude::*;

use super::{Dialect, Quoting, detect, header_names};
use crate::csv_record::CsvRecord;

/// How a table is written.
#[derive(Debug, Clone)]
struct Written {
    delimiter: char,
    quoting: Quoting,
    line_end: &'static str,
    titles: Vec<&'static str>,
    declares_delimiter: bool,
    /// Delimiters behind the last field of the header and of the other records.
    trailing: (usize, usize),
    mark: bool,
    quotes_all: bool,
}

fn written() -> impl Strategy<Value = Written> {
    let titles = prop_oneof![
        4 => Just(vec![]),
        1 => Just(vec!["Sales report"]),
        1 => Just(vec!["Sales report", "", "# 2024-01-31"]),
        1 => Just(vec!["", ""]),
    ];
    (
        prop::sample::select(vec![',', ';', '\t', '|']),
        prop::sample::select(vec![Quoting::Doubled, Quoting::Backslash]),
        prop::sample::select(vec!["\n", "\r\n", "\r"]),
        titles,
        any::<bool>(),
        prop::sample::select(vec![(0, 0), (0, 1), (0, 3), (1, 1), (2, 0)]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(delimiter, quoting, line_end, titles, declares_delimiter, trailing, mark, quotes_all)| {
                Written {
                    delimiter,
                    quoting,
                    line_end,
                    titles,
                    declares_delimiter,
                    trailing,
                    mark,
                    quotes_all,
                }
            },
        )
}

/// The number of columns, the rows: each begins with a number, as all purchases have one.
fn table() -> impl Strategy<Value = (usize, Vec<Vec<String>>)> {
    let cell = prop_oneof![
        3 => "[a-d]{1,4}",
        2 => "[0-9]{1,3}[.,][0-9]{2}",
        1 => Just("2024-01-31 10:00:00".to_owned()),
        2 => "[ab\"\\\\,;|\t\u{e4} n]{0,6}",
        1 => "[a\nb\"]{1,5}",
        1 => Just(String::new()),
    ];
    (2_usize..6).prop_flat_map(move |columns| {
        let row =
            (1_u32..10_000, prop::collection::vec(cell.clone(), columns - 1)).prop_map(|(id, mut row)| {
                row.insert(0, id.to_string());
                row
            });
        (Just(columns), prop::collection::vec(row, 1..12))
    })
}

const NAMES: [&str; 6] = ["Order", "Customer", "Item name", "Paid at", "Total", "Currency"];

impl Written {
    fn cell(&self, cell: &str) -> String {
        let special = |c: char| matches!(c, '"' | '\n' | '\r' | '\\' | ' ') || c == self.delimiter;
        if !self.quotes_all && !cell.contains(special) {
            return cell.to_owned();
        }
        match self.quoting {
            Quoting::Doubled => format!("\"{}\"", cell.replace('"', "\"\"")),
            Quoting::Backslash => format!("\"{}\"", cell.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }

    fn record(&self, cells: &[String], trailing: usize) -> String {
        let delimiter = self.delimiter.to_string();
        let cells: Vec<String> = cells.iter().map(|cell| self.cell(cell)).collect();
        format!("{}{}{}", cells.join(&delimiter), delimiter.repeat(trailing), self.line_end)
    }

    fn text(&self, columns: usize, rows: &[Vec<String>]) -> String {
        let mut text = String::from(if self.mark { "\u{feff}" } else { "" });
        if self.declares_delimiter {
            text.push_str(&format!("sep={}{}", self.delimiter, self.line_end));
        }
        for title in &self.titles {
            text.push_str(&format!("{title}{}", self.line_end));
        }
        let names: Vec<String> = NAMES.iter().take(columns).map(|name| (*name).to_owned()).collect();
        text.push_str(&self.record(&names, self.trailing.0));
        // Line ends within quotes are as those of the file.
        for row in rows {
            let row: Vec<String> = row.iter().map(|cell| cell.replace('\n', self.line_end)).collect();
            text.push_str(&self.record(&row, self.trailing.1));
        }
        text
    }

    /// Whether a text with backslashes is also one without: each of its records has its fields either way, such as
    /// `1,"\\"` and `1,"\"","x,"`.
    fn is_ambiguous(&self, text: &str) -> bool {
        let doubled = Dialect { quoting: Quoting::Doubled, ..detect(text.as_bytes(), true) };
        self.quoting == Quoting::Backslash && text.contains('\\') && read_as(text, &doubled).is_some()
    }
}

/// The names and the records of a text, as its dialect says; `None` if a record is refused.
fn read_back(text: &str) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    read_as(text, &detect(text.as_bytes(), true))
}

fn read_as(text: &str, dialect: &Dialect) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    let normal = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut record = CsvRecord::of(dialect);
    let (mut records, mut raw) = (Vec::new(), Vec::new());
    for line in normal.split_inclusive('\n').skip(usize::try_from(dialect.skipped_lines).unwrap()) {
        if raw.is_empty() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            record.start(1);
        }
        raw.extend_from_slice(line.as_bytes());
        if record.feed(line.as_bytes()).ok()? {
            record.take(&std::mem::take(&mut raw));
            if record.field_count() != dialect.columns {
                return None;
            }
            let cell = |field| String::from_utf8(record.bytes()[record.range(field)].to_vec()).unwrap();
            records.push((0..record.field_count()).map(cell).collect::<Vec<String>>());
        }
    }
    let names = records.remove(0);
    Some((header_names(names.iter().map(String::as_str)), records))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Where the header has a blank name and every record a blank field, they are a column.
    #[test]
    fn a_table_is_read_back_from_every_dialect((columns, rows) in table(), written in written()) {
        let text = written.text(columns, &rows);
        prop_assume!(!written.is_ambiguous(&text));
        let back = read_back(&text);
        let Some((names, records)) = back else {
            return Err(TestCaseError::fail(format!("refused: {:?} {text:?}", detect(text.as_bytes(), true))));
        };
        let same = |records: &[Vec<String>], row: &[Vec<String>]| {
            records.iter().zip(row).all(|(one, other)| one.iter().zip(other).all(|(one, other)| one == other))
        };
        prop_assert_eq!(&names[..columns], &NAMES[..columns], "{:?} {:?}", detect(text.as_bytes(), true), text);
        prop_assert_eq!(records.len(), rows.len(), "{:?}", text);
        prop_assert!(same(&records, &rows), "{:?} {:?} {:?}", detect(text.as_bytes(), true), text, records);
        prop_assert!(records.iter().all(|record| record.iter().skip(columns).all(String::is_empty)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), is_whole in any::<bool>()) {
        detect(&bytes, is_whole);
    }

    #[test]
    fn no_text_near_a_table_makes_it_panic(text in "(sep=[;,]\n)?([a1\\\\\"\r\n,;\t ]|\r\n){0,200}", is_whole in any::<bool>()) {
        let dialect = detect(text.as_bytes(), is_whole);
        let lines = text.split(['\n', '\r']).count();
        prop_assert!(dialect.skipped_lines <= u64::try_from(lines).unwrap());
    }
}
