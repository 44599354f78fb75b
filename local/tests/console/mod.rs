//! A caller of the console's routes, as the page is one.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nextbasket_console::SessionSecret;
use nextbasket_machine::access::read_key_file;
use serde_json::Value;

pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends head lines and a body as they are.
pub fn send(address: SocketAddr, lines: &[&str], body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = lines.join("\r\n");
    write!(stream, "{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

#[derive(Clone)]
pub struct Page {
    pub address: SocketAddr,
    pub session: String,
}

impl Page {
    /// The page of the server that has this folder open.
    pub fn of_folder(address: SocketAddr, data: &Path) -> Self {
        let key = read_key_file(data).unwrap();
        Self::opened(&SessionSecret::new(key.derive("console")).link(address))
    }

    /// The page at this link, as a command prints it.
    pub fn opened(link: &str) -> Self {
        let (address, session) = link.split_once("/console/#session=").unwrap();
        let address = address.strip_prefix("http://").unwrap().parse().unwrap();
        Self { address, session: session.to_owned() }
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let lines = [
            format!("{method} {path} HTTP/1.1"),
            format!("host: {}", self.address),
            format!("x-nextbasket-session: {}", self.session),
            "content-type: application/json".to_owned(),
        ];
        send(self.address, &lines.each_ref().map(String::as_str), &body)
    }

    /// Expects 2xx; the JSON of the answer.
    pub fn get(&self, path: &str) -> Value {
        self.expect("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.expect("POST", path, Some(body))
    }

    fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.head, answer.body);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Asks again until the answer is as wanted.
    pub fn until(&self, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.get(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{what}: {answer:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Submits a job and waits for its end.
    pub fn job(&self, kind: &str, parameters: &Value) -> Value {
        let job = self.post("/jobs", &serde_json::json!({ "kind": kind, "parameters": parameters }));
        let path = format!("/jobs/{}", job["jobId"].as_str().unwrap());
        let has_ended = |job: &Value| {
            ["succeeded", "failed", "cancelled"].contains(&job["state"].as_str().unwrap_or_default())
        };
        self.until(&path, "the job ends", has_ended)
    }
}
