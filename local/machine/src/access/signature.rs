//! Signature Version 4 in the `Authorization` header of requests, verified and created.
//!
//! Follows <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. Not
//! supported here: signatures in the query, which only S3 clients send (and S3 has its own check).

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::Mac;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{AccessKey, keyed, mac};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &str = "x-amz-date";
const DATE_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// How far the clocks of both sides may be apart, as on AWS.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Characters that a canonical path or query does not encode.
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request was signed with the key, at an acceptable time.
    Good,
    /// The request has no signature, or only parts of one.
    Incomplete,
    /// The request was signed with another key.
    UnknownKey,
    /// The time of the signature is too far in the past or in the future.
    Skewed,
    /// The signature is wrong: it was made with another secret, or the request was changed afterwards.
    Forged,
}

/// Whether a request claims, in its head or its query, to be signed with the key of this id.
pub(crate) fn is_signed(head: &Parts, id: &str) -> bool {
    let in_head = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_query = head.uri.query().unwrap_or_default().split('&');
    let mut credentials = in_query.filter_map(|pair| pair.strip_prefix("X-Amz-Credential="));
    in_head.and_then(Authorization::parse).is_some_and(|given| given.key == id)
        || credentials.any(|credential| credential.starts_with(id))
}

pub(super) struct Authorization<'a> {
    key: &'a str,
    /// Date, region, service and `aws4_request`.
    scope: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(value: &'a str) -> Option<Self> {
        let fields = value.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields.split([',', ' ']).find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let (key, scope) = field("Credential")?.split_once('/')?;
        let (signed_headers, signature) = (field("SignedHeaders")?, field("Signature")?);
        Some(Self { key, scope, signed_headers, signature })
    }

    fn scope(&self) -> Option<[&'a str; 4]> {
        let mut parts = self.scope.split('/');
        let scope = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        (parts.next().is_none() && scope.last() == Some(&"aws4_request")).then_some(scope)
    }
}

/// Checks which key the request claims to be signed with, before its body has arrived.
pub(super) fn claimed<'a>(head: &'a Parts, key: &AccessKey) -> Result<Authorization<'a>, Verdict> {
    let value = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match value.and_then(Authorization::parse) {
        None => Err(Verdict::Incomplete),
        Some(given) if given.key != key.id() => Err(Verdict::UnknownKey),
        Some(given) => Ok(given),
    }
}

/// Verifies the signature of a whole request.
pub(super) fn verify(head: &Parts, body: &[u8], key: &AccessKey, now: SystemTime) -> Verdict {
    let given = match claimed(head, key) {
        Ok(given) => given,
        Err(verdict) => return verdict,
    };
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(date), Some(scope)) = (text(DATE), given.scope()) else { return Verdict::Incomplete };
    let Ok(signed_at) = NaiveDateTime::parse_from_str(date, DATE_FORMAT) else { return Verdict::Incomplete };
    let names: Vec<&str> = given.signed_headers.split(';').collect();
    // Headers that say where the request goes, when, and what it does, must be covered by the signature.
    let needed = ["host", DATE, "x-amz-target"];
    if needed.iter().any(|name| head.headers.contains_key(*name) && !names.contains(name)) {
        return Verdict::Forged;
    }
    if !date.starts_with(scope[0]) {
        return Verdict::Forged;
    }
    let Some(message) = string_to_sign(head, &names, body, date, given.scope) else { return Verdict::Forged };
    let Some(signature) = unhex(given.signature) else { return Verdict::Forged };
    let expected = keyed(&signing_key(key, scope)).chain_update(message);
    // This comparison takes constant time.
    if expected.verify_slice(&signature).is_err() {
        return Verdict::Forged;
    }
    let apart = (DateTime::<Utc>::from(now) - signed_at.and_utc()).abs();
    if apart.to_std().is_ok_and(|apart| apart <= SKEW) { Verdict::Good } else { Verdict::Skewed }
}

/// Signs a request in place, for the host that it names. This is for programs that change requests on their way, such
/// as a test's proxy; SDK clients sign by themselves.
pub fn sign(head: &mut Parts, body: &[u8], key: &AccessKey, region: &str, service: &str, now: SystemTime) {
    let date = DateTime::<Utc>::from(now).format(DATE_FORMAT).to_string();
    let Ok(value) = HeaderValue::from_str(&date) else { return };
    head.headers.insert(DATE, value);
    let day = date.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let mut names = vec!["host", DATE];
    if head.headers.contains_key("x-amz-target") {
        names.push("x-amz-target");
    }
    let Some(message) = string_to_sign(head, &names, body, &date, &scope) else { return };
    let signature = hex(&mac(&signing_key(key, [day, region, service, "aws4_request"]), message.as_bytes()));
    let (id, names) = (key.id(), names.join(";"));
    let value = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    if let Ok(value) = HeaderValue::from_str(&value) {
        head.headers.insert(header::AUTHORIZATION, value);
    }
}

fn signing_key(key: &AccessKey, scope: [&str; 4]) -> [u8; 32] {
    let [date, region, service, end] = scope.map(str::as_bytes);
    let key = mac(format!("AWS4{}", key.secret()).as_bytes(), date);
    [region, service, end].into_iter().fold(key, |key, part| mac(&key, part))
}

fn string_to_sign(head: &Parts, names: &[&str], body: &[u8], date: &str, scope: &str) -> Option<String> {
    let mut request = format!("{}\n{}\n{}\n", head.method, canonical_path(head), canonical_query(head)?);
    for name in names {
        writeln!(request, "{name}:{}", canonical_header(&head.headers, name)?).ok()?;
    }
    let payload = hex(&Sha256::digest(body));
    write!(request, "\n{}\n{payload}", names.join(";")).ok()?;
    Some(format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&Sha256::digest(request))))
}

/// The path with a second level of encoding, as all services but S3 require.
fn canonical_path(head: &Parts) -> String {
    let segment = |segment| utf8_percent_encode(segment, &UNRESERVED).to_string();
    head.uri.path().split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn canonical_query(head: &Parts) -> Option<String> {
    let encoded = |text: &str| -> Option<String> {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        Some(utf8_percent_encode(&text, &UNRESERVED).to_string())
    };
    let mut pairs = Vec::new();
    for pair in head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push(format!("{}={}", encoded(name)?, encoded(value)?));
    }
    pairs.sort();
    Some(pairs.join("&"))
}

/// All values of the header, joined, with runs of spaces collapsed.
fn canonical_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        let words: Vec<&str> = value.to_str().ok()?.split_whitespace().collect();
        values.push(words.join(" "));
    }
    (!values.is_empty()).then(|| values.join(","))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn key() -> AccessKey {
        AccessKey::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    }

    fn at(date: &str) -> SystemTime {
        NaiveDateTime::parse_from_str(date, DATE_FORMAT).unwrap().and_utc().into()
    }

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().method("GET").uri(uri);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    /// From AWS's test suite for signatures: `get-vanilla` and `get-vanilla-query-order-key-case`.
    const EXAMPLES: [(&str, &str); 2] = [
        ("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ];

    fn example(uri: &str, signature: &str) -> Parts {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let headers = [("host", "example.amazonaws.com"), (DATE, "20150830T123600Z")];
        head(uri, &[&headers[..], &[("authorization", &authorization)]].concat())
    }

    #[test]
    fn the_examples_of_aws_are_good_for_a_quarter_of_an_hour() {
        for (uri, signature) in EXAMPLES {
            let head = example(uri, signature);
            for (now, verdict) in [
                ("20150830T123600Z", Verdict::Good),
                ("20150830T125059Z", Verdict::Good),
                ("20150830T122101Z", Verdict::Good),
                ("20150830T125101Z", Verdict::Skewed),
                ("20150830T122059Z", Verdict::Skewed),
            ] {
                assert_eq!(verify(&head, b"", &key(), at(now)), verdict, "{uri} {now}");
            }
        }
    }

    #[test]
    fn whatever_is_changed_shows() {
        let (uri, signature) = EXAMPLES[0];
        let now = at("20150830T123600Z");
        let good = example(uri, signature);
        let changed = |change: &dyn Fn(&mut Parts)| {
            let mut head = good.clone();
            change(&mut head);
            verify(&head, b"", &key(), now)
        };
        assert_eq!(verify(&good, b"more", &key(), now), Verdict::Forged);
        assert_eq!(changed(&|head| head.method = http::Method::POST), Verdict::Forged);
        assert_eq!(changed(&|head| head.uri = "/?a=b".parse().unwrap()), Verdict::Forged);
        let set = |name: &'static str, value: &'static str| {
            move |head: &mut Parts| drop(head.headers.insert(name, HeaderValue::from_static(value)))
        };
        assert_eq!(changed(&set("host", "evil.example")), Verdict::Forged);
        assert_eq!(changed(&set(DATE, "20150830T123601Z")), Verdict::Forged);
        assert_eq!(changed(&set(DATE, "yesterday")), Verdict::Incomplete);
        assert_eq!(changed(&set("x-amz-target", "DynamoDB_20120810.PutItem")), Verdict::Forged, "not signed");
        assert_eq!(changed(&|head| drop(head.headers.remove("authorization"))), Verdict::Incomplete);
        assert_eq!(changed(&|head| drop(head.headers.remove(DATE))), Verdict::Incomplete);
        let other = AccessKey::new(key().id(), "another");
        assert_eq!(verify(&good, b"", &other, now), Verdict::Forged);
        let other = AccessKey::new("another", key().secret());
        assert_eq!(verify(&good, b"", &other, now), Verdict::UnknownKey);
        for signature in ["", "00", "zz", &signature[..62], "é"] {
            let request = Request::builder().uri("/").header("host", "example.amazonaws.com");
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            let request = request.header(DATE, "20150830T123600Z");
            let request =
                request.header("authorization", HeaderValue::from_bytes(authorization.as_bytes()).unwrap());
            let head = request.body(()).unwrap().into_parts().0;
            assert_ne!(verify(&head, b"", &key(), now), Verdict::Good, "{signature:?}");
        }
    }

    #[test]
    fn what_is_signed_here_is_good_here() {
        let now = at("20261126T120000Z");
        let uri = "/2015-03-31/functions/arn%3Aaws/invocations?x=%20y&x=a";
        let mut head = head(uri, &[("host", "127.0.0.1:8000"), ("x-amz-target", "DynamoDB_20120810.Scan")]);
        sign(&mut head, b"{}", &key(), "local", "dynamodb", now);
        assert_eq!(verify(&head, b"{}", &key(), now), Verdict::Good);
        assert_eq!(verify(&head, b"{ }", &key(), now), Verdict::Forged);
    }
}
