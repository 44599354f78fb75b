//! Raw HTTP requests, such as attackers send and SDK clients do not.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::SocketAddr;
use std::time::SystemTime;

use http::Request;
use nextbasket_machine::AccessKey;
use nextbasket_machine::access::sign;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn allows_other_origins(&self) -> bool {
        self.head.contains("access-control-allow")
    }
}

/// Sends head lines and a body; a `Host` line is added unless there is one.
pub(crate) async fn send(address: SocketAddr, lines: &[&str], body: &str) -> Answer {
    let mut head = lines.join("\r\n");
    if !lines.iter().any(|line| line.to_lowercase().starts_with("host:")) {
        head += &format!("\r\nhost: {address}");
    }
    let request = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// The head lines of a DynamoDB call that is signed with this key for this host.
pub(crate) fn signed(host: &str, target: &str, body: &str, key: &AccessKey, now: SystemTime) -> Vec<String> {
    let request = Request::builder().method("POST").uri("/").header("host", host);
    let request = request.header("x-amz-target", target).header("content-type", "application/x-amz-json-1.0");
    let mut head = request.body(()).unwrap().into_parts().0;
    sign(&mut head, body.as_bytes(), key, "local", "dynamodb", now);
    let headers = head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    std::iter::once("POST / HTTP/1.1".to_owned()).chain(headers).collect()
}
