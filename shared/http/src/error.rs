//! An error, as the client may know it.

use std::error::Error;

use nextbasket_dynamodb::TableError;

/// The longest sentence of an error, and the longest name of a field, in bytes.
const MAX_DETAIL_BYTES: usize = 1_000;
const MAX_FIELD_BYTES: usize = 300;
/// The name shown for a field whose name is empty.
const NAMELESS: &str = "\"\"";

/// An error, as the client may know it: a status, a stable code, a sentence and the field, if it is about one. The
/// cause is for the log.
#[derive(Debug, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) field: Option<String>,
    pub(crate) retry_after: Option<u32>,
    #[source]
    pub(crate) cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// The code for requests without authentication.
    pub(crate) const UNAUTHORIZED: &str = "unauthorized";

    /// With a status and a code that the other constructors do not have.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = cut(detail.into(), MAX_DETAIL_BYTES);
        Self { status, code, detail, field: None, retry_after: None, cause: None }
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Names the field: a path such as `lines[0].quantity`, or a parameter's name.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(cut(field.into(), MAX_FIELD_BYTES));
        self
    }

    /// 400 `invalid_field`: the field's value is not accepted. `problem` completes "«field» …".
    pub fn invalid(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self::new(400, "invalid_field", format!("{field} {problem}")).at(field)
    }

    pub fn missing(field: impl Into<String>) -> Self {
        let field = field.into();
        Self::new(400, "missing_field", format!("{field} is required")).at(field)
    }

    /// 400 `unknown_field`: a field or parameter that does not exist.
    pub fn unknown(field: impl Into<String>) -> Self {
        let field = Some(field.into()).filter(|name| !name.is_empty()).unwrap_or_else(|| NAMELESS.to_owned());
        Self::new(400, "unknown_field", format!("{field} is not known here")).at(field)
    }

    /// 400 `invalid_json`: the body is not JSON.
    pub fn invalid_json(detail: impl Into<String>) -> Self {
        Self::new(400, "invalid_json", detail).at("body")
    }

    /// 400 `invalid_cursor`: not a cursor of this list.
    #[must_use]
    pub fn invalid_cursor() -> Self {
        Self::new(400, "invalid_cursor", "cursor was not issued for this list").at("cursor")
    }

    /// 401 `unauthorized`: the request is not authenticated.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, Self::UNAUTHORIZED, "the request is not authenticated")
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(403, "forbidden", detail)
    }

    /// 404 with a code of its own, such as `product_not_found`.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(404, code, detail)
    }

    /// 409 with a code of its own, such as `purchase_differs`.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
    }

    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(413, "body_too_large", format!("body must be at most {limit} bytes")).at("body")
    }

    /// 415 `unsupported_encoding`: the body is compressed.
    #[must_use]
    pub fn unsupported_encoding() -> Self {
        let detail = "compressed bodies are not accepted; send JSON without a content-encoding";
        Self::new(415, "unsupported_encoding", detail).at("content-encoding")
    }

    /// 500 `internal`: a fault of the service; the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut error = Self::new(500, "internal", "something went wrong on our side");
        error.cause = Some(cause.into());
        error
    }

    /// 503 `unavailable`: may succeed in a moment; the cause goes to the log.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut error = Self::new(503, "unavailable", "we are busy; try again in a moment");
        error.retry_after = Some(1);
        error.cause = Some(cause.into());
        error
    }
}

/// The beginning of a text that may repeat what the client sent, short enough for an answer.
fn cut(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

impl From<TableError> for ApiError {
    fn from(cause: TableError) -> Self {
        if cause.is_transient() { Self::unavailable(cause) } else { Self::internal(cause) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_grow_with_what_it_repeats() {
        let error = ApiError::unknown("é".repeat(100_000));
        assert_eq!((error.detail.len(), error.field.map(|field| field.len())), (1_000, Some(300)));
        let nameless = ApiError::unknown("");
        assert_eq!(nameless.to_string(), "400 unknown_field: \"\" is not known here");
        assert_eq!(nameless.field.as_deref(), Some("\"\""));
        assert_eq!(ApiError::missing("lines").to_string(), "400 missing_field: lines is required");
    }
}
