//! A request's parts, parsed with errors that name the field.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_ENCODING;
use nextbasket_domain::object::Object;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::json_text::{UniqueKeys, with_whole_numbers};
use crate::{ApiError, Caller, cursor};

/// The largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The largest and the default number of items of one answer.
pub const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 10;

/// One API request, its caller known.
#[derive(Debug)]
pub struct Request<'a> {
    /// The event as API Gateway sent it.
    pub event: &'a ApiGatewayV2httpRequest,
    pub caller: Caller,
}

impl Request<'_> {
    /// The route that API Gateway matched, such as `GET /products/{productId}`.
    #[must_use]
    pub fn route(&self) -> &str {
        self.event.route_key.as_deref().unwrap_or_default()
    }

    /// A path parameter. An HTTP API gives it decoded.
    ///
    /// # Errors
    /// 400 if it is missing or `parse` does not take it.
    pub fn path<T, E: std::fmt::Display>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        let text = self.event.path_parameters.get(name).ok_or_else(|| ApiError::missing(name))?;
        parse(text).map_err(|error| ApiError::invalid(name, error))
    }

    /// A parameter of the path or, on a route whose path has none, of the query, which may hold it and those in
    /// `allowed`. A query carries every id; a path does not.
    ///
    /// # Errors
    /// 400 if it is missing or `parse` does not take it, or if the query is not accepted.
    pub fn path_or_query<T, E: std::fmt::Display>(
        &self,
        name: &'static str,
        allowed: &[&'static str],
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<(T, Query), ApiError> {
        if self.event.path_parameters.contains_key(name) {
            return Ok((self.path(name, parse)?, self.query(allowed)?));
        }
        let query = self.query(&[allowed, &[name]].concat())?;
        let given = query.get(name, parse)?;
        Ok((given.ok_or_else(|| ApiError::missing(name))?, query))
    }

    /// The query, which may hold these parameters and no others.
    ///
    /// # Errors
    /// 400 for a parameter that is unknown, given twice, or not UTF-8 when decoded. Parameters whose names end in
    /// `*` in `allowed` may be given any number of times.
    pub fn query(&self, allowed: &[&'static str]) -> Result<Query, ApiError> {
        Query::parse(self.event.raw_query_string.as_deref().unwrap_or_default(), allowed)
    }

    /// The body as JSON, whatever its content type says.
    ///
    /// # Errors
    /// 415 if it is compressed; 413 if it is larger than [`MAX_BODY_BYTES`]; 400 if it is not JSON in UTF-8 or not of
    /// the form that `T` asks for, naming the field.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let encodings = self.event.headers.get_all(CONTENT_ENCODING).iter();
        if encodings.filter(|value| !value.is_empty()).any(|value| value != "identity") {
            return Err(ApiError::unsupported_encoding());
        }
        let body = self.event.body.as_deref().unwrap_or_default();
        if self.event.is_base64_encoded {
            if body.len() > MAX_BODY_BYTES.div_ceil(3) * 4 {
                return Err(ApiError::body_too_large(MAX_BODY_BYTES));
            }
            let bytes = STANDARD.decode(body).map_err(|_| ApiError::invalid_json("body is not base64"))?;
            return parse_json(&bytes, MAX_BODY_BYTES);
        }
        parse_json(body.as_bytes(), MAX_BODY_BYTES)
    }
}

/// A JSON body of at most `max_bytes`.
///
/// # Errors
/// 413 if it is larger; 400 if it is not JSON in UTF-8 or not of the form that `T` asks for, naming the field.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8], max_bytes: usize) -> Result<T, ApiError> {
    if bytes.len() > max_bytes {
        return Err(ApiError::body_too_large(max_bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ApiError::invalid_json(format!("body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    if text.trim_ascii().is_empty() {
        return Err(ApiError::invalid_json("a JSON body is required"));
    }
    let of_field = |error: serde_path_to_error::Error<serde_json::Error>| {
        field_error(&error.path().to_string(), error.inner())
    };
    let text = with_whole_numbers(text);
    match serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text)) {
        // What else is wrong is reported below, with what is expected in its place.
        Ok(UniqueKeys) => {}
        Err(error) if !error.inner().is_data() => {}
        Err(error) => return Err(of_field(error)),
    }
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(of_field)?;
    deserializer.end().map_err(|error| ApiError::invalid_json(format!("body is not JSON: {error}")))?;
    Ok(value)
}

/// Serde says which field is unknown, missing or given twice only in words.
fn field_error(path: &str, error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        return ApiError::invalid_json(format!("body is not JSON: {error}"));
    }
    let words = error.to_string();
    let words = short(words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words));
    let parent = if path == "." { "" } else { short(path) };
    let named = |prefix: &str| {
        let name = words.strip_prefix(prefix)?.split('`').next()?;
        // The path may or may not hold the field already, depending on where the error arose.
        let parent = parent.strip_suffix(name).map_or(parent, |parent| parent.trim_end_matches('.'));
        Some(if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") })
    };
    if let Some(field) = named("unknown field `") {
        ApiError::unknown(field)
    } else if let Some(field) = named("missing field `") {
        ApiError::missing(field)
    } else if let Some(field) = named("duplicate field `") {
        ApiError::invalid(field, "is given twice")
    } else {
        let field = if parent.is_empty() { "body" } else { parent };
        let problem =
            if words.starts_with("must ") { words.to_owned() } else { format!("is not valid: {words}") };
        ApiError::invalid(field, problem)
    }
}

/// As much of a client's own words as an answer gives back.
fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(300)).unwrap_or(text)
}

/// A query's parameters, decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of a query's text, of which each is allowed; one with `*` at the end may be given many times.
    ///
    /// # Errors
    /// 400 if one is not allowed, is given twice, or is not encoded as a query is.
    pub fn parse(raw: &str, allowed: &[&'static str]) -> Result<Self, ApiError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| ApiError::invalid("query", NOT_ENCODED))?;
            let value = decode(value).ok_or_else(|| ApiError::invalid(&name, NOT_ENCODED))?;
            let many = allowed.iter().any(|known| known.strip_suffix('*') == Some(&name));
            if !many && !allowed.contains(&name.as_str()) {
                return Err(ApiError::unknown(name));
            }
            if !many && parameters.iter().any(|(known, _)| *known == name) {
                return Err(ApiError::invalid(name, "is given twice"));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The parameter's text, if it is given.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parameter, if it is given.
    pub fn get<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiError> {
        self.text(name).map(|text| parse(text).map_err(|error| ApiError::invalid(name, error))).transpose()
    }

    /// All values of a parameter that may be given many times.
    pub fn all<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, ApiError> {
        let given = self.0.iter().filter(|(known, _)| known == name);
        given.map(|(_, value)| parse(value).map_err(|error| ApiError::invalid(name, error))).collect()
    }

    /// The position in the list named `list` that the parameter `cursor` holds, if it is given. `position` makes it from
    /// what was encoded.
    pub fn cursor<P: DeserializeOwned, T>(
        &self,
        list: &str,
        position: impl FnOnce(P) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        position(cursor::decode(list, text)?).map(Some).ok_or_else(ApiError::invalid_cursor)
    }

    /// The parameter `limit`: 1 to [`MAX_LIMIT`], 10 if it is not given.
    pub fn limit(&self) -> Result<usize, ApiError> {
        Ok(self.get("limit", parse_limit)?.unwrap_or(DEFAULT_LIMIT))
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().unwrap_or(0);
    check_limit(limit)
}

fn check_limit(limit: usize) -> Result<usize, String> {
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err("must be a whole number from 1 to 100".to_owned())
    }
}

/// A `limit` in a JSON body: 1 to [`MAX_LIMIT`], 10 if it is left out (`#[serde(default)]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub usize);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<'de> serde::Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = i64::deserialize(deserializer)?;
        check_limit(usize::try_from(limit).unwrap_or(0)).map(Self).map_err(serde::de::Error::custom)
    }
}

const NOT_ENCODED: &str = "must be percent-encoded UTF-8";

fn decode(text: &str) -> Option<String> {
    // A percent sign that begins no escape would otherwise stand for itself.
    let escape =
        |after: &str| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(escape) {
        return None;
    }
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nextbasket_domain::{Line, PurchaseId};
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it parses matters")]
    struct Body {
        purchase_id: PurchaseId,
        #[serde(deserialize_with = "nextbasket_domain::object::many")]
        lines: Vec<Line>,
        #[serde(default)]
        limit: Limit,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named_by_code_and_field() {
        for (body, code, field) in [
            ("", "invalid_json", "body"),
            ("{", "invalid_json", "body"),
            ("{} x", "missing_field", "purchaseId"),
            (r#"{"purchaseId":"p","lines":[]} x"#, "invalid_json", "body"),
            ("[]", "invalid_field", "body"),
            ("7", "invalid_field", "body"),
            (r#"{"purchaseId":"p"}"#, "missing_field", "lines"),
            (r#"{"purchaseId":"","lines":[]}"#, "invalid_field", "purchaseId"),
            (r#"{"purchaseId":7,"lines":[]}"#, "invalid_field", "purchaseId"),
            (r#"{"purchaseId":"p","purchaseId":"p","lines":[]}"#, "invalid_field", "purchaseId"),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1,"quantity":1}]}"#,
                "invalid_field",
                "lines[0].quantity",
            ),
            (
                r#"{"purchaseId":"p","lines":[],"notes":{"a":{"b":"1","b":"2"}}}"#,
                "invalid_field",
                "notes.a.b",
            ),
            (
                r#"{"purchaseId":"p","lines":[],"notes":{"caf\u00e9":"1","café":"2"}}"#,
                "invalid_field",
                "notes.café",
            ),
            (r#"{"purchaseId":"p","lines":[],"colour":1}"#, "unknown_field", "colour"),
            (r#"{"purchaseId":"p","lines":{}}"#, "invalid_field", "lines"),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":-1}]}"#,
                "invalid_field",
                "lines[0].quantity",
            ),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1.5}]}"#,
                "invalid_field",
                "lines[0].quantity",
            ),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1e20}]}"#,
                "invalid_field",
                "lines[0].quantity",
            ),
            (r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1e400}]}"#, "invalid_json", "body"),
            (r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":NaN}]}"#, "invalid_json", "body"),
            (r#"{"purchaseId":"p","lines":[{"quantity":1}]}"#, "missing_field", "lines[0].productId"),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1,"x":1}]}"#,
                "unknown_field",
                "lines[0].x",
            ),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1,"unitPrice":{"amount":1,"currency":"eur"}}]}"#,
                "invalid_field",
                "lines[0].unitPrice.currency",
            ),
            (r#"{"purchaseId":"p","lines":[["a",1]]}"#, "invalid_field", "lines[0]"),
            (
                r#"{"purchaseId":"p","lines":[{"productId":"a","quantity":1,"unitPrice":[1,"EUR"]}]}"#,
                "invalid_field",
                "lines[0].unitPrice",
            ),
            (r#"{"purchaseId":"p","lines":[],"limit":101}"#, "invalid_field", "limit"),
        ] {
            let error = parse_json::<Body>(body.as_bytes(), MAX_BODY_BYTES).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{body}: {error}");
            assert_eq!(error.status, 400);
        }
        let long = "é".repeat(10_000);
        for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"purchaseId":"p","lines":"{long}"}}"#)] {
            assert!(parse_json::<Body>(body.as_bytes(), MAX_BODY_BYTES).unwrap_err().detail.len() < 1_000);
        }
        let large = format!(r#"{{"purchaseId":"{}","lines":[]}}"#, "x".repeat(MAX_BODY_BYTES));
        assert_eq!(parse_json::<Body>(large.as_bytes(), MAX_BODY_BYTES).unwrap_err().status, 413);
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_of_zero_or_an_exponent() {
        for (text, quantity) in [("1", 1), ("1.0", 1), ("1e2", 100), ("10.50e1", 105), ("1200E-2", 12)] {
            let body = format!(
                r#"{{"purchaseId":"p","lines":[{{"productId":"a","quantity":{text}}}],"limit":5.0}}"#
            );
            let body = parse_json::<Body>(body.as_bytes(), MAX_BODY_BYTES).unwrap();
            assert_eq!((body.lines[0].quantity, body.limit), (quantity, Limit(5)), "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json_wherever_they_are() {
        for body in [&b"{\"purchaseId\":\"\xff\",\"lines\":[]}"[..], b"\xef\xbb\xbf{}", b"\xc3{", b"{}\x80"] {
            let error = parse_json::<Body>(body, MAX_BODY_BYTES).unwrap_err();
            assert_eq!(
                (error.status, error.code, error.field.as_deref()),
                (400, "invalid_json", Some("body"))
            );
        }
    }

    #[test]
    fn a_query_is_decoded_and_held_to_its_parameters() {
        let query = Query::parse(
            "category=K%C3%A4se+%26+Wein&limit=7&exclude=a&exclude=b%2C",
            &["category", "limit", "exclude*"],
        )
        .unwrap();
        assert_eq!(query.text("category"), Some("Käse & Wein"));
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.all("exclude", |text| Ok::<_, String>(text.to_owned())).unwrap(), ["a", "b,"]);
        for (raw, code, field) in [
            ("colour=red", "unknown_field", "colour"),
            ("limit=1&limit=2", "invalid_field", "limit"),
            ("category=%ff", "invalid_field", "category"),
            ("category=100%", "invalid_field", "category"),
            ("category=%zz", "invalid_field", "category"),
            ("%f=1", "invalid_field", "query"),
        ] {
            let error = Query::parse(raw, &["category", "limit"]).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{raw}");
        }
        for raw in ["limit=0", "limit=101", "limit=ten", "limit=", "limit=-1", "limit=1e1"] {
            assert_eq!(
                Query::parse(raw, &["limit"]).unwrap().limit().unwrap_err().code,
                "invalid_field",
                "{raw}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_a_body_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_json::<Body>(&bytes, MAX_BODY_BYTES);
            let _ = Query::parse(&String::from_utf8_lossy(&bytes), &["a", "b*"]);
        }
    }
}
