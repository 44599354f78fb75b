//! A server over a data folder, and calls of its console.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use nextbasket_machine::access::read_key_file;
use nextbasket_machine::dynamodb::sdk_config;
use nextbasket_machine::folder::running_server;
use nextbasket_machine::s3::s3_config;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::Server;

pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) dynamodb: Client,
    pub(crate) s3: aws_sdk_s3::Client,
    session: String,
}

impl Site {
    pub(crate) fn start(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let data = folder.path().join("data");
        let server = Server::start(&[&["--data", data.to_str().unwrap()], options].concat());
        let key = read_key_file(&data).unwrap();
        let host = running_server(&data).unwrap().unwrap();
        let dynamodb = Client::new(&sdk_config(&format!("http://{}", host.dynamodb), &key));
        let s3 = aws_sdk_s3::Client::from_conf(s3_config(&format!("http://{}", host.s3.unwrap()), &key));
        let session: String = key.derive("console").iter().map(|byte| format!("{byte:02x}")).collect();
        Self { folder, server, dynamodb, s3, session }
    }

    pub(crate) fn writable() -> Self {
        Self::start(&["--writable"])
    }

    /// The head of a request with the session, up to the empty line that is missing.
    pub(crate) fn head(&self, method: &str, path: &str) -> String {
        let (address, session) = (self.server.address, &self.session);
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nx-nextbasket-session: {session}\r\nconnection: close\r\n"
        )
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.server.address).unwrap();
        write!(stream, "{}content-length: {}\r\n\r\n", self.head(method, path), body.len()).unwrap();
        // A server that answers before it has read everything may close the connection.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if body.is_empty() {
            return (status, Value::Null);
        }
        (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{method} {path}: {answer}")))
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.send(method, path, body.to_string().as_bytes())
    }

    /// What a call answers that succeeds.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", path, b"");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call("POST", path, body);
        assert!(status < 300, "{path} {body}: {status} {answer}");
        answer
    }

    /// Status, code and field of a call that is refused.
    #[track_caller]
    pub(crate) fn refused(&self, method: &str, path: &str, body: &Value) -> (u16, String, String) {
        let (status, answer) = self.call(method, path, body);
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (status, text("code"), text("field"))
    }

    /// Submits a job.
    pub(crate) fn submit(&self, kind: &str, parameters: &Value) -> String {
        let job = self.post("/jobs", &json!({ "kind": kind, "parameters": parameters }));
        job["jobId"].as_str().unwrap().to_owned()
    }

    /// Runs a job to its end.
    pub(crate) fn run(&self, kind: &str, parameters: &Value) -> Value {
        let id = self.submit(kind, parameters);
        self.ended(&id)
    }

    pub(crate) fn ended(&self, id: &str) -> Value {
        self.until(|| Some(self.get(&format!("/jobs/{id}"))).filter(|job| job["endedAt"].is_string()))
    }

    /// Waits for something that is sure to come.
    #[track_caller]
    pub(crate) fn until<T>(&self, mut come: impl FnMut() -> Option<T>) -> T {
        for _ in 0..600 {
            if let Some(come) = come() {
                return come;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("it did not come within a minute");
    }

    /// A table with the partition key `id`, the sort key `n` and the index `by-city` on `city`.
    pub(crate) async fn table(&self, name: &str) {
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, kind| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        };
        let index = GlobalSecondaryIndex::builder()
            .index_name("by-city")
            .key_schema(key("city", KeyType::Hash))
            .projection(Projection::builder().projection_type(ProjectionType::All).build());
        let create = self.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create
            .attribute_definitions(attribute("id", ScalarAttributeType::S))
            .attribute_definitions(attribute("n", ScalarAttributeType::N))
            .attribute_definitions(attribute("city", ScalarAttributeType::S))
            .key_schema(key("id", KeyType::Hash))
            .key_schema(key("n", KeyType::Range))
            .global_secondary_indexes(index.build().unwrap());
        create.send().await.unwrap();
    }

    pub(crate) fn bucket(&self, which: &str) -> String {
        self.get("/console/api/session")["buckets"][which].as_str().unwrap().to_owned()
    }

    pub(crate) fn stack_table(&self, which: &str) -> String {
        self.get("/console/api/session")["tables"][which].as_str().unwrap().to_owned()
    }
}
