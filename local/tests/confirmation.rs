//! Whose tables a command changes, and that somebody means it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod killed;

use std::process::Command;

use aws_sdk_dynamodb::types::AttributeValue;
use command::{failing, nextbasket, succeeding};
use killed::Site;

async fn items(site: &Site, table: &str) -> usize {
    site.dynamodb.scan().table_name(table).send().await.unwrap().items().len()
}

/// The endpoints are this process's own and have to go on meanwhile.
async fn outside<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn site_with_things() -> Site {
    let site = Site::start().await;
    site.table("things").await;
    site.table("others").await;
    for id in ["a", "b", "c"] {
        let put = site.dynamodb.put_item().table_name("things");
        put.item("id", AttributeValue::S(id.to_owned())).send().await.unwrap();
    }
    site
}

#[tokio::test]
async fn a_script_changes_items_at_an_endpoint_only_if_it_says_yes() {
    let site = site_with_things().await;
    let (dump, archive) = (site.path("dump"), site.path("archive"));
    site.succeed(&["dump", "things", "--to", &dump]).await;
    let through = site.through(&site.endpoint);
    let command = |arguments: &[&str]| -> Command {
        let mut command = site.unconfirmed(arguments);
        command.args(&through);
        command
    };
    let jobs = site.succeed(&["jobs", "list", "--json"]).await;
    for arguments in [
        &["delete", "things", "--all"][..],
        &["update", "things", "--set", "n = 1"],
        &["archive", "things", "--where", "attribute_exists(id)", "--to", &archive],
        &["fill", "things", "--count", "5"],
        &["copy", "others", "things"],
        &["restore", &dump, "things"],
    ] {
        let unconfirmed = command(arguments);
        let err = outside(move || failing(unconfirmed, 2)).await;
        let key: String =
            site.access()[0].1.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
        for word in [arguments[0], "table things (", "3 items", &site.endpoint, &format!("…{key}"), "--yes"]
        {
            assert!(err.contains(word), "{arguments:?} does not say {word:?}:\n{err}");
        }
        let mut estimated = command(arguments);
        estimated.arg("--dry-run");
        outside(move || succeeding(estimated)).await;
    }
    assert_eq!(items(&site, "things").await, 3);
    assert_eq!(site.succeed(&["jobs", "list", "--json"]).await, jobs, "no job was submitted");
    // What replaces nothing needs no confirmation.
    for arguments in [
        &["copy", "things", "others", "--on-conflict", "skip"][..],
        &["restore", &dump, "things", "--on-conflict", "skip"],
        &["restore", &dump, "new", "--create"],
    ] {
        let harmless = command(arguments);
        outside(move || succeeding(harmless)).await;
    }
    assert_eq!((items(&site, "others").await, items(&site, "new").await), (3, 3));
    let mut confirmed = command(&["delete", "things", "--all", "--yes"]);
    confirmed.arg("--json");
    outside(move || succeeding(confirmed)).await;
    assert_eq!(items(&site, "things").await, 0);
}

#[tokio::test]
async fn a_profile_decides_the_credentials_and_an_unknown_one_is_an_error() {
    let site = site_with_things().await;
    let [(_, id), (_, secret), ..] = site.access();
    let config = site.file(
        "config",
        &format!(
            "[profile staging]\nregion = eu-west-1\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\
             [profile other]\nregion = eu-west-1\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n\
             [profile empty]\nregion = eu-west-1\n"
        ),
    );
    let through = site.through(&site.endpoint);
    let command = |arguments: &[&str], [id, secret]: [&str; 2]| -> Command {
        let mut command = nextbasket(arguments);
        command.args(&through).env("AWS_CONFIG_FILE", &config);
        command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("AWS_PROFILE", "other");
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
        command
    };
    let (ours, theirs) = ([id.as_str(), secret.as_str()], ["AKIAENVIRONMENT", "environment"]);
    let count = ["count", "things"];
    let staging = command(&[&count[..], &["--profile", "staging"]].concat(), theirs);
    assert!(outside(move || succeeding(staging)).await.starts_with("3 of 3 items"));
    let other = command(&[&count[..], &["--profile", "other"]].concat(), ours);
    let err = outside(move || failing(other, 1)).await;
    assert!(err.contains("access key of its data folder"), "{err}");
    let empty = command(&[&count[..], &["--profile", "empty"]].concat(), ours);
    let err = outside(move || failing(empty, 1)).await;
    assert!(err.contains("profile \"empty\" has no usable credentials: "), "{err}");
    let unknown = command(&[&count[..], &["--profile", "stagign"]].concat(), ours);
    let err = outside(move || failing(unknown, 2)).await;
    assert!(err.contains("profile \"stagign\" not found"), "{err}");
    assert!(err.contains("The profiles are empty, other, staging"), "{err}");
    // Without the option, variables come first, as in AWS's own tools.
    let variables = command(&count, ours);
    outside(move || succeeding(variables)).await;

    let delete = command(&["delete", "things", "--all", "--profile", "staging"], theirs);
    let err = outside(move || failing(delete, 2)).await;
    assert!(err.contains("region eu-west-1, profile staging, access key …"), "{err}");
    assert_eq!(items(&site, "things").await, 3);
}
