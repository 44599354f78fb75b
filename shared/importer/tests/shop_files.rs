//! Files as shops really have them: each is read right or refused, and says what was assumed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use common::{options, read, read_with, reasons};
use nextbasket_importer::{
    DateOrder, DecimalSign, ImportOptions, ImportedPurchases, ProfileChoice, TextEncoding, parse_timezone,
};

/// Each purchase as `user basket time: quantity x product @ price`.
fn shown(import: &ImportedPurchases) -> Vec<String> {
    let line = |line: &nextbasket_domain::Line| {
        let price =
            line.unit_price.map(|price| format!(" @ {} {}", price.amount(), price.currency().as_str()));
        format!("{} x {}{}", line.quantity, line.product_id.as_str(), price.unwrap_or_default())
    };
    let purchase = |purchase: &nextbasket_domain::Purchase| {
        let lines: Vec<String> = purchase.lines.iter().map(line).collect();
        let (user, basket) = (purchase.user_id.as_str(), purchase.purchase_id.as_str());
        let time = purchase.purchased_at.to_string();
        format!("{user} {basket} {}: {}", time.trim_end_matches(":00.000Z"), lines.join(", "))
    };
    import.purchases.iter().map(purchase).collect()
}

/// The purchases, the refusals and the notes.
type ReadFile = (Vec<String>, Vec<String>, Vec<String>);

fn with(text: &str, change: impl FnOnce(&mut ImportOptions)) -> Result<ReadFile, String> {
    let mut options = options();
    change(&mut options);
    let (import, refused) = read_with(text.as_bytes(), &options).map_err(|error| error.to_string())?;
    Ok((shown(&import), reasons(&refused), import.summary.notes))
}

fn plain(text: &str) -> Vec<String> {
    let (purchases, refused, _) = with(text, |_| {}).unwrap();
    assert_eq!(refused, [""; 0], "{text}");
    purchases
}

#[test]
fn views_and_carts_are_no_purchases() {
    let text = "user_id,product_id,timestamp,action,basket_id\n\
                ada,a,2011-01-01,view,1\nada,a,2011-01-01,add_to_cart,1\nada,a,2011-01-01,Purchase,1\n";
    let (purchases, refused, notes) = with(text, |_| {}).unwrap();
    assert_eq!(purchases, ["ada 1 2011-01-01T00:00: 1 x a"]);
    assert_eq!(refused, ["2 skipped_row action", "3 skipped_row action"]);
    assert!(notes[0].starts_with("rows kept: \"action\" is purchase"), "{notes:?}");
    let (all, ..) = with(text, |options| options.profile = ProfileChoice::None).unwrap();
    assert_eq!(all, ["ada 1 2011-01-01T00:00: 3 x a"]);
    let (carts, ..) =
        with(text, |options| options.only = vec![("Action".into(), "add_to_cart".into())]).unwrap();
    assert_eq!(carts.len(), 1);
}

#[test]
fn cancelled_and_refunded_orders_are_no_purchases_and_other_states_are_shown() {
    let text = "user_id,product_id,timestamp,Order Status,Refund Note,basket_id\n\
                ada,a,2011-01-01,Completed,,1\nada,a,2011-01-02,Cancelled,,2\nada,a,2011-01-03,refunded,,3\n\
                ada,a,2011-01-04,Storniert,,4\nada,a,2011-01-05,processing,,5\n";
    let (purchases, refused, notes) = with(text, |_| {}).unwrap();
    assert_eq!(purchases.len(), 2);
    assert_eq!(refused.len(), 3);
    assert!(
        notes.iter().any(|note| note.starts_with("not used") && note.contains("Refund Note")),
        "{notes:?}"
    );
    let (kept, ..) =
        with(text, |options| options.skip = vec![("Order Status".into(), "processing".into())]).unwrap();
    assert_eq!(kept.len(), 4, "a person's rule replaces what was recognised");
    let failed = with(text, |options| options.only = vec![("state".into(), "x".into())]).unwrap_err();
    assert!(failed.starts_with("--only: column \"state\" not found in the file"), "{failed}");
}

#[test]
fn the_signs_of_numbers_are_those_of_the_file() {
    let text = "user_id;product_id;timestamp;quantity;price;basket_id\n\
                ada;a;2011-01-01;1.000;1.000;1\nada;b;2011-01-01;2,0;1,234;1\nada;c;2011-01-01;3;0,50;1\n";
    assert_eq!(
        plain(text),
        ["ada 1 2011-01-01T00:00: 1000 x a @ 100000 GBP, 2 x b @ 123 GBP, 3 x c @ 50 GBP"]
    );
    let ambiguous =
        "user_id;product_id;timestamp;Price;basket_id\nada;a;2011-01-01;7;1\nada;a;2011-01-01;1.250;1\n";
    insta::assert_snapshot!(with(ambiguous, |_| {}).unwrap_err(), @r#"column "Price": "1.250" in line 3 may have a decimal sign or separate thousands, and no number of the file shows which sign separates the decimals. Say which: --decimal point or --decimal comma"#);
    let decided = |sign| with(ambiguous, |options| options.decimal = Some(sign)).unwrap().0;
    assert_eq!(decided(DecimalSign::Point), ["ada 1 2011-01-01T00:00: 1 x a @ 700 GBP, 1 x a @ 125 GBP"]);
    assert_eq!(decided(DecimalSign::Comma), ["ada 1 2011-01-01T00:00: 1 x a @ 700 GBP, 1 x a @ 125000 GBP"]);
    let mixed = "user_id;product_id;timestamp;price\nada;a;2011-01-01;1,5\nada;b;2011-01-02;1.5\nada;c;2011-01-03;1.500\n";
    let failed = with(mixed, |_| {}).unwrap_err();
    assert!(
        failed.contains("line 3 has a decimal point (\"1.5\"), line 2 a decimal comma (\"1,5\")"),
        "{failed}"
    );
}

#[test]
fn the_order_of_dates_is_that_of_the_file() {
    let dates = |dates: &[&str]| {
        let lines: String =
            dates.iter().enumerate().map(|(n, date)| format!("ada,a,{date},b{n}\n")).collect();
        format!("user_id,product_id,timestamp,basket_id\n{lines}")
    };
    assert_eq!(
        plain(&dates(&["3/4/2011", "25/12/2010"])),
        ["ada b1 2010-12-25T00:00: 1 x a", "ada b0 2011-04-03T00:00: 1 x a"]
    );
    assert_eq!(
        plain(&dates(&["3/4/2011", "12/25/2010"])),
        ["ada b1 2010-12-25T00:00: 1 x a", "ada b0 2011-03-04T00:00: 1 x a"]
    );
    let failed = with(&dates(&["13/4/2011", "4/13/2011"]), |_| {}).unwrap_err();
    assert!(
        failed
            .contains("\"13/4/2011\" in line 2 begins with the day, \"4/13/2011\" in line 3 with the month"),
        "{failed}"
    );
    let (read, refused, _) =
        with(&dates(&["13/4/2011", "4/13/2011"]), |options| options.date_order = Some(DateOrder::DayFirst))
            .unwrap();
    assert_eq!((read.len(), refused), (1, vec!["3 bad_time timestamp".to_owned()]));
    let wrong = with(&dates(&["1/2/2011", "12/25/2010"]), |options| {
        options.time_format = "%d/%m/%Y".parse().unwrap();
    });
    insta::assert_snapshot!(wrong.unwrap_err(), @r#"column "timestamp": "12/25/2010" in line 3 is not of the form %d/%m/%Y. Did you mean --time-format "%m/%d/%Y"?"#);
}

#[test]
fn times_without_a_zone_are_of_the_zone_that_is_given() {
    let text =
        "user_id,product_id,timestamp,basket_id\nada,a,2011-07-01 12:00,1\nada,a,2011-07-01T12:00Z,2\n";
    let (utc, _, notes) = with(text, |_| {}).unwrap();
    assert_eq!(utc, ["ada 1 2011-07-01T12:00: 1 x a", "ada 2 2011-07-01T12:00: 1 x a"]);
    assert_eq!(notes, ["times without a zone: UTC, assumed (--timezone ZONE says which)"]);
    let (berlin, _, notes) =
        with(text, |options| options.timezone = Some(parse_timezone("europe/berlin").unwrap())).unwrap();
    assert_eq!(berlin, ["ada 1 2011-07-01T10:00: 1 x a", "ada 2 2011-07-01T12:00: 1 x a"]);
    assert_eq!(notes, ["times without a zone: Europe/Berlin"]);
    assert!(parse_timezone("Berlin").unwrap_err().to_string().contains("unknown time zone \"Berlin\""));
}

#[test]
fn an_id_is_one_however_it_is_written_and_a_rounded_one_is_refused() {
    let text = "user_id,product_id,timestamp,basket_id\n\
                13085,a,2011-01-01,1\n13085.0,b,2011-01-01,1.0\n7,4.00638E+12,2011-01-01,2\n7,a,2011-01-01,#2\n";
    let (purchases, refused, _) = with(text, |_| {}).unwrap();
    assert_eq!(purchases, ["13085 1 2011-01-01T00:00: 1 x a, 1 x b", "7 2 2011-01-01T00:00: 1 x a"]);
    assert_eq!(refused, ["4 imprecise_id product_id"]);
    let json = "{\"user_id\": 92800000000000000001, \"product_id\": \" a \", \"timestamp\": \"2011-01-01\", \"basket_id\": 1.0}\n\
                {\"user_id\": 92800000000000000002, \"product_id\": \"a\", \"timestamp\": \"2011-01-01\", \"basket_id\": 1}\n\
                {\"user_id\": 9.28e19, \"product_id\": \"a\", \"timestamp\": \"2011-01-01\", \"basket_id\": 1}\n";
    let (purchases, refused, _) = with(json, |_| {}).unwrap();
    assert_eq!(
        purchases,
        ["92800000000000000001 1 2011-01-01T00:00: 1 x a", "92800000000000000002 1 2011-01-01T00:00: 1 x a"]
    );
    assert_eq!(refused, ["3 imprecise_id user_id"]);
}

#[test]
fn guests_are_visitors_of_their_own() {
    let text = "user_id,product_id,timestamp,basket_id\n\
                0,a,2011-01-01,1\n0,b,2011-01-01,1\nGuest,a,2011-01-02,2\n,a,2011-01-03,3\nada,a,2011-01-04,4\n0,a,2011-01-05,\n";
    let (purchases, refused, _) =
        with(text, |options| options.guests = vec!["0".into(), "guest".into()]).unwrap();
    assert_eq!(
        purchases,
        [
            "guest-1 1 2011-01-01T00:00: 1 x a, 1 x b",
            "guest-2 2 2011-01-02T00:00: 1 x a",
            "ada 4 2011-01-04T00:00: 1 x a"
        ]
    );
    assert_eq!(refused, ["5 missing_user user_id", "7 missing_user basket_id"]);
    let (with_blank, ..) =
        with(text, |options| options.guests = vec!["0".into(), "guest".into(), String::new()]).unwrap();
    assert_eq!(with_blank.len(), 4);
}

#[test]
fn prices_name_currencies_and_line_totals_are_divided() {
    let text = "user_id,product_id,timestamp,quantity,Gross,basket_id\n\
                ada,a,2011-01-01,2,$8.00,1\nada,b,2011-01-01,3,\"12,90 \u{20ac}\",1\nada,c,2011-01-01,1,\"1'234.50\",1\n\
                ada,d,2011-01-01,1,£2.55,1\nada,e,2011-01-01,1,\"($5.00)\",1\n";
    let (purchases, refused, _) =
        with(text, |options| options.mapping = "line_total=Gross".parse().unwrap()).unwrap();
    assert_eq!(
        purchases,
        ["ada 1 2011-01-01T00:00: 2 x a @ 400 USD, 3 x b @ 430 EUR, 1 x c @ 123450 GBP, 1 x d @ 255 GBP"]
    );
    assert_eq!(refused, ["6 negative_price Gross"]);
}

#[test]
fn weighed_goods_are_one_piece_at_the_price_of_the_line() {
    let text = "user_id,product_id,timestamp,quantity,price,basket_id\n\
                ada,apples,2011-01-01,0.532,2.00,1\nada,milk,2011-01-01,2,1.10,1\n";
    let (import, _) = read(text);
    assert_eq!(shown(&import), ["ada 1 2011-01-01T00:00: 1 x apples @ 106 GBP, 2 x milk @ 110 GBP"]);
    assert_eq!(import.summary.tally.weighed, 1);
    assert!(import.summary.to_string().contains("1 with a fraction for a quantity"), "{}", import.summary);
}

#[test]
fn a_table_may_have_a_title_a_declared_delimiter_backslashes_and_names_twice() {
    let header = "user_id;product_id;timestamp;product_name;basket_id";
    let line = "ada;a;2011-01-01;Espresso;1";
    let wanted = ["ada 1 2011-01-01T00:00: 1 x a"];
    assert_eq!(plain(&format!("sep=;\r\n{header}\r\n{line}\r\n")), wanted);
    assert_eq!(plain(&format!("Orders of January\n\n{header}\n{line}\n")), wanted);
    assert_eq!(plain(&format!("\u{feff}{header};;\n{line};;\n")), wanted);
    let twice = "user_id,Price,product_id,timestamp,basket_id,Price\nada,1.50,a,2011-01-01,1,9.99\n";
    assert_eq!(plain(twice), ["ada 1 2011-01-01T00:00: 1 x a @ 150 GBP"]);
    let escaped = "user_id,product_id,timestamp,product_name,basket_id\n\
                   \"ada\",\"a\",\"2011-01-01\",\"Espresso \\\"Nera\\\", 1 kg\",\"1\"\n\
                   \"ada\",\"b\",\"2011-01-01\",\"Plain\",\"1\"\n";
    let (import, refused) = read(escaped);
    assert_eq!((import.products[0].name.as_str(), refused.as_str()), ("Espresso \"Nera\", 1 kg", ""));
}

#[test]
fn an_encoding_that_is_given_is_taken() {
    let bytes = b"user_id,product_id,timestamp,product_name\nada,a,2011-01-01,\xd1\n";
    let mut options = options();
    options.encoding = Some("macintosh".parse().unwrap());
    assert_eq!(read_with(bytes, &options).unwrap().0.products[0].name, "\u{2014}");
    assert!(
        "EBCDIC".parse::<TextEncoding>().unwrap_err().to_string().contains("unknown encoding \"EBCDIC\"")
    );
}

#[test]
fn an_export_of_the_other_kind_is_named() {
    let products = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\nmug,Mug,Title,Default Title,M1,9.90\n";
    let failed = with(products, |_| {}).unwrap_err();
    assert_eq!(failed, "the file looks like Shopify products: import it with --kind products");
}

#[test]
fn blank_cells_take_the_value_of_the_row_above_if_asked_to() {
    let text = "user_id,timestamp,basket_id,product_id\nada,2011-01-01,1,a\n,,,b\nbob,2011-01-02,2,a\n,,,\n";
    let (purchases, refused, _) = with(text, |options| {
        options.fill_down = ["user_id", "timestamp", "basket_id"].map(str::to_owned).to_vec();
    })
    .unwrap();
    assert_eq!(purchases, ["ada 1 2011-01-01T00:00: 1 x a, 1 x b", "bob 2 2011-01-02T00:00: 1 x a"]);
    assert_eq!(refused, ["5 missing_product product_id"]);
}

#[test]
fn a_profile_of_the_shops_own_says_what_its_columns_mean() {
    let profile = "title = \"Till\"\nheader = [\"Kasse\"]\nguests = [\"\"]\ncurrency = \"CHF\"\n\
                   [columns]\nuser_id = [\"Karte\", \"Mail\"]\nproduct_id = \"Artikel\"\nbasket_id = \"Bon\"\nline_total = \"Betrag\"\n\
                   [time]\ncolumns = [\"Tag\", \"Zeit\"]\nzone = \"Europe/Zurich\"\n\
                   [[skip]]\ncolumn = \"Storno\"\nfilled = true\n";
    let text = "Kasse;Bon;Tag;Zeit;Karte;Mail;Artikel;Betrag;Storno\n\
                1;17;24.12.2010;10:15;;ada@example.org;Brot;4,20;\n1;17;24.12.2010;10:15;;ada@example.org;Milch;1,90;ja\n\
                1;18;24.12.2010;10:20;;;Brot;4,20;\n";
    let read = with(text, |options| {
        (options.currency, options.profile) = (None, profile.parse().unwrap());
    });
    let (purchases, refused, notes) = read.unwrap();
    assert_eq!(
        purchases,
        [
            "ada@example.org 17 2010-12-24T09:15: 1 x Brot @ 420 CHF",
            "guest-18 18 2010-12-24T09:20: 1 x Brot @ 420 CHF"
        ]
    );
    assert_eq!(refused, ["3 skipped_row Storno"]);
    assert_eq!(notes[0], "recognised: Till");
    let mut options = options();
    options.profile = profile.parse().unwrap();
    assert_eq!(read_with(text.as_bytes(), &options).unwrap().0.summary.ignored_columns, ["Kasse"]);
    let wrong = |text: &str| text.parse::<ProfileChoice>().unwrap_err().to_string();
    assert!(wrong("shopify").starts_with("unknown export \"shopify\""), "{}", wrong("shopify"));
    assert!(wrong("title = \"x\"\nheader = []\n[columns]\n").contains("name at least one column"));
    assert!(wrong("title = \"x\"\nheaders = []").contains("headers"));
    let json = "{\"user_id\":\"ada\",\"product_id\":\"a\",\"timestamp\":\"2011-01-01\"}\n";
    let failed = with(json, |options| options.fill_down = vec!["user_id".into()]).unwrap_err();
    assert!(failed.contains("is JSON, and its profile or --fill-down is for tables"), "{failed}");
}
