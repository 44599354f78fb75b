//! What lines of a file come to as purchases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use common::{HEADER, options, read, read_lines, read_with, reasons};
use nextbasket_domain::Purchase;
use nextbasket_importer::{Pattern, TimeFormat};

fn shown(purchases: &[Purchase]) -> Vec<String> {
    let line = |line: &nextbasket_domain::Line| {
        let price = line.unit_price.map(|price| format!("@{}{:?}", price.amount(), price.currency()));
        format!("{}x{}{}", line.quantity, line.product_id, price.unwrap_or_default())
    };
    let purchase = |p: &Purchase| {
        let lines: Vec<_> = p.lines.iter().map(line).collect();
        format!("{} {} {} {}", p.purchased_at, p.user_id, p.purchase_id, lines.join(" "))
    };
    purchases.iter().map(purchase).collect()
}

#[test]
fn lines_of_one_basket_are_one_purchase_wherever_they_stand() {
    let (import, refused) = read_lines(
        "ada,beans,2011-01-01T10:05:00,1,9.90,Beans,b1\n\
         bob,milk,2011-01-01T09:00:00,2,1.20,Milk,b2\n\
         ada,filters,2011-01-01T10:04:00,1,3.5,Filters,b1\n\
         bob,milk,2011-01-01T11:00:00,1,1.20,Milk,b1\n",
    );
    assert_eq!(refused, "");
    assert_eq!(
        shown(&import.purchases),
        [
            "2011-01-01T09:00:00.000Z bob b2 2xmilk@120GBP",
            "2011-01-01T10:04:00.000Z ada b1 1xbeans@990GBP 1xfilters@350GBP",
            "2011-01-01T11:00:00.000Z bob b1 1xmilk@120GBP",
        ]
    );
}

#[test]
fn the_same_product_at_the_same_price_is_one_line() {
    let (import, _) = read_lines(
        "ada,beans,2011-01-01,1,9.90,,b1\n\
         ada,beans,2011-01-01,2,9.9,,b1\n\
         ada,beans,2011-01-01,1,8.90,,b1\n\
         ada,beans,2011-01-01,1,,,b1\n",
    );
    assert_eq!(
        shown(&import.purchases),
        ["2011-01-01T00:00:00.000Z ada b1 3xbeans@990GBP 1xbeans@890GBP 1xbeans"]
    );
    assert_eq!((import.summary.taken, import.summary.tally.merged), (4, 1));
}

#[test]
fn without_a_basket_a_time_is_one_purchase() {
    let (import, _) = read(
        "user_id,product_id,timestamp\n\
         ada,beans,2011-01-01\nada,milk,2011-01-01 00:00\nada,milk,2011-01-02\nbob,milk,2011-01-01\n",
    );
    assert_eq!(
        shown(&import.purchases),
        [
            "2011-01-01T00:00:00.000Z ada 2011-01-01T00:00:00.000Z 1xbeans 1xmilk",
            "2011-01-01T00:00:00.000Z bob 2011-01-01T00:00:00.000Z 1xmilk",
            "2011-01-02T00:00:00.000Z ada 2011-01-02T00:00:00.000Z 1xmilk",
        ]
    );
}

#[test]
fn the_order_of_lines_does_not_change_which_purchases_there_are() {
    let lines = ["ada,a,2011-01-02,1,,,b1\n", "bob,b,2011-01-01,1,,,b2\n", "cy,c,2011-01-01,1,,,b3\n"];
    let forth = read_lines(&lines.concat()).0;
    let back = read_lines(&lines.iter().rev().copied().collect::<String>()).0;
    assert_eq!(forth.purchases, back.purchases);
    assert_eq!(forth.products, back.products);
}

#[test]
fn every_refused_line_says_where_why_and_what() {
    let long = "x".repeat(257);
    let (import, refused) = read_lines(&format!(
        "ada,beans,2011-01-01,1,9.90,Beans,b1\n\
         ,beans,2011-01-01,1,9.90,Beans,b2\n\
         NULL,beans,2011-01-01,1,9.90,Beans,b2\n\
         ada,,2011-01-01,1,9.90,Beans,b3\n\
         ada,beans,some day,1,9.90,Beans,b4\n\
         ada,beans,,1,9.90,Beans,b4\n\
         ada,beans,1969-12-31,1,9.90,Beans,b4\n\
         ada,beans,2012-01-04,1,9.90,Beans,b4\n\
         ada,beans,2011-01-01,-1,9.90,Beans,C5\n\
         ada,beans,2011-01-01,0,9.90,Beans,b6\n\
         ada,beans,2011-01-01,six,9.90,Beans,b6\n\
         ada,beans,2011-01-01,1,-9.90,Beans,b7\n\
         {long},beans,2011-01-01,1,9.90,Beans,b8\n\
         ada,be\u{1}ans,2011-01-01,1,9.90,Beans,b8\n\
         ada,beans,2011-01-01,1,9.90,Beans,{long}\n\
         ada,beans,2011-01-01,1,9.90,Beans\n"
    ));
    assert_eq!(import.summary.taken, 1);
    assert_eq!(
        reasons(&refused),
        [
            "3 missing_user user_id",
            "4 missing_user user_id",
            "5 missing_product product_id",
            "6 bad_time timestamp",
            "7 missing_time timestamp",
            "8 bad_time timestamp",
            "9 future_time timestamp",
            "10 cancellation quantity",
            "11 bad_quantity quantity",
            "12 bad_quantity quantity",
            "13 negative_price price",
            "14 bad_user user_id",
            "15 bad_product product_id",
            "16 bad_basket basket_id",
            "17 wrong_field_count -",
        ]
    );
    let line = |number: usize| refused.lines().nth(number - 3).unwrap();
    insta::assert_snapshot!(line(3), @r#"{"line":3,"reason":"missing_user","field":"user_id","message":"the user is missing","record":",beans,2011-01-01,1,9.90,Beans,b2"}"#);
    insta::assert_snapshot!(line(6), @r#"{"line":6,"reason":"bad_time","field":"timestamp","message":"timestamp must be a time from 1970 on, such as 2026-05-17T09:30:00Z","record":"ada,beans,some day,1,9.90,Beans,b4"}"#);
    insta::assert_snapshot!(line(8), @r#"{"line":8,"reason":"bad_time","field":"timestamp","message":"timestamp must be from 1970 on","record":"ada,beans,1969-12-31,1,9.90,Beans,b4"}"#);
    insta::assert_snapshot!(line(10), @r#"{"line":10,"reason":"cancellation","field":"quantity","message":"a negative quantity is a cancellation or a return, not a purchase","record":"ada,beans,2011-01-01,-1,9.90,Beans,C5"}"#);
    insta::assert_snapshot!(line(15), @r#"{"line":15,"reason":"bad_product","field":"product_id","message":"product_id must not hold control characters","record":"ada,be\u0001ans,2011-01-01,1,9.90,Beans,b8"}"#);
    insta::assert_snapshot!(line(17), @r#"{"line":17,"reason":"wrong_field_count","message":"the line has 6 fields, the first line of the file has 7","record":"ada,beans,2011-01-01,1,9.90,Beans"}"#);
}

#[test]
fn users_and_baskets_whom_no_path_of_the_api_carries_are_refused() {
    let (import, refused) = read_lines(
        "ada/old,beans,2011-01-01,1,9.90,Beans,b1\n\
         ada?,beans,2011-01-01,1,9.90,Beans,b1\n\
         ..,beans,2011-01-01,1,9.90,Beans,b1\n\
         ada,beans,2011-01-01,1,9.90,Beans,2011/17\n\
         ada,beans,2011-01-01,1,9.90,Beans,b%2F1\n\
         ada,beans,2011-01-01,1,9.90,Beans,b#1\n\
         ada,be/ans?,2011-01-01,1,9.90,Beans,b%1\n",
    );
    assert_eq!(
        shown(&import.purchases),
        ["2011-01-01T00:00:00.000Z ada b%1 1xbe/ans?@990GBP"],
        "products may have any id"
    );
    assert_eq!(
        reasons(&refused),
        [
            "2 bad_user user_id",
            "3 bad_user user_id",
            "4 bad_user user_id",
            "5 bad_basket basket_id",
            "6 bad_basket basket_id",
            "7 bad_basket basket_id",
        ]
    );
    assert!(refused.contains("user_id must not be . or .., and must not hold any of / ? #"), "{refused}");
}

#[test]
fn a_strange_price_does_not_cost_the_purchase() {
    let (import, refused) = read_lines(
        "ada,a,2011-01-01,1,\"11,062.06\",,b1\n\
         ada,b,2011-01-01,1,38970.00,,b1\n\
         ada,c,2011-01-01,1,0.0,,b1\n\
         ada,d,2011-01-01,1,1.005,,b1\n\
         ada,e,2011-01-01,1,on request,,b1\n\
         ada,f,2011-01-01,1,,,b1\n\
         ada,g,2011-01-01,1,NaN,,b1\n",
    );
    assert_eq!(refused, "");
    assert_eq!(
        shown(&import.purchases),
        ["2011-01-01T00:00:00.000Z ada b1 1xa@1106206GBP 1xb@3897000GBP 1xc 1xd@101GBP 1xe 1xf 1xg"]
    );
    let prices = import.summary.tally.prices;
    assert_eq!((prices.zero, prices.rounded, prices.unreadable), (1, 1, 1));
}

#[test]
fn a_line_may_name_its_currency() {
    let (import, _) = read(
        "user_id,product_id,timestamp,price,currency\n\
         ada,a,2011-01-01,5,JPY\nada,b,2011-01-01,5,eur\nada,c,2011-01-01,5,\nada,d,2011-01-01,5,euro\n",
    );
    assert_eq!(
        shown(&import.purchases),
        ["2011-01-01T00:00:00.000Z ada 2011-01-01T00:00:00.000Z 1xa@5JPY 1xb@500EUR 1xc@500GBP 1xd"]
    );
}

#[test]
fn a_purchase_takes_a_thousand_lines() {
    let lines: String = (0..1_002).map(|i| format!("ada,p{i},2011-01-01,1,,,b1\n")).collect();
    let (import, refused) = read_lines(&lines);
    assert_eq!(import.purchases[0].lines.len(), 1_000);
    assert_eq!(reasons(&refused), ["1002 purchase_full -", "1003 purchase_full -"]);
}

#[test]
fn quantities_that_are_too_many_together_are_refused() {
    let (import, refused) = read_lines("ada,a,2011-01-01,1000000,,,b1\nada,a,2011-01-01,1,,,b1\n");
    assert_eq!(import.purchases[0].lines[0].quantity, 1_000_000);
    assert_eq!(reasons(&refused), ["3 bad_quantity quantity"]);
}

#[test]
fn products_are_found_with_their_newest_name_and_price() {
    let (import, _) = read_lines(
        "ada,a,2011-01-03,1,3,New,b3\n\
         ada,a,2011-01-01,1,1,Old,b1\n\
         ada,a,2011-01-04,1,0,,b4\n\
         bob,b,2011-01-01,1,,,b5\n\
         bob,\"c\",2011-01-01,1,,\"Two\nlines\",b5\n\
         ,d,2011-01-01,1,,Nobody's,b6\n",
    );
    let products: Vec<_> = import
        .products
        .iter()
        .map(|p| format!("{} {} {:?} {}", p.product_id, p.name, p.price.map(|p| p.amount()), p.updated_at))
        .collect();
    assert_eq!(
        products,
        [
            "a New Some(300) 2011-01-04T00:00:00.000Z",
            "b b None 2011-01-01T00:00:00.000Z",
            "c Two lines None 2011-01-01T00:00:00.000Z",
        ]
    );
    assert_eq!(import.summary.tally.unnamed_products, 1);
}

#[test]
fn codes_without_a_digit_are_taken_and_named_unless_they_are_skipped() {
    let products: String = (0..20).map(|i| format!("ada,8512{i}A,2011-01-01,1,,,b{i}\n")).collect();
    let services =
        "ada,POST,2011-01-01,1,,,b1\nbob,POST,2011-01-01,1,,,b1\nada,BANK CHARGES,2011-01-01,1,,,b2\n";
    let text = format!("{HEADER}{products}{services}");
    let (import, _) = read(&text);
    assert_eq!(import.summary.taken, 23);
    let named: Vec<_> = import
        .summary
        .service_like
        .iter()
        .map(|code| format!("{} {}", code.product_id, code.lines))
        .collect();
    assert_eq!(named, ["POST 2", "BANK CHARGES 1"]);

    let mut options = options();
    options.skip_products = Pattern::list("POST,BANK*");
    let (import, refused) = read_with(text.as_bytes(), &options).unwrap();
    assert_eq!(import.summary.taken, 20);
    assert_eq!(
        reasons(&refused),
        ["22 skipped_product product_id", "23 skipped_product product_id", "24 skipped_product product_id"]
    );
    assert!(import.summary.service_like.is_empty());
}

#[test]
fn a_shop_with_words_for_codes_sells_no_services() {
    let (import, _) = read_lines("ada,beans,2011-01-01,1,,,b1\nada,milk,2011-01-01,1,,,b1\n");
    assert!(import.summary.service_like.is_empty());
}

#[test]
fn times_are_read_as_the_shop_writes_them() {
    let text = "user_id,product_id,timestamp\nada,a,1/12/2010 8:26\n";
    let mut options = options();
    options.time_format = "%d/%m/%Y %H:%M".parse::<TimeFormat>().unwrap();
    let (import, _) = read_with(text.as_bytes(), &options).unwrap();
    assert_eq!(import.purchases[0].purchased_at.to_string(), "2010-12-01T08:26:00.000Z");
    let failed = read_with(text.as_bytes(), &common::options()).unwrap_err().to_string();
    insta::assert_snapshot!(failed, @r#"column "timestamp": "1/12/2010 8:26" in line 2 may begin with the day or the month, and no date of the file shows which. Say it: --date-order day-first or --date-order month-first"#);
}

#[test]
fn the_summary_reads_as_a_sentence() {
    let (import, _) = read(
        "user_id,product_id,timestamp,quantity,price,product_name,basket_id,country\n\
         ada,a1,2011-01-01,1,1.00,A,b1,UK\n\
         ada,a1,2011-01-01,1,1.00,A,b1,UK\n\
         ada,a2,2011-02-01,1,0,B,b2,UK\n\
         bob,a3,2011-02-01,1,x,,b2,UK\n\
         bob,a3,2011-02-01,-1,1.001,,C2,UK\n\
         ,a3,2011-02-01,-1,1.001,,C2,UK\n\
         ,a3,2011-02-01,-1,1.001,,C2,UK\n",
    );
    insta::assert_snapshot!(import.summary, @"
    7 records read (CSV)
        times without a zone: UTC, assumed (--timezone ZONE says which)
               4 taken: 3 purchases of 2 users, 3 products, 2011-01-01 to 2011-02-01
                 in 3 lines, revenue: 2.00 GBP
               3 refused
                       2 missing_user, first in line 7
                       1 cancellation, first in line 6
               1 added to a line with the same product and price
               1 taken without a price: it is zero
               1 taken without a price: it is not a number
               1 not named in the file: the product's id is used as its name
    columns not used: country
    the first purchases:
        2011-01-01T00:00:00.000Z, user ada, purchase b1
            2 × a1 \"A\", 1.00 GBP each
        2011-02-01T00:00:00.000Z, user ada, purchase b2
            1 × a2 \"B\", no price
        2011-02-01T00:00:00.000Z, user bob, purchase b2
            1 × a3, no price
    ");
    insta::assert_json_snapshot!(import.summary, @r#"
    {
      "kind": "purchases",
      "form": {
        "source": {
          "container": "plain",
          "encoding": "UTF-8"
        },
        "dialect": {
          "delimiter": ",",
          "quoting": "doubled",
          "lineEnd": "feed",
          "skippedLines": 0,
          "columns": 8,
          "trailing": 0
        }
      },
      "taken": 4,
      "lines": 8,
      "records": 7,
      "refused": {
        "missing_user": 2,
        "cancellation": 1
      },
      "firstRefused": {
        "missing_user": 7,
        "cancellation": 6
      },
      "purchases": 3,
      "purchaseLines": 3,
      "revenue": {
        "GBP": 200
      },
      "users": 2,
      "repeatUsers": 1,
      "samples": [
        {
          "purchasedAt": "2011-01-01T00:00:00.000Z",
          "userId": "ada",
          "purchaseId": "b1",
          "lines": [
            {
              "productId": "a1",
              "name": "A",
              "quantity": 2,
              "unitPrice": {
                "amount": 100,
                "currency": "GBP"
              }
            }
          ],
          "moreLines": 0
        },
        {
          "purchasedAt": "2011-02-01T00:00:00.000Z",
          "userId": "ada",
          "purchaseId": "b2",
          "lines": [
            {
              "productId": "a2",
              "name": "B",
              "quantity": 1
            }
          ],
          "moreLines": 0
        },
        {
          "purchasedAt": "2011-02-01T00:00:00.000Z",
          "userId": "bob",
          "purchaseId": "b2",
          "lines": [
            {
              "productId": "a3",
              "quantity": 1
            }
          ],
          "moreLines": 0
        }
      ],
      "products": 3,
      "period": [
        "2011-01-01T00:00:00.000Z",
        "2011-02-01T00:00:00.000Z"
      ],
      "merged": 1,
      "skippedLines": 0,
      "weighed": 0,
      "prices": {
        "zero": 1,
        "unreadable": 1,
        "rounded": 0
      },
      "unnamedProducts": 1,
      "ignoredColumns": [
        "country"
      ],
      "serviceLike": [],
      "warnings": [],
      "endedEarly": null,
      "notes": [
        "times without a zone: UTC, assumed (--timezone ZONE says which)"
      ]
    }
    "#);
}
