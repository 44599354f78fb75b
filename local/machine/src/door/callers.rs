//! Where a request comes from, as far as a browser reveals it.

use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use http::{HeaderName, header};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// A page of another origin sent it.
    Origin,
    /// It was sent to a host name that is not this machine's.
    Host,
}

impl Foreign {
    /// The reason as a sentence.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Origin => "Requests of web pages are not answered here.",
            Self::Host => {
                "Requests are answered only under the names localhost, 127.0.0.1 and [::1], with the port."
            }
        }
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a browser says that a page of another origin sent the request. Programs send neither header.
pub(crate) fn origin_is_foreign(head: &Parts, address: SocketAddr) -> bool {
    let own =
        |origin: &str| origin.strip_prefix("http://").is_some_and(|authority| is_here(authority, address));
    let origins = head.headers.get_all(header::ORIGIN);
    let sites = head.headers.get_all(SEC_FETCH_SITE);
    origins.iter().any(|origin| !origin.to_str().is_ok_and(own))
        || sites.iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// Whether the request was sent to another host name than this machine's, or to none.
pub(crate) fn host_is_foreign(head: &Parts, address: SocketAddr) -> bool {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return true };
    let here = |authority: &str| is_here(authority, address);
    !host.to_str().is_ok_and(here) || head.uri.authority().is_some_and(|authority| !here(authority.as_str()))
}

/// Whether a name and port are those of a loopback address with the port that is listened on.
fn is_here(authority: &str, address: SocketAddr) -> bool {
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (authority, Some(80)),
    };
    let literal = match name.strip_prefix('[') {
        Some(name) => name.strip_suffix(']').and_then(|name| name.parse().ok()).map(IpAddr::V6),
        None => name.parse().ok().map(IpAddr::V4),
    };
    let loopback = literal.map_or(name.eq_ignore_ascii_case("localhost"), |literal| literal.is_loopback());
    loopback && port == Some(address.port())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn listening() -> SocketAddr {
        "127.0.0.1:8080".parse().unwrap()
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080", "127.1.2.3:8080"] {
            assert!(!host_is_foreign(&head(&[("host", host)]), listening()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost",
            "localhost.evil:8080",
            "127.0.0.1.nip.io:8080",
            "[::1",
            "[::1]",
            "::1:8080",
            "[::2]:8080",
            "10.0.0.1:8080",
            "0.0.0.0:8080",
            "",
            "localhost:8080:8080",
            "localhost:",
            ":8080",
            "user@localhost:8080",
            "localhost.:8080",
            "2130706433:8080",
        ] {
            assert!(host_is_foreign(&head(&[("host", host)]), listening()), "{host}");
        }
        assert!(host_is_foreign(&head(&[]), listening()));
        let twice = [("host", "localhost:8080"), ("host", "localhost:8080")];
        assert!(
            host_is_foreign(&head(&twice), listening()),
            "which of the two is meant is not to be guessed"
        );
        let mut absolute = head(&[("host", "localhost:8080")]);
        absolute.uri = "http://evil.example/".parse().unwrap();
        assert!(host_is_foreign(&absolute, listening()));
        let on_80 = "127.0.0.1:80".parse().unwrap();
        assert!(!host_is_foreign(&head(&[("host", "localhost")]), on_80));
    }

    #[test]
    fn only_pages_of_this_machine_itself_are_its_own() {
        let foreign = |headers: &[(&str, &str)]| origin_is_foreign(&head(headers), listening());
        assert!(!foreign(&[]));
        assert!(!foreign(&[("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")]));
        assert!(!foreign(&[("sec-fetch-site", "none")]), "typed in");
        for origin in ["https://evil.example", "null", "", "http://localhost:3000", "https://localhost:8080"]
        {
            assert!(foreign(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(foreign(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(foreign(&[("origin", "http://localhost:8080"), ("origin", "https://evil.example")]));
    }
}
