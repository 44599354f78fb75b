//! Files of products.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod common;

use common::{options, reasons};
use nextbasket_importer::{ImportError, ImportedProducts, merchant_feed_lines, read_products};

fn read(text: &str) -> Result<(ImportedProducts, String), ImportError> {
    let mut refused = Vec::new();
    let catalogue =
        read_products(&mut common::opens(text.as_bytes()), &options(), &mut refused, &mut |_| {})?;
    let summary = &catalogue.summary;
    assert_eq!(summary.taken + summary.tally.refused_records(), summary.tally.records);
    Ok((catalogue, String::from_utf8(refused).unwrap()))
}

#[test]
fn a_catalogue_is_read_from_csv() {
    let (catalogue, refused) = read(
        "product_id,name,categories,price,available,weight\n\
         beans,Espresso beans,Coffee|Beans,\"1,012.90\",yes,1kg\n\
         cup,Cup,,0,false,\n\
         milk,Milk,Dairy; Fresh,,,\n",
    )
    .unwrap();
    assert_eq!(refused, "");
    insta::assert_json_snapshot!(catalogue.products, @r#"
    [
      {
        "productId": "beans",
        "name": "Espresso beans",
        "categories": [
          "Coffee",
          "Beans"
        ],
        "price": {
          "amount": 101290,
          "currency": "GBP"
        },
        "available": true,
        "updatedAt": "2012-01-02T00:00:00.000Z"
      },
      {
        "productId": "cup",
        "name": "Cup",
        "categories": [],
        "price": {
          "amount": 0,
          "currency": "GBP"
        },
        "available": false,
        "updatedAt": "2012-01-02T00:00:00.000Z"
      },
      {
        "productId": "milk",
        "name": "Milk",
        "categories": [
          "Dairy",
          "Fresh"
        ],
        "available": true,
        "updatedAt": "2012-01-02T00:00:00.000Z"
      }
    ]
    "#);
    insta::assert_snapshot!(catalogue.summary, @"
    3 records read (CSV)
        columns: product_name=name
               3 taken: 3 products
               0 refused
    columns not used: weight
    ");
}

#[test]
fn a_catalogue_is_read_from_json_lines() {
    let (catalogue, refused) = read(
        "{\"productId\":\"beans\",\"name\":\"Beans\",\"categories\":[\"Coffee\"],\"price\":{\"amount\":1290,\"currency\":\"EUR\"},\"available\":false,\"attributes\":{\"roast\":\"dark\"}}\n\
         {\"productId\":\"milk\",\"name\":\"Milk\"}\n",
    )
    .unwrap();
    assert_eq!(refused, "");
    insta::assert_json_snapshot!(catalogue.products, @r#"
    [
      {
        "productId": "beans",
        "name": "Beans",
        "categories": [
          "Coffee"
        ],
        "price": {
          "amount": 1290,
          "currency": "EUR"
        },
        "available": false,
        "attributes": {
          "roast": "dark"
        },
        "updatedAt": "2012-01-02T00:00:00.000Z"
      },
      {
        "productId": "milk",
        "name": "Milk",
        "categories": [],
        "available": true,
        "updatedAt": "2012-01-02T00:00:00.000Z"
      }
    ]
    "#);
}

#[test]
fn of_two_records_of_a_product_the_later_counts() {
    let (catalogue, _) = read("product_id,name\nbeans,Old\nbeans,New\n").unwrap();
    assert_eq!((catalogue.products.len(), catalogue.products[0].name.as_str()), (1, "New"));
    assert_eq!((catalogue.summary.taken, catalogue.summary.tally.merged), (2, 1));
}

#[test]
fn products_beyond_the_limits_are_refused_by_name() {
    let long = "x".repeat(1_025);
    let many = (0..11).map(|i| i.to_string()).collect::<Vec<_>>().join("|");
    let (catalogue, refused) = read(&format!(
        "product_id,product_name,category,price,available\n\
         ,Beans,,,\n\
         a,,,,\n\
         b,{long},,,\n\
         c,C,x|x,,\n\
         d,D,{many},,\n\
         e,E,,-1,\n\
         f,F,,on request,\n\
         g,G,,,perhaps\n"
    ))
    .unwrap();
    assert!(catalogue.products.is_empty());
    assert_eq!(
        reasons(&refused),
        [
            "2 missing_product product_id",
            "3 missing_name product_name",
            "4 bad_name product_name",
            "5 bad_categories category",
            "6 bad_categories category",
            "7 bad_price price",
            "8 bad_price price",
            "9 bad_available available",
        ]
    );
    let (_, refused) = read(
        "{\"productId\":\"a\",\"name\":\"A\",\"attributes\":{\"a\":1}}\n\
         {\"productId\":\"a\",\"name\":\"A\",\"attributes\":{\"\":\"\"}}\n\
         {\"productId\":\"a\",\"name\":\"A\",\"categories\":[1]}\n\
         {\"productId\":\"a\",\"name\":\"A\",\"available\":[]}\n",
    )
    .unwrap();
    assert_eq!(
        reasons(&refused),
        [
            "1 wrong_type attributes",
            "2 bad_attributes attributes",
            "3 wrong_type categories",
            "4 wrong_type available"
        ]
    );
}

#[test]
fn a_file_of_purchases_is_no_catalogue() {
    insta::assert_snapshot!(read("user_id,sku,timestamp\n").unwrap_err(), @"columns not found in the file: product_id, product_name. Its columns are user_id, sku, timestamp. Say which column is which, for example: --map product_id=sku,product_name=NAME");
}

#[test]
fn an_xml_feed_is_a_catalogue_whose_columns_are_its_elements() {
    let feed = "<?xml version=\"1.0\"?><rss xmlns:g=\"http://base.google.com/ns/1.0\"><channel>
        <title>Shop</title>
        <item><g:id>beans</g:id><g:title>Beans &amp; more</g:title><g:availability>in_stock</g:availability>
            <g:product_type>Coffee &gt; Beans</g:product_type><g:price>12.90</g:price>
            <g:shipping><g:price>4.90</g:price></g:shipping></item>
        <item><g:id>cup</g:id><title>Cup</title><g:availability>out of stock</g:availability></item>
        <item><title>No id</title></item>
        </channel></rss>";
    let mut options = options();
    options.mapping =
        "product_id=id,product_name=title,categories=product_type,available=availability".parse().unwrap();
    let mut refused = Vec::new();
    let mut lines = || Ok(Box::new(merchant_feed_lines(feed.as_bytes())) as Box<dyn std::io::Read + Send>);
    let catalogue = read_products(&mut lines, &options, &mut refused, &mut |_| {}).unwrap();
    let shown: Vec<_> = catalogue
        .products
        .iter()
        .map(|product| {
            let categories: Vec<_> = product.categories.iter().map(|category| category.as_str()).collect();
            let price = product.price.map(|price| price.amount());
            format!(
                "{} {} {categories:?} {price:?} {}",
                product.product_id.as_str(),
                product.name,
                product.available
            )
        })
        .collect();
    assert_eq!(shown, [r#"beans Beans & more ["Coffee", "Beans"] Some(1290) true"#, "cup Cup [] None false"]);
    assert_eq!(reasons(&String::from_utf8(refused).unwrap()), ["3 missing_product id"]);
}

#[test]
fn a_feed_that_breaks_off_gives_the_products_before_the_break() {
    let feed = "<rss><item><id>a</id><title>A</title></item><item><id>b</id><title>B</tit";
    let mut options = options();
    options.mapping = "product_id=id,product_name=title".parse().unwrap();
    let mut lines = || Ok(Box::new(merchant_feed_lines(feed.as_bytes())) as Box<dyn std::io::Read + Send>);
    let catalogue = read_products(&mut lines, &options, &mut Vec::new(), &mut |_| {}).unwrap();
    assert_eq!(catalogue.products.len(), 1);
    assert!(catalogue.summary.ended_early.unwrap().starts_with("the feed"));
}
