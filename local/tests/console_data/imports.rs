//! Files that come from a browser: uploaded, understood, mended, imported.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::site::Site;

/// Three orders with columns that are not ours, a line without a customer, and one whose date nobody can read.
const ORDERS: &str = "Kunde;Artikel;Wann;Menge;Preis;Bestellung
ada;beans;31.12.2025 10:15;2;4,50;o1
ada;milk;31.12.2025 10:15;1;1,20;o1
bob;beans;02.01.2026 08:00;1;4,50;o2
;beans;03.01.2026 08:00;1;4,50;o3
eve;filter;gestern;1;3,00;o4
eve;filter;05.01.2026 09:30;1;3,00;o5
";

fn upload(site: &Site, name: &str, content: &str) -> String {
    let (status, answer) = site.send("PUT", &format!("/console/api/uploads?name={name}"), content.as_bytes());
    assert_eq!((status, answer["bytes"].as_u64()), (200, Some(content.len() as u64)), "{answer}");
    answer["location"].as_str().unwrap().to_owned()
}

/// The keys of uploads that there are, and the unfinished ones.
async fn uploads(site: &Site) -> (Vec<String>, usize) {
    let bucket = site.bucket("jobs");
    let objects = site.s3.list_objects_v2().bucket(&bucket).prefix("console/").send().await.unwrap();
    let keys = objects.contents().iter().filter_map(|object| object.key()).map(str::to_owned);
    let unfinished =
        site.s3.list_multipart_uploads().bucket(&bucket).prefix("console/").send().await.unwrap();
    (keys.collect(), unfinished.uploads().len())
}

#[tokio::test]
async fn a_file_is_understood_mended_and_imported() {
    let site = Site::start(&[]);
    let location = upload(&site, "Bestellungen.csv", ORDERS);
    assert!(location.starts_with(&format!("s3://{}/console/uploads/", site.bucket("jobs"))), "{location}");
    assert!(location.ends_with("/Bestellungen.csv"), "{location}");

    let parameters = |map: &str, check: bool| json!({ "source": location, "map": map, "check": check, "report": true, "currency": "EUR" });
    // The products are taken for times.
    let wrong =
        "user_id=Kunde,product_id=Wann,timestamp=Artikel,quantity=Menge,price=Preis,basket_id=Bestellung";
    let job = site.run("import", &parameters(wrong, true));
    let id = job["jobId"].as_str().unwrap();
    if job["state"] == "succeeded" {
        let report = site.get(&format!("/console/api/jobs/{id}/import"));
        assert_eq!(report["files"][0]["summary"]["taken"], 0, "{report}");
    } else {
        let (status, code, _) = site.refused("GET", &format!("/console/api/jobs/{id}/import"), &json!({}));
        assert_eq!((status, code.as_str()), (409, "import_not_done"));
        assert!(job["failures"].to_string().contains("Artikel"), "{job}");
    }

    let right =
        "user_id=Kunde,product_id=Artikel,timestamp=Wann,quantity=Menge,price=Preis,basket_id=Bestellung";
    let job = site.run("import", &parameters(right, true));
    let id = job["jobId"].as_str().unwrap();
    let report = site.get(&format!("/console/api/jobs/{id}/import"));
    let file = &report["files"][0];
    assert_eq!((&report["dryRun"], &report["written"]), (&json!(true), &Value::Null));
    assert_eq!(file["file"], "Bestellungen.csv");
    assert_eq!((&file["summary"]["records"], &file["summary"]["taken"]), (&json!(6), &json!(4)), "{file}");
    assert_eq!(file["summary"]["refused"], json!({ "bad_time": 1, "missing_user": 1 }));
    let sample = report["sample"].as_array().unwrap();
    assert_eq!(sample.len(), 3, "{report}");
    assert_eq!((&sample[0]["userId"], &sample[0]["lines"][0]["productId"]), (&json!("ada"), &json!("beans")));
    let mut rejected: Vec<(u64, &str, &str)> =
        report["rejected"].as_array().unwrap().iter().map(told).collect();
    rejected.sort_unstable();
    let expected = [(5, "missing_user", "Bestellungen.csv"), (6, "bad_time", "Bestellungen.csv")];
    assert_eq!((rejected.as_slice(), &report["moreRejected"]), (&expected[..], &json!(false)));
    // As every job's refused items.
    let refused = site.get(&format!("/console/api/jobs/{id}/refused?limit=1"));
    assert_eq!((refused["items"].as_array().unwrap().len(), &refused["more"]), (1, &json!(true)));
    assert!(refused["items"][0]["refused"]["record"].is_string(), "{refused}");
    // A check writes nothing, and its file stays for the import.
    assert_eq!(site.get("/users/ada/purchases")["items"], json!([]));
    assert_eq!(uploads(&site).await.0.len(), 1);

    let job = site.run("import", &parameters(right, false));
    let report = site.get(&format!("/console/api/jobs/{}/import", job["jobId"].as_str().unwrap()));
    assert_eq!(report["written"]["newPurchases"], 3, "{report}");
    let purchases = site.get("/users/ada/purchases");
    assert_eq!(purchases["items"][0]["lines"][0]["unitPrice"], json!({ "amount": 450, "currency": "EUR" }));
    assert_eq!(uploads(&site).await, (Vec::new(), 0));
}

fn told(line: &Value) -> (u64, &str, &str) {
    let text = |name: &str| line[name].as_str().unwrap();
    (line["line"].as_u64().unwrap(), text("reason"), text("file"))
}

#[tokio::test]
async fn an_upload_that_breaks_leaves_nothing() {
    let site = Site::start(&[]);
    // A part of it has gone to the bucket when the connection breaks.
    let mut stream = TcpStream::connect(site.server.address).unwrap();
    let head = site.head("PUT", "/console/api/uploads?name=orders.csv");
    write!(stream, "{head}content-length: 30000000\r\n\r\n").unwrap();
    stream.write_all(&vec![b'x'; 20_000_000]).unwrap();
    let mut begun = 0;
    for _ in 0..600 {
        begun = uploads(&site).await.1;
        if begun > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(begun, 1, "the upload has not begun");
    stream.shutdown(Shutdown::Both).unwrap();
    let mut left = (Vec::new(), 1);
    for _ in 0..600 {
        left = uploads(&site).await;
        if left.1 == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(left, (Vec::new(), 0));
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    let site = Site::start(&[]);
    let content: Vec<u8> = (0..21_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (status, answer) = site.send("PUT", "/console/api/uploads?name=a%2Fb.bin", &content);
    assert_eq!((status, answer["bytes"].as_u64()), (200, Some(21_000_000)), "{answer}");
    let bucket = site.bucket("jobs");
    let key = answer["location"].as_str().unwrap().strip_prefix(&format!("s3://{bucket}/")).unwrap();
    assert!(key.ends_with("/b.bin"), "{key}");
    let object = site.s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
    assert!(object.body.collect().await.unwrap().into_bytes() == content);
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let site = Site::start(&[]);
    for (path, field) in [("?name=", "name"), ("?name=..", "name"), ("?name=orders.csv", "body")] {
        let (status, answer) = site.send("PUT", &format!("/console/api/uploads{path}"), b"");
        assert_eq!((status, answer["field"].as_str()), (400, Some(field)), "{path}");
    }
    let (status, answer) = site.send("PUT", "/console/api/uploads", b"a");
    assert_eq!((status, answer["code"].as_str()), (400, Some("invalid_query")));
    let mut stream = TcpStream::connect(site.server.address).unwrap();
    write!(stream, "{}content-length: 6000000000\r\n\r\n", site.head("PUT", "/console/api/uploads?name=a"))
        .unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(uploads(&site).await, (Vec::new(), 0));
}
