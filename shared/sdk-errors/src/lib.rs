#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// How much of an answer that is not the service's is shown, in characters.
const SHOWN: usize = 80;

/// The status of a request that is too large for a server.
const TOO_LARGE: u16 = 413;

/// What went wrong with a call.
pub fn sentence<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::DispatchFailure(failure) => {
            let Some(connector) = failure.as_connector_error() else { return causes(error) };
            let causes = causes(connector);
            if failure.is_timeout() {
                format!("no answer in time: {causes}")
            } else if failure.is_user() {
                causes
            } else {
                format!(
                    "no connection, or it broke: {}. Check the endpoint, and that it can be reached",
                    root(connector)
                )
            }
        }
        SdkError::TimeoutError(_) => format!("no answer in time: {}", root(error)),
        SdkError::ServiceError(service) => of_answer(service.err(), service.raw()),
        _ => root_after(error),
    }
}

fn of_answer<E: ProvideErrorMetadata + Error + 'static>(error: &E, answer: &HttpResponse) -> String {
    let status = answer.status().as_u16();
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => format!("{code}, without a message"),
        (None, _) => unknown_answer(status, answer.body().bytes().unwrap_or_default())
            .unwrap_or_else(|| format!("HTTP {status}: {}", causes(error))),
    }
}

/// An answer that the service did not write; `None` if it has no content that would show that.
fn unknown_answer(status: u16, body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if status == TOO_LARGE {
        return Some(format!(
            "HTTP {status}: the request is too large for the endpoint or for a proxy on the way"
        ));
    }
    if text.is_empty() {
        return None;
    }
    let begins: String = text.chars().take(SHOWN).collect();
    let more = if begins.len() < text.len() { "…" } else { "" };
    Some(format!(
        "HTTP {status} with an answer that is not the service's: {begins:?}{more}. Check the endpoint, and proxies on \
         the way to it"
    ))
}

/// An error with its causes, each once.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// The last of an error's causes.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// An error that says nothing about itself, by its causes.
fn root_after(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), causes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_somebody_else_is_shown_by_its_beginning() {
        let page = format!("<html>\n  <h1>403 Forbidden</h1>{}</html>", "x".repeat(200));
        let said = unknown_answer(403, page.as_bytes()).unwrap();
        assert!(
            said.starts_with("HTTP 403 with an answer that is not the service's: \"<html> <h1>403 Forbidden")
        );
        assert!(said.contains("…. Check the endpoint") && said.len() < 260, "{said}");
        assert_eq!(unknown_answer(403, b" \n"), None);
        assert!(unknown_answer(413, b"<html>").unwrap().contains("the request is too large"));
    }

    #[test]
    fn causes_are_said_once() {
        let inner = std::io::Error::other("refused");
        let outer = std::io::Error::other(inner);
        assert_eq!(causes(&outer), "refused");
    }
}
