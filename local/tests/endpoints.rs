//! What commands say of endpoints that do not answer as DynamoDB does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;

use std::io::{Read, Write};
use std::net::TcpListener;

use command::{failing, nextbasket};

/// A program that answers every request in the same way, and is no DynamoDB.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 64 << 10];
            // The requests of these commands come in one piece.
            let _read = stream.read(&mut request);
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n");
            let _gone = write!(stream, "{head}connection: close\r\n\r\n{body}");
        }
    });
    url
}

fn said(endpoint: &str) -> String {
    let mut command = nextbasket(&["lock", "show", "x", "--endpoint", endpoint]);
    command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    failing(command, 1)
}

#[test]
fn an_endpoint_that_is_none_is_reported_in_a_sentence() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let page = "<html>\n<body><h1>A page of a proxy</h1></body></html>";
    for (endpoint, words) in [
        (format!("http://{unused}"), &["no connection", "Connection refused", "Check the endpoint"][..]),
        (
            server("403 Forbidden", page),
            &["HTTP 403 with an answer that is not the service's", "A page of a proxy"],
        ),
        (
            server("200 OK", page),
            &["HTTP 200 with an answer that is not the service's", "Check the endpoint"],
        ),
        (server("502 Bad Gateway", page), &["HTTP 502 with an answer that is not the service's"]),
        (server("413 Content Too Large", page), &["HTTP 413: the request is too large"]),
    ] {
        let err = said(&endpoint);
        for word in words {
            assert!(err.contains(word), "{err}");
        }
        assert!(!err.contains(" { ") && !err.contains("Error("), "no fields of structs: {err}");
        assert_eq!(err.trim().lines().count(), 1, "{err}");
        assert!(err.len() < 400, "{err}");
    }
}

#[test]
fn missing_credentials_are_reported_in_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let mut command = nextbasket(&["lock", "show", "x", "--region", "eu-central-1"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    command.env("HOME", home.path()).env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let err = failing(command, 1);
    let wanted =
        "nextbasket: no credentials: give --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    assert!(err.starts_with(wanted), "{err}");
    assert_eq!(err.trim().lines().count(), 1, "{err}");
    assert!(!err.contains(" { "), "{err}");
}
