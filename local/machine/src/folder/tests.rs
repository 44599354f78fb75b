use super::*;

fn server() -> FolderHost {
    FolderHost {
        pid: std::process::id(),
        http: "127.0.0.1:1".parse().unwrap(),
        dynamodb: "127.0.0.1:2".parse().unwrap(),
        s3: Some("127.0.0.1:3".parse().unwrap()),
        role: Role::default(),
    }
}

#[test]
fn a_second_server_on_a_folder_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let folder = Folder::open(&path, MissingFolder::Create).unwrap();
    assert_eq!(running_server(&path).unwrap(), None, "not ready yet");
    folder.announce(&server()).unwrap();
    assert_eq!(running_server(&path).unwrap(), Some(server()));
    let refused = Folder::open(&path, MissingFolder::Create).unwrap_err();
    assert!(matches!(&refused, FolderError::InUse { server: Some(s), .. } if **s == server()));
    assert!(refused.to_string().contains("http://127.0.0.1:1"), "{refused}");
    folder.withdraw().unwrap();
    drop(folder);
    assert_eq!(last_server(&path), Some(server()), "for those who worked through it");
    Folder::open(&path, MissingFolder::Create).unwrap();
}

#[test]
fn what_a_killed_server_left_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), MissingFolder::Create).unwrap();
    folder.announce(&server()).unwrap();
    // As SIGKILL does: the lock goes, the file stays.
    drop(folder);
    assert!(dir.path().join("server.json").exists());
    assert_eq!(running_server(dir.path()).unwrap(), None);
    assert_eq!(last_server(dir.path()), Some(server()));
    Folder::open(dir.path(), MissingFolder::Create).unwrap();
    assert!(!dir.path().join("server.json").exists());
    assert_eq!(last_server(dir.path()), Some(server()));
}

#[test]
fn a_server_of_an_earlier_version_is_found_without_object_storage() {
    let dir = tempfile::tempdir().unwrap();
    let _folder = Folder::open(dir.path(), MissingFolder::Create).unwrap();
    let earlier = r#"{"pid":7,"http":"127.0.0.1:1","dynamodb":"127.0.0.1:2"}"#;
    fs::write(dir.path().join("server.json"), earlier).unwrap();
    let found = running_server(dir.path()).unwrap().unwrap();
    assert_eq!((found.pid, found.s3), (7, None));
}

#[test]
fn a_folder_of_another_version_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    drop(Folder::open(dir.path(), MissingFolder::Create).unwrap());
    fs::write(dir.path().join("format.json"), r#"{"format":7,"created_by":"nextbasket 9.0.0"}"#).unwrap();
    let refused = Folder::open(dir.path(), MissingFolder::Create).unwrap_err();
    assert!(matches!(refused, FolderError::OtherFormat { found: 7, .. }));
    assert!(refused.to_string().contains("use the version that created it"), "{refused}");
    fs::write(dir.path().join("format.json"), "{").unwrap();
    assert!(matches!(
        Folder::open(dir.path(), MissingFolder::Create).unwrap_err(),
        FolderError::Damaged { .. }
    ));
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "").unwrap();
    assert!(matches!(
        Folder::open(dir.path(), MissingFolder::Create).unwrap_err(),
        FolderError::NotOurs { .. }
    ));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_start_that_was_killed_at_once_does_not_spoil_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), "").unwrap();
    fs::write(dir.path().join("format.json.new"), "{").unwrap();
    Folder::open(dir.path(), MissingFolder::Create).unwrap();
}

#[test]
fn a_folder_that_is_not_there_has_no_server() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(running_server(&dir.path().join("none")).unwrap(), None);
    assert!(!dir.path().join("none").exists());
}

#[test]
fn a_folder_that_is_not_there_is_made_only_for_what_fills_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shpo");
    let refused = Folder::open(&path, MissingFolder::Fail).unwrap_err();
    assert!(matches!(refused, FolderError::Missing { .. }));
    let sentence = refused.to_string();
    assert!(sentence.starts_with(&format!("no data folder \"{}\": ", path.display())), "{sentence}");
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    assert!(matches!(Folder::open(&path, MissingFolder::Fail), Err(FolderError::Missing { .. })), "empty");
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    drop(Folder::open(&path, MissingFolder::Create).unwrap());
    Folder::open(&path, MissingFolder::Fail).unwrap();
}

#[test]
fn a_folder_that_lost_its_database_is_damaged_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open(dir.path(), MissingFolder::Create).unwrap();
    drop(folder);
    let folder = Folder::open(dir.path(), MissingFolder::Create).unwrap();
    // A start that was killed before the database was there is begun again; from here on it is not.
    folder.complete().unwrap();
    folder.complete().unwrap();
    drop(folder);
    let database = dir.path().join(DATABASE);
    let refused = |problem: &str| {
        for missing in [MissingFolder::Create, MissingFolder::Fail] {
            let refused = Folder::open(dir.path(), missing).unwrap_err();
            assert!(matches!(refused, FolderError::Incomplete { .. }), "{refused}");
            let sentence = refused.to_string();
            assert!(
                sentence.contains(&format!("is damaged: {problem}. Restore the file from a copy")),
                "{sentence}"
            );
        }
    };
    refused("dynamodb.sqlite is missing");
    fs::write(&database, "").unwrap();
    refused("dynamodb.sqlite is empty");
    fs::write(&database, "not a database, whatever its name says").unwrap();
    refused("dynamodb.sqlite is not a database");
    fs::write(&database, b"SQLite format 3\0and the rest").unwrap();
    drop(Folder::open(dir.path(), MissingFolder::Fail).unwrap());
    fs::create_dir_all(dir.path().join("s3/files")).unwrap();
    refused("s3/index.sqlite is missing");
    let earlier = r#"{"format":1,"created_by":"nextbasket 0.1.0"}"#;
    fs::write(dir.path().join("format.json"), earlier).unwrap();
    refused("s3/index.sqlite is missing");
}

#[cfg(unix)]
#[test]
fn a_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    drop(Folder::open(&path, MissingFolder::Create).unwrap());
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    drop(Folder::open(&path, MissingFolder::Fail).unwrap());
    assert_eq!(mode(), 0o700);
}
