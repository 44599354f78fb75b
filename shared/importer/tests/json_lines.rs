//! JSON Lines: whole purchases as the API takes them, and flat lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use common::{options, read, read_with, reasons};
use nextbasket_importer::Pattern;

const WHOLE: &str = r#"{"purchaseId":"p1","userId":"ada","purchasedAt":"2011-01-01T10:00:00Z","lines":[{"productId":"beans","quantity":2,"unitPrice":{"amount":990,"currency":"EUR"}},{"productId":"milk","quantity":1}],"recommendationId":"r1"}"#;

#[test]
fn a_line_may_be_a_purchase_as_the_api_takes_it() {
    let (import, refused) = read(WHOLE);
    assert_eq!(refused, "");
    assert_eq!(serde_json::to_string(&import.purchases[0]).unwrap().len(), WHOLE.len() + ".000".len());
    insta::assert_json_snapshot!(import.purchases, @r#"
    [
      {
        "purchaseId": "p1",
        "userId": "ada",
        "purchasedAt": "2011-01-01T10:00:00.000Z",
        "lines": [
          {
            "productId": "beans",
            "quantity": 2,
            "unitPrice": {
              "amount": 990,
              "currency": "EUR"
            }
          },
          {
            "productId": "milk",
            "quantity": 1
          }
        ],
        "recommendationId": "r1"
      }
    ]
    "#);
}

#[test]
fn a_line_may_be_a_flat_record() {
    let (import, refused) = read(
        "{\"user_id\":17850,\"product_id\":\"a\",\"timestamp\":\"2011-01-01\",\"quantity\":6,\"price\":2.55,\"basket_id\":536365}\n\
         {\"userId\":\"17850\",\"productId\":\"b\",\"purchasedAt\":\"2011-01-01\",\"price\":\"2,55\",\"purchaseId\":\"536365\",\"vip\":true}\n",
    );
    assert_eq!(refused, "");
    insta::assert_json_snapshot!(import.purchases, @r#"
    [
      {
        "purchaseId": "536365",
        "userId": "17850",
        "purchasedAt": "2011-01-01T00:00:00.000Z",
        "lines": [
          {
            "productId": "a",
            "quantity": 6,
            "unitPrice": {
              "amount": 255,
              "currency": "GBP"
            }
          },
          {
            "productId": "b",
            "quantity": 1,
            "unitPrice": {
              "amount": 255,
              "currency": "GBP"
            }
          }
        ]
      }
    ]
    "#);
    assert_eq!(import.summary.ignored_columns, ["vip"]);
}

#[test]
fn the_same_purchase_again_is_refused_and_so_is_another_of_its_id() {
    let other = WHOLE.replace("\"quantity\":2", "\"quantity\":3");
    let flat = r#"{"userId":"ada","productId":"tea","purchasedAt":"2011-01-01","purchaseId":"p1"}"#;
    let (import, refused) = read(&format!("{WHOLE}\n{WHOLE}\n{other}\n{flat}\n"));
    assert_eq!(import.purchases.len(), 1);
    assert_eq!(
        reasons(&refused),
        ["2 repeated_purchase -", "3 conflicting_purchase purchaseId", "4 conflicting_purchase purchaseId"]
    );
}

#[test]
fn one_wrong_line_refuses_the_whole_purchase_and_is_named() {
    for (from, to, reason) in [
        ("\"quantity\":1", "\"quantity\":0", "1 bad_quantity lines[1].quantity"),
        ("\"quantity\":1", "\"quantity\":-1", "1 cancellation lines[1].quantity"),
        ("\"quantity\":1", "\"quantity\":[1]", "1 wrong_type lines[1].quantity"),
        ("\"milk\"", "\"\"", "1 missing_product lines[1].productId"),
        ("\"milk\"", "{}", "1 wrong_type lines[1].productId"),
        ("990", "-990", "1 negative_price lines[0].unitPrice"),
        ("2011-01-01T10:00:00Z", "soon", "1 bad_time purchasedAt"),
        ("\"ada\"", "null", "1 missing_user userId"),
        ("\"r1\"", "\"\\u0001\"", "1 bad_recommendation recommendationId"),
        ("{\"productId\":\"milk\",\"quantity\":1}", "7", "1 wrong_type lines[1].productId"),
    ] {
        let (import, refused) = read(&WHOLE.replacen(from, to, 1));
        assert_eq!((import.purchases.len(), reasons(&refused)), (0, vec![reason.to_owned()]), "{from} {to}");
    }
    let without = r#"{"purchaseId":"p1","userId":"ada","purchasedAt":"2011-01-01","lines":[]}"#;
    let milk = r#"{"userId":"ada","productId":"milk","purchasedAt":"2011-01-01"}"#;
    assert_eq!(reasons(&read(&format!("{milk}\n{without}")).1), ["2 no_lines -"]);
}

#[test]
fn products_to_skip_are_left_out_of_a_whole_purchase() {
    let mut options = options();
    options.skip_products = Pattern::list("milk");
    let (import, _) = read_with(WHOLE.as_bytes(), &options).unwrap();
    assert_eq!((import.purchases[0].lines.len(), import.summary.tally.skipped_lines), (1, 1));
    options.skip_products = Pattern::list("*");
    let (import, refused) = read_with(WHOLE.as_bytes(), &options).unwrap();
    assert_eq!(import.purchases.len(), 0);
    assert_eq!(reasons(&refused), ["1 skipped_product productId"]);
}

#[test]
fn lines_that_are_no_objects_are_refused() {
    let (import, refused) =
        read(&format!("{WHOLE}\n{{\"user_id\":\n[1]\n7\nada,beans\n{{}} {{}}\n{WHOLE} x\n"));
    assert_eq!(import.summary.taken, 1);
    assert!(reasons(&refused).iter().all(|reason| reason.ends_with("bad_json -")), "{refused}");
    insta::assert_snapshot!(refused.lines().next().unwrap(), @r#"{"line":2,"reason":"bad_json","message":"the line is not valid JSON: EOF while parsing a value at line 2 column 0","record":"{\"user_id\":"}"#);
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{WHOLE}\n{{\"a\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(reasons(&read(&deep).1), ["2 bad_json -"]);
}
