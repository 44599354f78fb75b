//! The least that a parallel scan can be: counts a table's items and does nothing else.
//!
//!     bare_scan ENDPOINT TABLE SEGMENTS
//!
//! The endpoint's access key comes from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. Jobs over tables are
//! compared with this program: see `local/benches/tables.py`.

#![allow(clippy::expect_used, reason = "a measurement that cannot go on ends there")]

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::Select;
use nextbasket_machine::AccessKey;
use nextbasket_machine::dynamodb::sdk_config;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("usage: bare_scan ENDPOINT TABLE SEGMENTS");
    let (endpoint, table, segments) = (next(), next(), next());
    let segments: i32 = segments.parse().expect("a number of segments");
    let variable = |name| std::env::var(name).expect("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    let key = AccessKey::new(variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let client = Client::new(&sdk_config(&endpoint, &key));
    let counts =
        (0..segments).map(|segment| tokio::spawn(count(client.clone(), table.clone(), segment, segments)));
    let counts = futures::future::try_join_all(counts).await.expect("a segment's count");
    println!("{}", counts.iter().sum::<i64>());
}

async fn count(client: Client, table: String, segment: i32, segments: i32) -> i64 {
    let (mut count, mut start) = (0, None);
    loop {
        let scan = client.scan().table_name(&table).select(Select::Count);
        let scan = scan.segment(segment).total_segments(segments).set_exclusive_start_key(start);
        let page = scan.send().await.expect("a page");
        count += i64::from(page.count());
        start = page.last_evaluated_key;
        if start.is_none() {
            return count;
        }
    }
}
