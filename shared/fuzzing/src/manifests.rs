//! The files beside a dump's data files, changed as anybody with write access could.

use std::fmt::Debug;
use std::path::Path;

use nextbasket_jobs_dump::manifest::{
    DumpRecord, EXPORTS, FILES, FILES_MD5, FileLine, RECORD, SETTINGS, SUMMARY, SUMMARY_MD5, Summary,
    TableSettings, md5_base64,
};
use nextbasket_jobs_dump::source::locate;
use nextbasket_objects::Location;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::memory::within;
use crate::records::{FOLDER, files};
use crate::world::RUNTIME;

const BASE: usize = 4 << 20;
const MULTIPLE: usize = 300;

const BETWEEN: &[u8] = b"\n--\n";

/// The first byte says which checksums are correct; then come summary, list of files, record and settings.
pub fn check(data: &[u8]) {
    let Some((&flags, rest)) = data.split_first() else { return };
    let mut parts = split(rest).into_iter();
    let mut part = || parts.next().unwrap_or_default();
    let [summary, lines, record, settings] = [part(), part(), part(), part()];

    same::<Summary>(summary);
    same::<DumpRecord>(record);
    same::<TableSettings>(settings);
    lines.split(|byte| *byte == b'\n').for_each(same::<FileLine>);
    if let Ok(settings) = serde_json::from_slice::<TableSettings>(settings) {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version_latest().build();
        // Nothing is sent: a table that cannot be created is rejected with a message.
        let made = settings.create_table.request(&aws_sdk_dynamodb::Client::from_conf(config), "copy");
        assert!(made.is_ok_and(|create| create.get_table_name().as_deref() == Some("copy")));
    }

    let (place, folder) = (FOLDER.path().join("dumps"), FOLDER.path().join("dumps").join(EXPORTS).join("01"));
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let write = |name: &str, content: &[u8]| std::fs::write(folder.join(name), content).unwrap();
    let md5 = |right: bool, content: &[u8]| if right { md5_base64(content) } else { "?".to_owned() };
    let right = (flags & 1 == 0, flags & 2 == 0);
    write("data/a.json", b"{\"Item\":{\"id\":{\"S\":\"a\"}}}\n");
    write(SUMMARY, summary);
    write(SUMMARY_MD5, md5(right.0, summary).as_bytes());
    write(FILES, lines);
    write(FILES_MD5, md5(right.1, lines).as_bytes());
    for (name, content) in [(RECORD, record), (SETTINGS, settings)] {
        // Dumps of others have neither of these files.
        if content.is_empty() {
            let _ = std::fs::remove_file(folder.join(name));
        } else {
            write(name, content);
        }
    }
    for from in [&place, &folder] {
        let from = Location::Path(from.clone());
        let found =
            within(BASE + MULTIPLE * data.len(), || RUNTIME.block_on(locate(&files(), &from, None, None)));
        let Ok(located) = found else { continue };
        for file in
            located.sources.iter().flat_map(|source| &source.files).filter_map(|file| file.found.as_ref())
        {
            let Location::Path(path) = &file.at else { panic!("{file:?} is in a bucket") };
            assert!(
                inside(path, &folder) || inside(path, &place.join(EXPORTS)),
                "{file:?} is somewhere else"
            );
        }
        assert!(
            (right.0 && right.1) || located.problems().next().is_some(),
            "wrong checksums are no problem"
        );
        assert!(located.problems().all(|problem| !problem.is_empty()));
    }
}

fn split(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = rest.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        parts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    parts.push(rest);
    parts
}

fn inside(path: &Path, folder: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().expect("a file that was found");
    whole(path).starts_with(whole(folder))
}

/// Checks that an accepted value is the same after it was written and read again.
fn same<T: DeserializeOwned + Serialize + PartialEq + Debug>(text: &[u8]) {
    let Ok(value) = within(BASE + MULTIPLE * text.len(), || serde_json::from_slice::<T>(text)) else {
        return;
    };
    let written = serde_json::to_vec(&value).expect("what was read is written");
    let again: T = serde_json::from_slice(&written).expect("what was written is read");
    assert_eq!(again, value);
}
