//! Files of every form: packed, broken, quoted, foreign.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use common::{HEADER, opens, options, read, read_lines, read_with, reasons};
use flate2::Compression;
use flate2::write::GzEncoder;
use nextbasket_importer::{Container, ImportError, ImportedPurchases, ReadProgress, read_purchases};

const THREE: &str = "ada,a,2011-01-01,1,,,b1\nada,b,2011-01-02,1,,,b2\nada,c,2011-01-03,1,,,b3\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn error(bytes: &[u8]) -> String {
    read_with(bytes, &options()).unwrap_err().to_string()
}

fn ids(import: &ImportedPurchases) -> Vec<&str> {
    import.purchases.iter().map(|purchase| purchase.purchase_id.as_str()).collect()
}

/// Gives some bytes, one at a time, and then fails.
struct Failing(VecDeque<u8>);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match (self.0.pop_front(), into.first_mut()) {
            (Some(byte), Some(place)) => {
                *place = byte;
                Ok(1)
            }
            _ => Err(io::Error::other("the disk is on fire")),
        }
    }
}

fn failing(text: &str) -> impl FnMut() -> io::Result<Box<dyn Read + Send>> {
    let bytes: VecDeque<u8> = text.bytes().collect();
    move || Ok(Box::new(Failing(bytes.clone())))
}

#[test]
fn gzip_is_known_by_its_content() {
    let text = format!("{HEADER}{THREE}");
    let plain = read(&text).0;
    let packed = read_with(&gzip(&text), &options()).unwrap().0;
    assert_eq!(plain.purchases, packed.purchases);
    assert_eq!(packed.summary.form.source.container, Container::Gzip);
    assert_eq!(plain.summary.form.source.container, Container::Plain);
    let mut two = gzip(HEADER);
    two.extend_from_slice(&gzip(THREE));
    assert_eq!(read_with(&two, &options()).unwrap().0.purchases, plain.purchases);
}

#[test]
fn a_gzip_file_that_was_cut_short_gives_what_stands_before_the_cut() {
    let lines: String =
        (0..20_000).map(|i| format!("user{i},p{},2011-01-01,1,,,b{i}\n", i * 7_919 % 997)).collect();
    let packed = gzip(&format!("{HEADER}{lines}"));
    let (import, refused) = read_with(&packed[..packed.len() / 2], &options()).unwrap();
    let summary = &import.summary;
    assert!(summary.taken > 5_000 && summary.taken < 19_000, "{}", summary.taken);
    assert!(summary.ended_early.is_some());
    assert!(summary.to_string().contains("the file ends unexpectedly at line"), "{summary}");
    assert!(reasons(&refused).iter().all(|reason| reason.contains("cut_off")), "{refused}");
}

#[test]
fn a_gzip_file_with_a_wrong_checksum_says_so_and_keeps_its_lines() {
    let mut packed = gzip(&format!("{HEADER}{THREE}"));
    let at = packed.len() - 6;
    packed[at] ^= 1;
    let (import, _) = read_with(&packed, &options()).unwrap();
    assert_eq!(import.summary.taken, 3);
    insta::assert_snapshot!(import.summary.ended_early.unwrap(), @"corrupt gzip stream does not have a matching checksum");
}

#[test]
fn a_line_that_may_not_be_whole_is_not_taken() {
    let text = format!("{HEADER}ada,a,2011-01-01,1,,,b1\nada,b,2011-01-02,1,,,b2");
    let mut refused = Vec::new();
    let import = read_purchases(&mut failing(&text), &options(), &mut refused, &mut |_| {}).unwrap();
    assert_eq!(ids(&import), ["b1"]);
    assert_eq!(reasons(&String::from_utf8(refused).unwrap()), ["3 cut_off -"]);
    assert_eq!(import.summary.ended_early.as_deref(), Some("the disk is on fire"));
}

#[test]
fn a_file_that_cannot_be_read_at_all_is_an_error() {
    let failed = read_purchases(&mut failing(""), &options(), &mut io::sink(), &mut |_| {}).unwrap_err();
    assert_eq!(failed.to_string(), "cannot read the file: the disk is on fire");
    assert!(matches!(read_with(&gzip(HEADER)[..9], &options()), Err(ImportError::Read(_))));
}

#[test]
fn a_full_disk_for_refused_lines_is_an_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let text = format!("{HEADER},a,2011-01-01,1,,,b1\n");
    let failed = read_purchases(&mut opens(text.as_bytes()), &options(), &mut Full, &mut |_| {}).unwrap_err();
    assert_eq!(failed.to_string(), "cannot write the refused lines: no storage space");
}

#[test]
fn an_empty_file_says_so_and_a_header_alone_has_no_records() {
    for bytes in [&b""[..], b"\n\n \r\n", b"\xef\xbb\xbf", &gzip("")] {
        assert_eq!(error(bytes), "the file is empty");
    }
    for header in [HEADER, HEADER.trim_end()] {
        let (import, refused) = read(header);
        assert_eq!((import.summary.tally.records, import.purchases.len(), refused.as_str()), (0, 0, ""));
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_not_matter() {
    let text = format!("\u{feff}{HEADER}{THREE}").replace('\n', "\r\n");
    assert_eq!(read(&text).0.purchases, read_lines(THREE).0.purchases);
    let json = "\u{feff}{\"user_id\":\"ada\",\"product_id\":\"a\",\"timestamp\":\"2011-01-01\"}\r\n\r\n";
    assert_eq!(read(json).0.summary.taken, 1);
}

#[test]
fn semicolons_tabs_and_bars_are_delimiters_too() {
    for delimiter in [";", "\t", "|"] {
        let text = format!("{HEADER}{THREE}").replace(',', delimiter);
        let (import, _) = read(&text);
        assert_eq!(import.purchases, read_lines(THREE).0.purchases);
        assert_eq!(import.summary.form.delimiter(), delimiter.chars().next());
    }
}

#[test]
fn quotes_hide_commas_and_line_ends_and_lines_count_as_in_the_file() {
    let (import, refused) = read_lines(
        "ada,a,2011-01-01,1,,\"Cup, \"\"large\"\"\nand blue\",b1\n\
         ,b,2011-01-01,1,,5\" nail,b2\n\
         \n\
         ada,b,2011-01-01,1,,5\" nail,b2\n",
    );
    assert_eq!(import.products[0].name, "Cup, \"large\" and blue");
    assert_eq!(import.products[1].name, "5\" nail");
    assert_eq!(reasons(&refused), ["4 missing_user user_id"]);
    assert_eq!((import.summary.tally.lines, import.summary.tally.records), (6, 3));
}

#[test]
fn a_stray_quote_costs_its_own_line_and_no_other() {
    let (import, refused) = read_lines(
        "ada,a,2011-01-01,1,,A,b1\n\
         ada,b,2011-01-01,1,,\"B,b2\n\
         ada,c,2011-01-01,1,,C,b3\n\
         ada,d,2011-01-01,1,,\"D,b4\n\
         ada,e,2011-01-01,1,,E,b5\n",
    );
    assert_eq!(ids(&import), ["b1", "b3", "b5"]);
    assert_eq!(reasons(&refused), ["3 unclosed_quote -", "5 unclosed_quote -"]);
    let many: String = (0..500).map(|i| format!("ada,p{i},2011-01-01,1,,,b{i}\n")).collect();
    let (import, refused) = read_lines(&format!("ada,b,2011-01-01,1,,\"B,x\n{many}"));
    assert_eq!(import.summary.taken, 500);
    assert_eq!(reasons(&refused), ["2 unclosed_quote -"]);
}

#[test]
fn text_behind_a_closing_quote_costs_its_own_line_and_says_where() {
    let (import, refused) = read_lines(
        "ada,a,2011-01-01,1,,A,b1\n\
         ada,b,2011-01-01,1,,\"B\"x,b2\n\
         ada,c,2011-01-01,1,,\"C\nc\" ,b3\n\
         ada,d,2011-01-01,1,,\"D\",b4\n",
    );
    assert_eq!(ids(&import), ["b1", "b4"]);
    assert_eq!(reasons(&refused), ["3 unclosed_quote -", "4 unclosed_quote -", "5 wrong_field_count -"]);
    let message =
        "line 3, column 24: text after the closing quote of the field that begins in line 3, column 21";
    assert!(refused.contains(message), "{refused}");
    assert!(refused.contains("line 5, column 3: text after"), "{refused}");
}

#[test]
fn a_line_over_a_megabyte_costs_its_own_line_and_no_other() {
    let long = "x".repeat(1_100_000);
    for quote in ["", "\""] {
        let (import, refused) = read_lines(&format!(
            "ada,a,2011-01-01,1,,{quote}A,b1\nada,b,2011-01-01,1,,{long},b2\nada,c,2011-01-01,1,,C,b3\n"
        ));
        assert!(ids(&import).ends_with(&["b3"]));
        assert!(reasons(&refused).contains(&"3 too_long -".to_owned()));
        assert!(refused.len() < 3_000);
    }
    assert!(error(long.as_bytes()).starts_with("the file has a first line longer than a megabyte"));
}

#[test]
fn bytes_that_are_not_utf_8_cost_their_line_in_a_file_that_is() {
    let valid: String = (0..1_100).map(|i| format!("ada,p{i},2011-01-01,1,,Käse,v{i}\n")).collect();
    let mut bytes = format!("{HEADER}{valid}").into_bytes();
    bytes.extend_from_slice(b"ada,b,2011-01-01,1,,K\xe4se,b2\nada,c\xc3,\xa42011-01-01,1,,C,b3\n");
    let (import, refused) = read_with(&bytes, &options()).unwrap();
    assert_eq!(import.summary.taken, 1_100);
    assert_eq!(reasons(&refused), ["1102 invalid_utf8 -", "1103 invalid_utf8 -"]);
    let first = refused.lines().next().unwrap();
    insta::assert_snapshot!(first, @r#"{"line":1102,"reason":"invalid_utf8","message":"the text is not UTF-8","record":"ada,b,2011-01-01,1,,K�se,b2"}"#);
}

#[test]
fn a_file_of_another_encoding_is_transcoded_and_says_so() {
    let text =
        format!("{HEADER}ada,a,2011-01-01,1,,\u{dc}bergr\u{f6}\u{df}e \u{201e}M\u{fc}ller\u{201c},b1\n");
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let windows: Vec<u8> = text
        .chars()
        .map(|sign| match sign {
            '\u{201e}' => 0x84,
            '\u{201c}' => 0x93,
            sign => u8::try_from(u32::from(sign)).unwrap(),
        })
        .collect();
    for (bytes, encoding) in [(utf_16, "UTF-16 (little endian)"), (windows, "Windows-1252")] {
        let (import, refused) = read_with(&bytes, &options()).unwrap();
        assert_eq!(import.products[0].name, "\u{dc}bergr\u{f6}\u{df}e \u{201e}M\u{fc}ller\u{201c}");
        assert_eq!(refused, "");
        assert_eq!(import.summary.form.to_string(), format!("CSV, {encoding}"));
    }
}

#[test]
fn foreign_files_are_named_and_told_what_helps() {
    insta::assert_snapshot!(error(b"PK\x03\x04abc"), @"cannot read the file: failed to fill whole buffer");
    insta::assert_snapshot!(error(b"\xff\xfeu\0s\0"), @"columns not found in the file: user_id, product_id, timestamp. Its columns are us. Say which column is which, for example: --map user_id=NAME,product_id=NAME,timestamp=NAME");
    insta::assert_snapshot!(error(b"[{\"user_id\": 1}]"), @"columns not found in the file: product_id, timestamp. Its columns are user_id. Say which column is which, for example: --map product_id=NAME,timestamp=NAME");
    insta::assert_snapshot!(error(b"\x28\xb5\x2f\xfd\x04\x00"), @"the file has an unsupported compression. Unpack it first, or use gzip.");
    insta::assert_snapshot!(error(b"\x7fELF\x02\x01\x01\0\0\0"), @"the file is not text. Use a CSV or JSON Lines file.");
    assert_eq!(read("user_id,product_id,timestamp\rada,a,2011-01-01\rada,b,2011-01-01\r").0.summary.taken, 2);
    insta::assert_snapshot!(error(b"user_id,\"product_id,timestamp\nada,a,2011-01-01\n"), @"the columns' names cannot be read: line 1, column 9: this quote is never closed. Close it, or write a quote that is part of the text twice, in quotes");
}

#[test]
fn a_missing_column_is_named_with_what_the_file_has() {
    insta::assert_snapshot!(error(b"InvoiceNo,StockCode,Description,InvoiceDate,CustomerID,Country\n"), @"columns not found in the file: user_id, product_id, timestamp. Its columns are InvoiceNo, StockCode, Description, InvoiceDate, CustomerID, Country. Say which column is which, for example: --map user_id=CustomerID,product_id=StockCode,timestamp=InvoiceDate,product_name=Description,basket_id=InvoiceNo");
    insta::assert_snapshot!(error(b"17850,85123A,2010-12-01\n"), @"columns not found in the file: user_id, product_id, timestamp. Its columns are 17850, 85123A, 2010-12-01. Say which column is which, for example: --map user_id=NAME,product_id=NAME,timestamp=NAME");
    insta::assert_snapshot!(error(b"user_id,userId,product_id,timestamp\n"), @r#"columns "user_id" and "userId" both mean user_id. Choose one: --map user_id=user_id"#);
    insta::assert_snapshot!(error(b"{\"customer\":\"ada\",\"product_id\":\"a\",\"timestamp\":\"2011-01-01\"}\n"), @"columns not found in the file: user_id. Its columns are customer, product_id, timestamp. Say which column is which, for example: --map user_id=customer");
    let mut mapped = options();
    mapped.mapping = "user_id=CustomerId".parse().unwrap();
    let failed = |text: &str| read_with(text.as_bytes(), &mapped).unwrap_err().to_string();
    insta::assert_snapshot!(failed("CustomerID,StockCode,timestamp\n"), @r#"column "CustomerId", mapped to user_id, not found in the file (did you mean "CustomerID"?). Its columns are CustomerID, StockCode, timestamp"#);
    insta::assert_snapshot!(failed("{\"CustomerID\":\"ada\"}"), @r#"column "CustomerId", mapped to user_id, not found in the file (did you mean "CustomerID"?). Its columns are CustomerID"#);
    mapped.mapping = "categories=x".parse().unwrap();
    let failed = read_with(HEADER.as_bytes(), &mapped).unwrap_err().to_string();
    insta::assert_snapshot!(failed, @"column categories is not valid for this kind of file: expected one of user_id, product_id, timestamp, time_of_day, quantity, price, line_total, currency, product_name, basket_id, recommendation_id");
}

#[test]
fn the_raw_form_of_a_known_data_set_is_read_with_a_mapping() {
    let mut options = options();
    options.mapping =
        "user_id=CustomerID,product_id=StockCode,timestamp=InvoiceDate,basket_id=InvoiceNo,product_name=Description"
            .parse()
            .unwrap();
    options.time_format = "%m/%d/%Y %H:%M".parse().unwrap();
    let text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
                536365,85123A,WHITE HANGING HEART,6,12/1/2010 8:26,2.55,17850,United Kingdom\n";
    let (import, _) = read_with(text.as_bytes(), &options).unwrap();
    insta::assert_json_snapshot!(import.purchases, @r#"
    [
      {
        "purchaseId": "536365",
        "userId": "17850",
        "purchasedAt": "2010-12-01T08:26:00.000Z",
        "lines": [
          {
            "productId": "85123A",
            "quantity": 6,
            "unitPrice": {
              "amount": 255,
              "currency": "GBP"
            }
          }
        ]
      }
    ]
    "#);
    assert_eq!(import.summary.ignored_columns, ["Country"]);
}

#[test]
fn progress_counts_packed_bytes_to_the_end() {
    let lines: String = (0..10_000).map(|i| format!("user{i},p{i},2011-01-01,1,,,b{i}\n")).collect();
    let packed = gzip(&format!("{HEADER}{lines}"));
    let mut calls: Vec<ReadProgress> = Vec::new();
    read_purchases(&mut opens(&packed), &options(), &mut io::sink(), &mut |progress| calls.push(progress))
        .unwrap();
    assert_eq!(calls.len(), 3);
    assert!(calls.is_sorted_by_key(|progress| (progress.lines, progress.bytes_read)));
    assert_eq!(calls[2], ReadProgress { bytes_read: packed.len().try_into().unwrap(), lines: 10_001 });
}
