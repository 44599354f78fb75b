//! Runs the `nextbasket` command as a person would.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its share")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nextbasket::api_client::ApiClient;
use nextbasket_domain::Timestamp;

pub fn nextbasket(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nextbasket"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end: standard output and standard error.
pub fn run(arguments: &[&str]) -> (Output, String, String) {
    ran(nextbasket(arguments))
}

fn ran(mut command: Command) -> (Output, String, String) {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, out, err)
}

/// Runs it and expects success; answers standard output.
pub fn succeed(arguments: &[&str]) -> String {
    succeeding(nextbasket(arguments))
}

/// Like [`succeed`], for a command that is already set up.
pub fn succeeding(command: Command) -> String {
    let shown = format!("{command:?}");
    let (output, out, err) = ran(command);
    assert!(output.status.success(), "{shown} ended with {}\n{out}\n{err}", output.status);
    out
}

/// Runs it and expects the exit code; answers standard error.
pub fn fail(arguments: &[&str], code: i32) -> String {
    failing(nextbasket(arguments), code)
}

/// Like [`fail`], for a command that is already set up.
pub fn failing(command: Command, code: i32) -> String {
    let shown = format!("{command:?}");
    let (output, out, err) = ran(command);
    assert_eq!(output.status.code(), Some(code), "{shown}\n{out}\n{err}");
    err
}

/// The key of a data folder, as the variables that SDK clients and commands read.
pub fn key_of(data: impl AsRef<Path>) -> [(&'static str, String); 2] {
    let key = nextbasket_machine::access::read_key_file(data.as_ref()).unwrap();
    [("AWS_ACCESS_KEY_ID", key.id().to_owned()), ("AWS_SECRET_ACCESS_KEY", key.secret().to_owned())]
}

/// A running `serve`, killed when it is dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = nextbasket(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("serve starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(address) = line.trim().strip_prefix("http://") else {
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            panic!("serve printed {line:?}\n{err}");
        };
        Self { address: address.parse().unwrap(), child }
    }

    pub fn api(&self) -> ApiClient {
        ApiClient::new(self.address)
    }

    /// As a power cut would for the process: SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits; answers whether it ended in order.
    pub fn stop(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small generated shop as a file with the columns that need no mapping.
pub fn shop_csv(folder: &Path) -> PathBuf {
    let end = Timestamp::parse("2026-03-10T00:00:00Z").unwrap();
    let shop = nextbasket_shop::generate(1, end, nextbasket_shop::ShopSize::SMALL);
    let name = |id: &str| {
        let product = shop.products.iter().find(|product| product.product_id.as_str() == id);
        product.map(|product| product.name.replace('"', "'")).unwrap_or_default()
    };
    let mut csv = "user_id,product_id,timestamp,quantity,price,product_name,basket_id\n".to_owned();
    for purchase in &shop.purchases {
        for line in &purchase.lines {
            csv.push_str(&format!(
                "{},{},{},{},2.50,\"{}\",{}\n",
                purchase.user_id,
                line.product_id,
                purchase.purchased_at,
                line.quantity,
                name(line.product_id.as_str()),
                purchase.purchase_id
            ));
        }
    }
    let path = folder.join("shop.csv");
    std::fs::write(&path, csv).unwrap();
    path
}
