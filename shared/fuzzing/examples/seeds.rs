//! Writes the inputs that fuzzing starts with into `fuzz/corpus`: one or more for each kind of input of a target.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a tool for those who work on the targets"
)]

use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use nextbasket_domain::{Basket, ProductId, Timestamp};
use nextbasket_recommender::evaluate::{Evaluation, ListEvaluator, Methods};
use nextbasket_recommender::intermediate::encode;
use nextbasket_recommender::{Counting, DatasetBuilder, History, Params, train};
use nextbasket_tables::history_codec;
use serde_json::Value;

struct Corpus(PathBuf);

impl Corpus {
    /// Writes an input: the bytes that choose the reader, then the rest.
    fn put(&self, target: &str, name: &str, choice: &[u8], rest: impl AsRef<[u8]>) {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), [choice, rest.as_ref()].concat()).unwrap();
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = Corpus(root.join("fuzz/corpus"));
    bodies(&corpus, &root);
    cursors(&corpus);
    files(&corpus);
    exports(&corpus, &root.join("shared/importer/tests/exports"));
    manifests(&corpus);
    rows(&corpus);
    expressions(&corpus);
}

/// Inputs from the events that the functions are tested with.
fn bodies(corpus: &Corpus, root: &Path) {
    for entry in fs::read_dir(root.join("events")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let event = fs::read_to_string(&path).unwrap();
        let json: Value = serde_json::from_str(&event).unwrap();
        if json["Records"].is_array() {
            corpus.put("stream", &name, b"", json.to_string());
            continue;
        }
        let choice = match json["routeKey"].as_str() {
            Some("POST /purchases") => 0,
            Some("PUT /products/{productId}") => 1,
            Some("POST /recommendations") => 2,
            Some("POST /jobs") => 3,
            _ => continue,
        };
        if let Some(body) = json["body"].as_str() {
            corpus.put("bodies", &name, &[choice], body);
        }
    }
    corpus.put("bodies", "a-field-without-a-name", &[1], r#"{"name":"Espresso","":1}"#);
    let long = "x".repeat(9_000);
    let job = format!(r#"{{"kind":"count","parameters":{{"{long}":1}}}}"#);
    corpus.put("bodies", "a-long-name", &[3], job);
    let whole = r#"{"userId":"ada","basket":["p1"],"limit":5,"filter":{"categories":["Coffee"],"available":true,
        "exclude":["p2"]},"boost":[{"category":"Coffee","factor":1.5},{"productId":"p3","factor":0}],"pin":["p4"],
        "scenario":"cart","cursor":"x"}"#;
    corpus.put("bodies", "recommendations-whole", &[2], whole);
    let set = r#""set":"price = 5""#;
    let place = r#""s3://nextbasket-jobsbucket/x""#;
    for (kind, parameters) in [
        ("count", r#"{"table":"nextbasket-products","where":"size(name) > 1","segments":2}"#.to_owned()),
        ("update", format!(r#"{{"table":"nextbasket-products",{set},"width":2,"readUnits":5,"writeUnits":5}}"#)),
        ("delete", r#"{"table":"nextbasket-products","all":true,"split":{"by":"time","attribute":"updatedAt","interval":"day"}}"#.to_owned()),
        ("copy", r#"{"table":"nextbasket-products","to":"nextbasket-model","onConflict":"skip"}"#.to_owned()),
        ("fill", r#"{"table":"nextbasket-products","count":3,"itemBytes":100,"seed":1}"#.to_owned()),
        ("dump", format!(r#"{{"table":"nextbasket-products","to":{place},"format":"csv","gzip":false,"keep":1}}"#)),
        ("restore", format!(r#"{{"from":{place},"table":"nextbasket-products","onConflict":"if-newer=updatedAt"}}"#)),
        ("verify", format!(r#"{{"dump":{place},"table":"nextbasket-products"}}"#)),
        ("archive", format!(r#"{{"table":"nextbasket-purchases","where":"purchasedAt < '2026'","to":{place}}}"#)),
        ("map", format!(r#"{{"input":{{"files":{place},"format":"jsonl"}},"function":"f","output":{place}}}"#)),
        ("import", r#"{"file":"s3://nextbasket-jobsbucket/x","currency":"EUR"}"#.to_owned()),
        ("train", r#"{"segments":2,"blocks":2,"gate":0.05}"#.to_owned()),
        ("rebuild-history", r#"{"user":"ada","segments":1}"#.to_owned()),
        ("refresh-popular", "{}".to_owned()),
    ] {
        let dry = kind.len() % 2 == 0;
        let body = format!(r#"{{"kind":"{kind}","parameters":{parameters},"dryRun":{dry}}}"#);
        corpus.put("bodies", &format!("job-{kind}"), &[3], body);
    }
}

/// Positions in postcard's form: a text follows its length.
fn cursors(corpus: &Corpus) {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // An id, the number of pinned products, the hashes of those shown, and the place in the tail.
    let head = [text("default.1.00"), vec![0, 1, 1, 2, 3, 4, 5, 6, 0]].concat();
    let tail = [text("default.1.00"), vec![0, 0, 1, 2], text("Coffee\u{1}p1")].concat();
    let purchase = [text("2026-05-01T08:00:00.000Z"), text("o1")].concat();
    for (list, at) in [
        (0, purchase),
        (1, head.clone()),
        (2, text("p1")),
        (3, text("Coffee p1")),
        (4, head.clone()),
        (5, head),
        (6, text("first")),
    ] {
        corpus.put("cursors", &format!("list-{list}"), &[list], at);
    }
    corpus.put("cursors", "in-the-tail", &[1], &tail);
    corpus.put("cursors", "behind-the-tail", &[4], [text("x"), vec![0, 0, 1, 9], text("p1")].concat());
    corpus.put("cursors", "no-cursor", &[0x80], "bm9uZQ");
}

fn files(corpus: &Corpus) {
    let purchases = "user_id,product_id,timestamp,quantity,price,product_name,basket_id\n\
        ada,p1,2026-05-01T08:00:00Z,2,1.50,Espresso,b1\nada,p2,2026-05-01T08:00:00Z,1,\"1.234,50\",\"A \"\"B\"\", c\",b1\n\
        ,p3,2026-05-02,1,2,,b2\ngrace,p1,1777622400,-1,2,Espresso,b3\n";
    let semicolons = "user_id;product_id;timestamp\r\nada;p1;2026-05-01 08:00\r\n\r\ngrace;p2;2026-05-02\r\n";
    let json = r#"{"userId":"ada","purchaseId":"o1","purchasedAt":"2026-05-01T08:00:00Z","lines":[{"productId":"p1","quantity":1,"unitPrice":{"amount":150,"currency":"EUR"}}]}
{"user_id":"ada","product_id":"p2","timestamp":1777622400,"quantity":2}
"#;
    let catalogue =
        "product_id,name,categories,price,available\np1,Espresso,Coffee|Beans,18.90,yes\np2,Filter,,x,no\n";
    let lines = r#"{"productId":"p1","name":"Espresso","categories":["Coffee"],"price":{"amount":1890,"currency":"EUR"},"available":true,"attributes":{"g":"1000"}}
"#;
    let typed = "id:S,n:N,\"a,b:S\",raw:B,l:L,m:M,tags:SS,ok:BOOL,x:NULL\n\
        a,1.50,\\,aGk=,\"[{\"\"S\"\":\"\"x\"\"}]\",\"{\"\"k\"\":{\"\"N\"\":\"\"1\"\"}}\",\"[\"\"x\"\"]\",true,true\nb,,,\\,,,,,\n";
    let plain = r#"{"id":"a","n":1.5,"raw":{"$binary":"aGk="},"tags":{"$set":{"S":["x","y"]}},"m":{"$map":{"$a":null}},"l":[1,true]}
{"id":"b"}
"#;
    let items = r#"{"Item":{"id":{"S":"a"},"n":{"N":"1.50"},"raw":{"B":"aGk="},"tags":{"SS":["y","x"]},"m":{"M":{"k":{"L":[{"NULL":true},{"BOOL":false}]}}},"ns":{"NS":["1","2"]},"bs":{"BS":["aGk="]}}}
{"Metadata":{"WriteTimestampMicros":{"N":"1"}},"Keys":{"id":{"S":"a"}},"OldImage":{"id":{"S":"a"}}}
"#;
    for (choice, name, text) in [
        (0, "purchases", purchases),
        (0, "purchases-semicolons", semicolons),
        (0, "purchases-json", json),
        (1, "products", catalogue),
        (1, "products-json", lines),
        (2, "dump-csv", typed),
        (2, "dump-csv-rows-on-one-line", "id:S,n:N\ra,1\rb,2\r\nc,3\r"),
        (3, "dump-json-lines", plain),
        (4, "dump-dynamodb-json", items),
    ] {
        corpus.put("csv", name, &[choice], text);
        for how in [2, 3] {
            corpus.put("gzip", &format!("{name}-{how}"), &[0x80 | choice, how], text);
        }
    }
    // Some megabytes each, packed into few bytes, without a line end.
    for (choice, name, megabytes, begin) in [
        (0, "purchases", 12, "user_id,product_id,timestamp\n"),
        (2, "csv", 48, "id:S\n\""),
        (3, "json-lines", 12, "{\"id\":\""),
        (4, "dynamodb-json", 12, "{\"Item\":{\"id\":{\"S\":\""),
    ] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(begin.as_bytes()).unwrap();
        encoder.write_all(&vec![b'a'; megabytes << 20]).unwrap();
        corpus.put("gzip", &format!("bomb-{name}"), &[choice, 0], encoder.finish().unwrap());
    }
}

/// The exports that the importer is tested with; those of several files as one input.
fn exports(corpus: &Corpus, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let expected = fs::read(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        let names = expected["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap());
        let files: Vec<Vec<u8>> = names.map(|name| fs::read(folder.join(name)).unwrap()).collect();
        let choice = u8::from(expected["kind"] == "products");
        corpus.put("exports", name, &[choice], files.join(&b"--\n"[..]));
    }
    let rows = "user_id,product_id,timestamp,quantity,price,basket_id\nada,p1,3/4/2026,1,\"1.234\",1\n,p2,,2,x,1\nguest,p3,5/4/2026,,,2\n";
    corpus.put("exports", "filled-down", &[14], rows);
}

fn manifests(corpus: &Corpus) {
    let summary = r#"{"version":"2020-06-30","tableArn":"arn:aws:dynamodb:local:1:table/t","itemCount":1,"outputFormat":"DYNAMODB_JSON","exportType":"FULL_EXPORT"}"#;
    let line = r#"{"itemCount":1,"md5Checksum":"XUFAKrxLKna5cZ2REBfFkg==","etag":"5d41402abc4b2a76b9719d911017c592","dataFileS3Key":"AWSDynamoDB/01/data/a.json"}"#;
    let digest = r#""count":1,"digest":"00000000000000000000000000000001""#;
    let window = r#""window":{"from":"2026-05-01T08:00:00.000Z","to":"2026-05-01T08:00:01.000Z"}"#;
    let record = format!(
        r#"{{"version":1,"table":"t","format":"dynamodb-json","complete":true,"refused":0,{window},"keys":["id"],{digest},"segments":[{{"segment":0,{window},"refused":0,{digest}}}],"files":[{{"name":"data/a.json","segment":0,"bytes":29,"md5":"XUFAKrxLKna5cZ2REBfFkg==","etag":"5d41402abc4b2a76b9719d911017c592",{digest}}}],"note":""}}"#
    );
    let settings = r#"{"version":1,"tableArn":null,"tableId":null,"createTable":{"TableName":"t","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"GlobalSecondaryIndexes":[{"IndexName":"i","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["a"]},"ProvisionedThroughput":{"ReadCapacityUnits":1,"WriteCapacityUnits":1}}],"BillingMode":"PAY_PER_REQUEST","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}},"timeToLive":"at","pointInTimeRecovery":true,"tags":[{"Key":"k","Value":"v"}]}"#;
    let parts = |lines: &str| format!("{summary}\n--\n{lines}\n--\n{record}\n--\n{settings}");
    corpus.put("manifests", "whole", &[0], parts(line));
    corpus.put("manifests", "wrong-checksums", &[3], parts(line));
    corpus.put("manifests", "others-export", &[0], format!("{summary}\n--\n{line}"));
    let elsewhere = line.replace("01/data/a.json", "01/../../../../../../etc/passwd");
    corpus.put("manifests", "a-file-elsewhere", &[0], parts(&elsewhere));
    let many = line.replace(":1,", ":18446744073709551615,");
    corpus.put("manifests", "more-items-than-there-are-numbers", &[0], parts(&format!("{many}\n{many}")));
    let sums = parts(line).replace(r#""count":1"#, r#""count":18446744073709551615"#).replace(
        r#""files":[{"#,
        r#""files":[{"name":"data/b.json","segment":0,"bytes":29,"md5":"","etag":"","count":1,"digest":"00000000000000000000000000000001"},{"#,
    );
    corpus.put("manifests", "counts-without-a-sum", &[0], sums);
}

fn rows(corpus: &Corpus) {
    let mut builder = DatasetBuilder::new();
    for user in 0..6_u32 {
        for basket in 0..4_u32 {
            let products: Vec<String> = (0..3).map(|n| format!("p{}", (user + n * basket) % 9)).collect();
            let at = i64::from(basket) * 86_400_000 + i64::from(user);
            let products = products.iter().map(String::as_str);
            builder.push(&format!("u{user}"), &basket.to_string(), at, products).unwrap();
        }
    }
    let data = builder.build().unwrap();
    let categories = |id: &str| vec![["Care", "Coffee"][id.len() % 2].to_owned(), id.to_owned()];
    let model = train(&data, &Params::default(), NonZero::<usize>::MIN, &categories).unwrap();
    let counting = Counting::new(&data, model.priors.params(), 3 * 86_400_000).unwrap();
    let totals = counting.totals(counting.all_users());
    let pairs = counting.pairs(counting.all_users(), 0..5);
    let (mut evaluator, mut methods) = (ListEvaluator::new(&model.priors), Methods::<Evaluation>::default());
    let history = History::new(&model.priors, [(0, ["p1", "p2"])]);
    let bought = history.products().collect();
    evaluator.evaluate(&mut methods, &history, &bought, |_| None);
    let row = model.rows.iter().max_by_key(|row| row.next.len()).unwrap();
    let wide = row.next.clone().with_column([0.5, 0.25]);
    let baskets: Vec<Basket> = (0..5)
        .map(|n| Basket {
            purchased_at: Timestamp::from_millis(1_700_000_000_000 - n).unwrap(),
            products: ["käse", "p1", "p10"].map(|id| ProductId::parse(id).unwrap()).to_vec(),
        })
        .collect();
    for (format, name, bytes) in [
        (0, "neighbours", row.next.encode()),
        (0, "neighbours-in-columns", wide.encode()),
        (1, "product-rows", row.encode()),
        (2, "catalogue", data.catalogue().encode()),
        (3, "totals", encode(&totals)),
        (4, "pair-counts", pairs.encode()),
        (5, "dataset", data.encode()),
        (6, "evaluation", encode(&methods.model)),
        (7, "evaluations", encode(&methods)),
        (9, "history", history_codec::pack(&baskets)),
    ] {
        corpus.put("rows", name, &[format], bytes);
    }
    let piece = model.priors.encode(1 << 20).unwrap().remove(0);
    corpus.put("rows", "priors", &[8], &piece);
    corpus.put("rows", "priors-unpacked", &[8, 9], nextbasket_fuzzing::rows::unpacked(&piece));
    // Inputs that once found a fault: few bytes that stood for many, and forms that no writer produces.
    let long =
        [vec![1, 3, 0, 0xc8, 1], vec![b'a'; 200], vec![0xc8, 1, 0x39], vec![b'a'; 57], vec![1, 0]].concat();
    corpus.put("rows", "long-ids", &[2], long);
    let mut below = row.next.encode();
    let at = below.len() - row.next.len() - 2 * row.next.len() - 1;
    below[at] |= 0x80;
    corpus.put("rows", "maximum-below-zero", &[0], below);
    let packed = history_codec::pack(&baskets);
    let swapped: Vec<u8> = packed.iter().map(|byte| if *byte == b'k' { b'z' } else { *byte }).collect();
    corpus.put("rows", "history-out-of-order", &[9], swapped);
    let many = [vec![1, 1, 0, 1, b'a', 0xe8, 7], [0, 1, 0].repeat(1_000)].concat();
    corpus.put("rows", "history-of-a-thousand", &[9], many);
}

fn expressions(corpus: &Corpus) {
    for (name, text) in [
        ("compare", "status = 'old' AND size(tags) > 2"),
        (
            "functions",
            "attribute_exists(a.b[0]) OR NOT (begins_with(`unit price`, 'x') AND contains(c, b64'aGk='))",
        ),
        ("choices", "a IN (1, 'x', <<1, 2>>) OR n BETWEEN -1.5 AND 2e10"),
        ("types", "attribute_type(a, 'SS') AND attribute_not_exists(b) OR m = {'k': [null, true], b: {}}"),
        ("time", "expiresAt < now() - 30d AND at > now('iso') + 1h OR day = now('date')"),
        ("sets", "tags <> {'a', 'b\\'c', \"d\\u{e9}\"} AND NOT NOT a <= b"),
        ("change", "SET price = 5, n = n + 1, tags = list_append(tags, ['x']) REMOVE old, `very old`[2]"),
        ("sections", "ADD seen 1, s <<1>> DELETE labels {'a'} SET a.b = if_not_exists(a.b, 0) - (c + 1)"),
        ("plain-change", "season = \"spring\", until = now('ms') + 2w"),
        ("nested", "((((a = 1 OR b = 2) AND c = 3) OR NOT d = 4))"),
    ] {
        corpus.put("expressions", name, b"", text);
    }
}
