//! `evaluate`, as its users run it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use command::{Server, fail, nextbasket, run, shop_csv, succeed};
use flate2::Compression;
use flate2::write::GzEncoder;
use nextbasket_domain::Timestamp;
use serde_json::{Value, json};

/// A file of the exports that the importer's own tests read.
fn export(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/importer/tests/exports");
    text(&folder.join(name)).to_owned()
}

/// The baskets of each user, oldest first, in the order of a model: by time, then id.
fn baskets(csv: &Path) -> BTreeMap<String, Vec<BTreeSet<String>>> {
    let content = fs::read_to_string(csv).unwrap();
    let mut users: BTreeMap<String, BTreeMap<(String, String), BTreeSet<String>>> = BTreeMap::new();
    for line in content.lines().skip(1) {
        let (start, basket) = line.rsplit_once(',').unwrap();
        let [user, product, time] = start.splitn(4, ',').take(3).collect::<Vec<_>>()[..] else { panic!() };
        let of_user = users.entry(user.to_owned()).or_default();
        of_user.entry((time.to_owned(), basket.to_owned())).or_default().insert(product.to_owned());
    }
    users.into_iter().map(|(user, baskets)| (user, baskets.into_values().collect())).collect()
}

fn report(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(&[&["evaluate", "--json"], arguments].concat())).unwrap()
}

fn method<'r>(report: &'r Value, group: &str, name: &str) -> &'r Value {
    let methods = report[group]["methods"].as_array().unwrap();
    methods.iter().find(|method| method["method"] == name).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn figures_are_those_counted_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let report = report(&[text(&csv)]);
    let users = baskets(&csv);
    assert_eq!(report["purchases"]["users"], users.len());
    assert_eq!(report["purchases"]["purchases"], users.values().map(Vec::len).sum::<usize>());
    // P-TopFreq in a few lines: in most baskets, then bought later, then by id.
    let (mut recall, mut hits, mut asked) = (0.0, 0, 0);
    for baskets in users.values().filter(|baskets| baskets.len() > 1) {
        let (hidden, before) = baskets.split_last().unwrap();
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (at, product) in
            before.iter().enumerate().flat_map(|(at, basket)| basket.iter().map(move |p| (at, p)))
        {
            let count = counts.entry(product).or_default();
            *count = (count.0 + 1, at);
        }
        let mut list: Vec<_> = counts.into_iter().collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let found = list.iter().take(10).filter(|(product, _)| hidden.contains(*product)).count();
        recall += found as f64 / hidden.len() as f64;
        hits += usize::from(found > 0);
        asked += 1;
    }
    assert_eq!(report["returningUsers"]["asked"], asked);
    let at_10 = &method(&report, "returningUsers", "pTopFreq")["at"][1];
    let near = |found: &Value, wanted: f64| {
        assert!((found["mean"].as_f64().unwrap() - wanted).abs() < 1e-9, "{found} {wanted}");
        let [low, high] = [0, 1].map(|end| found["interval"][end].as_f64().unwrap());
        assert!(low < wanted && wanted < high, "{found}");
    };
    assert_eq!(at_10["k"], 10);
    near(&at_10["recall"], recall / f64::from(asked));
    near(&at_10["hitRate"], hits as f64 / f64::from(asked));
    assert_eq!(at_10["boughtBefore"]["mean"], 1.0);
    assert_eq!(at_10["exploreRecall"]["mean"], 0.0);
    // The product's own method knows better than what sells best, and the report says so.
    let advantage = &method(&report, "returningUsers", "gTopFreq")["at"][1]["ownAdvantage"]["ndcg"];
    assert!(advantage["interval"][0].as_f64().unwrap() > 0.0, "{advantage}");
}

#[test]
fn a_file_and_the_data_folder_that_it_was_imported_into_have_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("shop");
    succeed(&["import", text(&csv), "--data", text(&data)]);
    succeed(&["train", "--data", text(&data)]);
    let models = succeed(&["models", "--data", text(&data), "--json"]);
    let of_file = report(&[text(&csv), "--seed", "3"]);
    let mut of_folder = report(&["--data", text(&data), "--seed", "3"]);
    assert_eq!(of_folder["source"], format!("data folder {}", text(&data)));
    of_folder["source"] = of_file["source"].clone();
    assert_eq!(of_folder, of_file);
    // Through a server, and the live model is not touched.
    let server = Server::start(&["--data", text(&data)]);
    let mut through_server = report(&["--data", text(&data), "--seed", "3"]);
    through_server["source"] = of_file["source"].clone();
    assert_eq!(through_server, of_file);
    drop(server);
    assert_eq!(succeed(&["models", "--data", text(&data), "--json"]), models);
    // Packed and in pieces it is the same file.
    let content = fs::read_to_string(&csv).unwrap();
    let packed = folder.path().join("shop.csv.gz");
    let mut gzip = GzEncoder::new(fs::File::create(&packed).unwrap(), Compression::fast());
    gzip.write_all(content.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let (header, rows) = content.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let (first, second) = rows.split_at(rows.len() / 2);
    for (name, rows) in [("piece-1.csv", first), ("piece-2.csv", second)] {
        fs::write(folder.path().join(name), format!("{header}\n{}\n", rows.join("\n"))).unwrap();
    }
    for (files, source) in
        [(text(&packed), text(&packed)), (text(&folder.path().join("piece-?.csv")), "2 files")]
    {
        let mut again = report(&[files, "--seed", "3"]);
        assert_eq!(again["source"], source);
        again["source"] = of_file["source"].clone();
        assert_eq!(again, of_file, "{files}");
    }
}

#[test]
fn categories_of_the_catalogue_are_known_to_the_carts() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let data = folder.path().join("shop");
    let end = Timestamp::parse("2026-03-10T00:00:00Z").unwrap();
    let shop = nextbasket_shop::generate(1, end, nextbasket_shop::ShopSize::SMALL);
    let mut catalogue = "product_id,name,categories\n".to_owned();
    for product in &shop.products {
        let categories: Vec<String> = product.categories.iter().map(ToString::to_string).collect();
        catalogue.push_str(&format!("{},x,{}\n", product.product_id, categories.join("|")));
    }
    let path = folder.path().join("catalogue.csv");
    fs::write(&path, catalogue).unwrap();
    succeed(&["import", text(&csv), "--data", text(&data)]);
    succeed(&["import", text(&path), "--kind", "products", "--data", text(&data)]);
    let (with, without) = (report(&["--data", text(&data)]), report(&[text(&csv)]));
    let different = |name: &str| {
        let of = |report| method(report, "carts", name)["at"][1]["coverage"].as_u64().unwrap();
        (of(&with), of(&without))
    };
    let (with_categories, without_categories) = different("categoryTop");
    assert!(with_categories > 2 * without_categories, "{with_categories} {without_categories}");
    let (one, other) = different("basketCosine");
    assert_eq!(one, other);
}

#[test]
fn whatever_an_import_reads_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let content = fs::read_to_string(&csv).unwrap();
    let mut of_file = report(&[text(&csv)]);
    // JSON Lines.
    let lines = content.lines().skip(1).map(|line| {
        let (start, basket) = line.rsplit_once(',').unwrap();
        let [user, product, time] = start.splitn(4, ',').take(3).collect::<Vec<_>>()[..] else { panic!() };
        let record =
            json!({ "user_id": user, "product_id": product, "timestamp": time, "basket_id": basket });
        format!("{record}\n")
    });
    let json_lines = folder.path().join("shop.jsonl");
    fs::write(&json_lines, lines.collect::<String>()).unwrap();
    let mut of_lines = report(&[text(&json_lines)]);
    of_lines["source"] = of_file["source"].clone();
    assert_eq!(of_lines, of_file);
    // Other names of columns, through a pipe.
    let mut command = nextbasket(&["evaluate", "-", "--json", "--map", "user_id=who,product_id=what"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let renamed = content.replacen("user_id,product_id", "who,what", 1);
    child.stdin.take().unwrap().write_all(renamed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let of_pipe: Value = serde_json::from_slice(&output.stdout).unwrap();
    of_file["source"] = json!("standard input");
    assert_eq!(of_pipe, of_file);
    // The files of an export that belong together.
    let names = ["orders_dataset", "customers_dataset", "order_items_dataset"];
    let files = names.map(|name| export(&format!("olist/olist_{name}.csv")));
    let joined = report(&[&files[0], &files[1], &files[2]]);
    assert_eq!((&joined["source"], &joined["purchases"]["purchases"]), (&json!("3 files"), &json!(2)));
}

#[test]
fn the_number_of_threads_does_not_show_and_the_seed_does() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let with = |arguments: &[&str]| succeed(&[&["evaluate", text(&csv), "--json"], arguments].concat());
    let one = with(&["--threads", "1"]);
    assert_eq!(with(&["--threads", "3"]), one);
    assert_ne!(with(&["--seed", "1"]), one);
    let few: Value = serde_json::from_str(&with(&["--users", "5"])).unwrap();
    let asked = few["returningUsers"]["asked"].as_u64().unwrap();
    assert!((1..15).contains(&asked), "{asked}");
}

#[test]
fn purchases_since_a_date_are_hidden_and_the_first_of_them_is_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let report = report(&[text(&csv), "--since", "2025-12-01"]);
    assert_eq!(report["hidden"]["by"], "since");
    assert_eq!(report["hidden"]["since"], "2025-12-01T00:00:00.000Z");
    let content = fs::read_to_string(&csv).unwrap();
    let mut since = BTreeSet::new();
    let mut before = BTreeSet::new();
    for line in content.lines().skip(1) {
        let mut cells = line.split(',');
        let (user, time) = (cells.next().unwrap(), cells.nth(1).unwrap());
        if time >= "2025-12-01" {
            since.insert(user)
        } else {
            before.insert(user)
        };
    }
    let returning = since.intersection(&before).count();
    assert_eq!(report["returningUsers"]["asked"], returning);
    assert_eq!(report["newUsers"]["asked"], since.len() - returning);
    let same = succeed(&["evaluate", text(&csv), "--since", "2025-12-01T00:00:00Z", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&same).unwrap(), report);
}

#[test]
fn the_table_names_every_method_and_every_measure() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let out = succeed(&["evaluate", text(&csv)]);
    for words in [
        "Returning users (",
        "New users",
        "Carts (",
        "Recall@5",
        "nDCG@10",
        "Hit rate@20",
        "G-TopFreq",
        "P-TopFreq",
        "GP-TopFreq",
        "item-item cosine",
        "hand formula",
        "popular in the category",
        "repeat@10",
        "explore@10",
        "bought before@10",
        "new, bits@10",
        "products@10 of ",
        "95 % interval",
        "Seed 0",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}");
    }
    // Each of the figures is the one in JSON.
    let recall = method(&report(&[text(&csv)]), "returningUsers", "pTopFreq")["at"][0]["recall"].clone();
    let [mean, low, high] = [&recall["mean"], &recall["interval"][0], &recall["interval"][1]]
        .map(|number| number.as_f64().unwrap());
    let shown = format!("{mean:.3} ({low:.3}-{high:.3})");
    assert!(out.lines().any(|line| line.contains(" P-TopFreq") && line.contains(&shown)), "{shown}\n{out}");
}

#[test]
fn the_page_is_one_file_without_network_or_script_and_what_people_name_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("a<b>&\"c'.csv");
    fs::rename(shop_csv(folder.path()), &csv).unwrap();
    let page = folder.path().join("report.html");
    let (output, out, err) = run(&["evaluate", text(&csv), "--html", text(&page)]);
    assert!(output.status.success() && out.contains("Recall@10"), "{err}");
    assert!(err.contains("report.html"), "{err}");
    let page = fs::read_to_string(&page).unwrap();
    assert!(page.contains("a&lt;b&gt;&amp;&quot;c&#39;.csv") && !page.contains("a<b>"), "{page}");
    for forbidden in ["<script", "http://", "https://", "src=", "href=", "url(", "@import", "<link", "onload"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("default-src 'none'"));
    for words in ["<h2>Returning users</h2>", "<h2>Carts</h2>", "hand formula", "<title>Recall at 10</title>"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.matches("<svg").count() >= 8 && !page.contains("NaN") && !page.contains("inf"), "{page}");
    assert_eq!(unbalanced(&page), Vec::<String>::new());
}

/// Elements that are not closed in the order in which they were opened.
fn unbalanced(page: &str) -> Vec<String> {
    let (mut open, mut wrong) = (Vec::new(), Vec::new());
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.split_whitespace().next().unwrap();
        if let Some(closed) = name.strip_prefix('/') {
            if open.pop().as_deref() != Some(closed) {
                wrong.push(tag.to_owned());
            }
        } else if !tag.ends_with('/') && !["!doctype", "meta"].contains(&name) {
            open.push(name.to_owned());
        }
    }
    wrong.extend(open);
    wrong
}

#[test]
fn lines_that_are_no_purchases_are_counted_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let whole = report(&[text(&csv)]);
    let mut content = fs::read_to_string(&csv).unwrap();
    content.push_str(",beans,2026-01-01,1,1.00,Beans,lost\nada,beans,2026-01-01,-1,1.00,Beans,back\n");
    fs::write(&csv, content).unwrap();
    let (output, out, err) = run(&["evaluate", text(&csv), "--json"]);
    assert!(output.status.success(), "{err}");
    assert!(err.contains("2 of ") && err.contains("are no valid purchases"), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), whole);
}

#[test]
fn few_purchases_have_a_report_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("few.csv");
    fs::write(
        &csv,
        "user_id,product_id,timestamp\nada,tea,2026-01-01\nada,tea,2026-02-01\nbob,jam,2026-01-05\n",
    )
    .unwrap();
    let out = succeed(&["evaluate", text(&csv)]);
    assert!(out.contains("Returning users (1 asked)") && out.contains("Carts: none to ask."), "{out}");
    let none =
        "No ranker, the hand formula is used: 0 baskets of repeat customers are too few to learn from.";
    assert!(out.contains(none), "{out}");
    let report = report(&[text(&csv)]);
    assert_eq!(
        (&report["learned"]["rankerUsed"], &report["learned"]["reason"]),
        (&json!(false), &json!(none))
    );
    assert_eq!(
        report["returningUsers"]["methods"].as_array().unwrap().last().unwrap()["method"],
        "handFormula"
    );
    assert_eq!(method(&report, "returningUsers", "pTopFreq")["at"][0]["recall"]["mean"], 1.0);
    assert_eq!(method(&report, "returningUsers", "pTopFreq")["at"][0]["recall"]["interval"], Value::Null);
    // Nothing is left to learn from, or to predict.
    let out = succeed(&["evaluate", text(&csv), "--since", "1971-01-01"]);
    assert!(out.contains("Returning users: none to ask.") && out.contains("New users (2 asked)"), "{out}");
    let out = succeed(&["evaluate", text(&csv), "--since", "2027-01-01"]);
    assert_eq!(out.matches("none to ask.").count(), 3, "{out}");
}

#[test]
fn wrong_use_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let csv = shop_csv(folder.path());
    let missing = folder.path().join("nowhere");
    let content = fs::read(&csv).unwrap();
    let cut = folder.path().join("cut.csv.gz");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&content).unwrap();
    let packed = gzip.finish().unwrap();
    fs::write(&cut, &packed[..packed.len() / 2]).unwrap();
    let strange = folder.path().join("strange.csv");
    fs::write(&strange, "a,b\n1,2\n").unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--data", text(&missing)], 2, "nowhere"),
        (&[text(&missing)], 1, "nowhere"),
        (&[text(&cut)], 1, "cut.csv.gz is truncated"),
        (&[text(&strange)], 1, "strange.csv"),
        (&[text(&csv), "--since", "soon"], 2, "2026-10-01"),
        (&[text(&csv), "--users", "0"], 2, "--users"),
        (&[text(&csv), "--threads", "0"], 2, "--threads"),
        (&[text(&csv), "--timezone", "Mars"], 2, "timezone"),
    ];
    for (arguments, code, words) in cases {
        let said = fail(&[&["evaluate"], *arguments].concat(), *code);
        assert!(said.contains(words), "{arguments:?} does not say {words:?}:\n{said}");
    }
    assert!(!missing.exists());
    // A folder without purchases.
    let empty = folder.path().join("empty");
    fs::write(&strange, "product_id,name\nx,X\n").unwrap();
    succeed(&["import", text(&strange), "--kind", "products", "--data", text(&empty)]);
    assert!(fail(&["evaluate", "--data", text(&empty)], 1).contains("nextbasket import"));
}
