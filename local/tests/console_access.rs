//! Who gets into the console, and what its answers allow a browser to do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails there"
)]

mod command;
mod console;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};

use command::{Server, nextbasket};
use console::{Page, send};

/// A server in memory, and the link that it printed.
struct Opened {
    child: Child,
    link: String,
    errors: BufReader<std::process::ChildStderr>,
    /// What it printed before the link, on standard error.
    before: String,
}

impl Opened {
    fn start(arguments: &[&str]) -> Self {
        let mut child = nextbasket(&["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let (mut before, mut link) = (String::new(), None);
        loop {
            let mut line = String::new();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it has ended: {before}");
            if line.trim() == "Stop with Ctrl-C." {
                break;
            }
            // The link is the last line before this one.
            before.extend(link.replace(line.trim().to_owned()));
        }
        let link = link.unwrap().strip_prefix("Console: ").unwrap().to_owned();
        Self { child, link, errors, before }
    }

    fn page(&self) -> Page {
        Page::opened(&self.link)
    }

    /// Stops it; everything that it wrote.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let mut text = std::mem::take(&mut self.before);
        self.errors.read_to_string(&mut text).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        text
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: SocketAddr, path: &str, headers: &[&str]) -> console::Answer {
    let lines = [format!("GET {path} HTTP/1.1"), format!("host: {address}")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain(headers.iter().copied()).collect();
    send(address, &lines, "")
}

#[test]
fn nothing_of_the_consoles_routes_answers_without_the_session() {
    let server = Opened::start(&["--ephemeral"]);
    let Page { address, session } = server.page();
    for path in ["session", "overview", "tables", "jobs/x/batches", "nothing-of-this-name"] {
        let answer = get(address, &format!("/console/api/{path}"), &[]);
        assert_eq!((answer.status, answer.code().as_str()), (401, "session_required"), "{path}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
    }
    let cut = session.get(1..).unwrap();
    let header = |value: &str| format!("x-nextbasket-session: {value}");
    for wrong in ["", cut, &session.to_uppercase(), &format!("{session}0"), &"0".repeat(64)] {
        let answer = get(address, "/console/api/session", &[&header(wrong)]);
        assert_eq!(answer.status, 401, "{wrong:?}");
    }
    let twice = [header(&session), header(&session)];
    let twice = get(address, "/console/api/session", &twice.each_ref().map(String::as_str));
    assert_eq!(twice.status, 401, "which of the two is meant is not to be guessed");
    for path in [
        format!("/console/api/session?session={session}"),
        format!("/console/api/session?x-nextbasket-session={session}"),
    ] {
        assert_eq!(get(address, &path, &[]).status, 401, "in a query it would end up in logs");
    }
    for carrier in
        ["cookie: x-nextbasket-session=", "authorization: Bearer ", "referer: http://127.0.0.1/#session="]
    {
        assert_eq!(get(address, "/console/api/session", &[&format!("{carrier}{session}")]).status, 401);
    }
    assert_eq!(get(address, "/console/api/session", &[&header(&session)]).status, 200);
    let unknown = get(address, "/console/api/nothing-of-this-name", &[&header(&session)]);
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "route_not_found"));
}

#[test]
fn pages_of_other_origins_do_not_get_in_even_with_the_session() {
    let server = Opened::start(&["--ephemeral"]);
    let Page { address, session } = server.page();
    let session = format!("x-nextbasket-session: {session}");
    for path in ["/console/api/session", "/console/", "/console/console.js", "/"] {
        for foreign in [
            "origin: https://evil.example",
            "origin: null",
            "origin: http://127.0.0.1:1",
            "origin: http://localhost:3000",
            "sec-fetch-site: cross-site",
            "sec-fetch-site: same-site",
        ] {
            let answer = get(address, path, &[&session, foreign]);
            assert_eq!(answer.status, 403, "{path} {foreign}: {}", answer.body);
            assert!(!answer.head.contains("access-control-allow"), "{}", answer.head);
        }
        for host in ["evil.example", &format!("evil.example:{}", address.port()), "127.0.0.1:1"] {
            let lines = [format!("GET {path} HTTP/1.1"), format!("host: {host}"), session.clone()];
            let answer = send(address, &lines.each_ref().map(String::as_str), "");
            assert_eq!(answer.status, 403, "{path} {host}: {}", answer.body);
        }
    }
    // A form needs no permission of the server to be sent; a preflight gets none.
    let post = format!("POST /console/api/statistics HTTP/1.1\r\nhost: {address}");
    let form = ["content-type: application/x-www-form-urlencoded", "sec-fetch-site: cross-site"];
    assert_eq!(send(address, &[&post, form[0], form[1]], "confirm=true").status, 403);
    assert_eq!(send(address, &[&post, form[0]], "confirm=true").status, 401);
    let ask = format!("OPTIONS /console/api/session HTTP/1.1\r\nhost: {address}");
    let asked = send(
        address,
        &[&ask, "origin: https://evil.example", "access-control-request-headers: x-nextbasket-session"],
        "",
    );
    assert_eq!(asked.status, 403);
    assert!(!asked.head.contains("access-control-allow"), "{}", asked.head);
}

#[test]
fn the_page_is_static_kept_to_itself_and_asked_for_again_only_when_it_has_changed() {
    let server = Opened::start(&["--ephemeral"]);
    let address = server.page().address;
    for (path, media) in [
        ("/console/", "text/html"),
        ("/console/console.js", "text/javascript"),
        ("/console/console.css", "text/css"),
        ("/console/icon.svg", "image/svg+xml"),
    ] {
        let answer = get(
            address,
            path,
            &["origin: http://127.0.0.1".replace("127.0.0.1", &address.to_string()).as_str()],
        );
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains(&format!("content-type: {media}")), "{}", answer.head);
        assert!(answer.head.contains("cache-control: no-cache"), "{}", answer.head);
        let tag = answer.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let again = get(address, path, &[&format!("if-none-match: {tag}")]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(get(address, path, &["if-none-match: \"0\""]).status, 200, "{path}");
    }
    for path in ["/", "/console"] {
        let answer = get(address, path, &[]);
        assert!(
            (300..400).contains(&answer.status) && answer.head.contains("location: /console/\r\n"),
            "{}",
            answer.head
        );
    }
    for path in ["/", "/console/", "/console/console.js", "/console/none", "/console/api/session"] {
        let head = get(address, path, &[]).head;
        for protection in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(protection), "{path} lacks {protection:?}: {head}");
        }
        assert!(!head.contains("set-cookie"), "{head}");
    }
}

#[test]
fn no_path_leads_out_of_the_pages_files() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--data", folder.path().to_str().unwrap()]);
    for path in [
        "/console/../Cargo.toml",
        "/console/..%2fCargo.toml",
        "/console/%2e%2e/Cargo.toml",
        "/console/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/console/..\\..\\access-key",
        "/console/access-key",
        "/console//etc/passwd",
        "/console/assets/../../access-key",
        "/console/console.js/../../../access-key",
        "/console/console.js%00.html",
        "/console/index.html",
        "/consoles",
        "/console/api/../../access-key",
        "/console/%61pi/session",
        "//console/api/session",
    ] {
        let answer = get(server.address, path, &[]);
        assert!([400, 401, 404].contains(&answer.status), "{path}: {}", answer.head);
        assert!(
            !answer.body.contains("AWS_SECRET") && !answer.body.contains("root:"),
            "{path}: {}",
            answer.body
        );
    }
}

#[test]
fn the_link_of_a_data_folder_stays_valid_and_is_the_last_thing_that_serve_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let first = Opened::start(&["--data", data]).page().session.clone();
    let again = Opened::start(&["--data", data]);
    assert_eq!(again.page().session, first);
    let session = again.page().get("/console/api/session");
    assert_eq!(session["writable"], false, "unless it was started with --writable");
    let other = Opened::start(&["--ephemeral"]);
    assert_ne!(other.page().session, first);
    let theirs = Page { session: first, ..other.page() };
    assert_eq!(theirs.call("GET", "/console/api/session", None).status, 401);
}

#[cfg(target_os = "linux")]
#[test]
fn the_sessions_secret_is_in_no_log_no_process_list_and_no_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let server = Opened::start(&["--data", folder.path().to_str().unwrap()]);
    let page = server.page();
    let secret = page.session.clone();
    for path in [
        "/console/api/session".to_owned(),
        "/console/api/overview".to_owned(),
        format!("/console/api/session?session={secret}"),
        format!("/users/{secret}/purchases"),
        format!("/console/{secret}"),
    ] {
        page.call("GET", &path, None);
        page.call("POST", &path, Some(&serde_json::json!({ "session": secret })));
    }
    let pid = server.child.id();
    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(&secret), "{file}");
    }
    let mut unread = vec![folder.path().to_owned()];
    while let Some(path) = unread.pop() {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                unread.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{:?}", entry.path());
        }
    }
    let key = std::fs::metadata(folder.path().join("access-key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600, "the secret follows from the key");
    let said = server.stop();
    assert!(!said.contains(&secret), "{said}");
}

#[test]
fn slow_and_idle_clients_keep_nobody_out() {
    let server = Opened::start(&["--ephemeral"]);
    let page = server.page();
    let mut open = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(page.address).unwrap();
        // Every second one begins a body that never comes.
        if n % 2 == 0 {
            let head =
                format!("POST /console/api/session HTTP/1.1\r\nhost: {}\r\ncontent-length: 9", page.address);
            write!(stream, "{head}\r\nx-nextbasket-session: {}\r\n\r\n", page.session).unwrap();
        }
        open.push(stream);
    }
    assert_eq!(page.call("GET", "/console/api/session", None).status, 200);
    assert_eq!(page.call("GET", "/console/", None).status, 200);
    drop(open);
}
