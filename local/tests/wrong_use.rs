//! Wrong use of the command: a sentence that says what to do, and an exit code that is not 0.

mod command;

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use command::{fail, shop_csv, succeed};

#[test]
fn wrong_use_is_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let csv = shop_csv(folder.path()).to_str().unwrap().to_owned();
    let data = at("data");
    fs::write(at("other.csv"), "customer,article\nada,beans\n").unwrap();
    fs::write(at("empty.csv"), "").unwrap();
    fs::write(at("params.json"), r#"{"nextWeight": -1}"#).unwrap();
    fs::write(at("typo.json"), r#"{"nextWait": 1}"#).unwrap();
    fs::create_dir(at("thesis")).unwrap();
    fs::write(at("thesis/chapter-1.tex"), "").unwrap();
    fs::create_dir(at("future")).unwrap();
    fs::write(at("future/format.json"), r#"{"format":9,"created_by":"nextbasket 9.0.0"}"#).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let none = at("none.csv");
    // A data folder that is still empty.
    let bare = at("bare");
    succeed(&["lock", "acquire", "first", "--data", &bare]);
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&["import", &none, "--data", &data], 1, &["none.csv", "No such file"]),
        (&["import", folder.path().to_str().unwrap(), "--data", &data], 2, &["is a folder"]),
        (&["import", &at("other.csv"), "--data", &data], 1, &["other.csv", "user_id", "customer", "--map"]),
        (&["import", &at("empty.csv"), "--data", &data], 1, &["empty.csv", "empty"]),
        (&["import", &csv, "--data", &data, "--map", "user_id=Costumer"], 1, &["Costumer"]),
        (&["import", &csv, "--data", &data, "--map", "user=x"], 2, &["--map", "user"]),
        (&["import", &csv, "--data", &data, "--currency", "euro"], 2, &["--currency", "EUR"]),
        (&["import", &csv, "--data", &at("thesis")], 1, &["thesis", "not empty"]),
        (&["import", &csv, "--data", &at("future")], 1, &["future", "nextbasket 9.0.0", "use the version"]),
        (&["import", &csv, "--data", &at("shop.csv")], 1, &["shop.csv"]),
        (&["train", "--data", &at("fresh")], 2, &["no data folder", "nextbasket import"]),
        (&["lock", "acquire", "x", "--lease", "10ms", "--data", &at("fresh")], 2, &["--lease"]),
        (&["jobs", "list", "--data", &at("fresh")], 2, &["no data folder"]),
        (&["train", "--data", &bare], 1, &["no purchases", "nextbasket import"]),
        (&["train", "--data", &data, "--params", &at("params.json")], 2, &["params.json", "nextWeight"]),
        (&["train", "--data", &data, "--params", &at("typo.json")], 2, &["typo.json", "nextWait"]),
        (&["train", "--data", &data, "--threads", "0"], 2, &["--threads"]),
        (&["recommend", "ada", "--data", &at("nowhere")], 2, &["no data folder", "--data"]),
        (&["recommend", "ada", "--data", &data, "--limit", "0"], 1, &["limit", "1 to 100"]),
        (&["recommend", "", "--data", &data], 2, &["USER must not be empty"]),
        (&["recommend", "ada?old", "--data", &data], 2, &["USER", "paths cannot carry it"]),
        (&["related", "no such product", "--data", &data], 1, &["product \"no such product\" not found"]),
        (&["related", "x", "--data", &data, "--kind", "friends"], 1, &["kind", "together or similar"]),
        (&["serve", "--data", &data, "--listen", &taken], 1, &[&taken, "taken", "another port"]),
        (&["serve", "--data", &data, "--listen", "0.0.0.0:0"], 1, &["0.0.0.0:0", "loopback"]),
        (&["serve", "--data", &data, "--listen", "8080"], 2, &["--listen"]),
        (&["demo", "--listen", &taken], 1, &[&taken, "taken"]),
        (&["recomend", "ada"], 2, &["recommend"]),
    ];
    // A folder to use: the empty one of a first, refused import is one.
    fs::create_dir(&data).unwrap();
    for (arguments, code, words) in cases {
        let said = fail(arguments, *code);
        for word in *words {
            assert!(said.contains(word), "{arguments:?} does not say {word:?}:\n{said}");
        }
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
    }
    assert_eq!(fs::read_dir(at("thesis")).unwrap().count(), 1, "a folder that is not ours is left alone");
}

#[test]
fn a_full_disk_is_named_and_what_was_written_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let path = disk.to_str().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", path]).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a small disk needs root");
        return;
    }
    let csv = shop_csv(folder.path());
    let said = std::panic::catch_unwind(|| {
        fail(&["import", csv.to_str().unwrap(), "--data", &format!("{path}/data")], 1)
    });
    assert!(Command::new("umount").args(["-l", path]).status().unwrap().success());
    let said = said.unwrap();
    assert!(said.contains("full") && said.contains("make room"), "{said}");
}
