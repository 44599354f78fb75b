//! Which route a request takes, as an HTTP API chooses: the most specific one.
//!
//! An HTTP API decodes a path before it matches it, and cuts it at a decoded `?`. So `%2F` separates segments like `/`,
//! and what follows `%3F` is lost. Nothing is normalized: `.`, `..` and empty segments are segments.

use http::Method;
use percent_encoding::percent_decode_str;

use super::GatewayError;

pub(crate) struct Router<T> {
    routes: Vec<Entry<T>>,
}

pub(crate) struct Match<'a, T> {
    pub(crate) key: &'a str,
    pub(crate) target: &'a T,
    pub(crate) parameters: Vec<(&'a str, String)>,
}

struct Entry<T> {
    key: String,
    /// `None` takes any method.
    method: Option<Method>,
    /// `None` takes any path: the `$default` route.
    path: Option<Vec<Segment>>,
    target: T,
}

enum Segment {
    Literal(String),
    Parameter(String),
    /// The rest of the path, slashes included.
    Rest(String),
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { routes: Vec::new() }
    }
}

impl<T> Router<T> {
    /// Adds a route by its key, such as `GET /products/{productId}`.
    pub(crate) fn add(&mut self, key: &str, target: T) -> Result<(), GatewayError> {
        let wrong = || GatewayError::Route { key: key.to_owned() };
        let (method, path) = if key == "$default" {
            (None, None)
        } else {
            let (method, path) = key.split_once(' ').ok_or_else(wrong)?;
            let method = match method {
                "ANY" => None,
                method => Some(Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?),
            };
            let path = path.strip_prefix('/').ok_or_else(wrong)?;
            (method, Some(path.split('/').map(segment).collect()))
        };
        self.routes.push(Entry { key: key.to_owned(), method, path, target });
        Ok(())
    }

    /// The most specific route for a path that [`decoded_path`] gave.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<Match<'_, T>> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let fitting = self.routes.iter().filter_map(|entry| {
            entry.method.as_ref().is_none_or(|m| m == method).then_some(())?;
            let parameters = entry.path.as_ref().map_or(Some(Vec::new()), |path| matched(path, &segments))?;
            Some((entry, parameters))
        });
        let (entry, parameters) = fitting.min_by_key(|(entry, _)| rank(entry))?;
        Some(Match { key: &entry.key, target: &entry.target, parameters })
    }
}

fn segment(text: &str) -> Segment {
    match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        Some(name) => match name.strip_suffix('+') {
            Some(name) => Segment::Rest(name.to_owned()),
            None => Segment::Parameter(name.to_owned()),
        },
        None => Segment::Literal(text.to_owned()),
    }
}

/// The parameters of a path that fits the pattern.
fn matched<'a>(pattern: &'a [Segment], segments: &[&str]) -> Option<Vec<(&'a str, String)>> {
    let mut parameters = Vec::new();
    for (at, part) in pattern.iter().enumerate() {
        let segment = segments.get(at)?;
        match part {
            Segment::Literal(text) => (segment == text).then_some(())?,
            Segment::Parameter(_) if segment.is_empty() => return None,
            Segment::Parameter(name) => parameters.push((name.as_str(), (*segment).to_owned())),
            Segment::Rest(name) => {
                parameters.push((name.as_str(), segments.get(at..)?.join("/")));
                return Some(parameters);
            }
        }
    }
    (segments.len() == pattern.len()).then_some(parameters)
}

/// Lower is more specific: segment by segment literal before parameter before the rest, a given method before any.
fn rank<T>(entry: &Entry<T>) -> (bool, Vec<u8>, bool) {
    let segments = entry.path.iter().flatten().map(|segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Rest(_) => 2,
    });
    (entry.path.is_none(), segments.collect(), entry.method.is_none())
}

/// The path as it is matched and passed on: decoded once, and cut at a decoded `?`. `None` if a percent sign begins no
/// escape or the whole is not UTF-8.
pub(crate) fn decoded_path(path: &str) -> Option<String> {
    let escape =
        |after: &str| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    if !path.split('%').skip(1).all(escape) {
        return None;
    }
    let mut decoded = percent_decode_str(path).decode_utf8().ok()?.into_owned();
    decoded.truncate(decoded.find('?').unwrap_or(decoded.len()));
    Some(decoded)
}

/// A piece of a query, decoded; bytes that are no UTF-8 become replacement characters.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<()> {
        let mut router = Router::default();
        for key in [
            "GET /products/{productId}",
            "GET /products/popular",
            "GET /products/{productId}/related",
            "ANY /products/{productId}",
            "GET /files/{path+}",
        ] {
            router.add(key, ()).unwrap();
        }
        router
    }

    fn found(method: &str, path: &str) -> Option<(String, Vec<(String, String)>)> {
        let router = router();
        let found = router.find(&method.parse().unwrap(), &decoded_path(path).unwrap())?;
        Some((
            found.key.to_owned(),
            found.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ))
    }

    fn with(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_literal_segment_comes_before_a_parameter() {
        assert_eq!(found("GET", "/products/popular").unwrap().0, "GET /products/popular");
        assert_eq!(found("GET", "/products/popularity").unwrap().0, "GET /products/{productId}");
    }

    #[test]
    fn a_path_is_decoded_once_before_it_is_matched_and_cut_at_a_question_mark() {
        let product = |id: &str| Some(("GET /products/{productId}".to_owned(), with("productId", id)));
        assert_eq!(found("GET", "/products/K%C3%A4se%201"), product("Käse 1"));
        assert_eq!(found("GET", "/products/a%2Fb"), None, "it is a separator");
        assert_eq!(
            found("GET", "/products/a%2Frelated"),
            Some(("GET /products/{productId}/related".to_owned(), with("productId", "a")))
        );
        assert_eq!(found("GET", "%2Fproducts%2fpopular").unwrap().0, "GET /products/popular");
        assert_eq!(found("GET", "/products/a%3Fold"), product("a"));
        assert_eq!(found("GET", "/products/%3Fold"), None, "nothing is left of the id");
        assert_eq!(found("GET", "/products/a%23b"), product("a#b"));
        assert_eq!(found("GET", "/products/a%252Fb%253F"), product("a%2Fb%3F"));
        assert_eq!(found("GET", "/products/a+b;c=1"), product("a+b;c=1"));
        assert_eq!(found("GET", "/products/.."), product(".."));
        assert_eq!(found("GET", "/products/%2e%2e/related").unwrap().1, with("productId", ".."));
        for path in ["/%", "/%2", "/%zz", "/%FF", "/a%C3/b"] {
            assert_eq!(decoded_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_given_method_comes_before_any() {
        assert_eq!(found("GET", "/products/x").unwrap().0, "GET /products/{productId}");
        assert_eq!(found("PUT", "/products/x").unwrap().0, "ANY /products/{productId}");
    }

    #[test]
    fn a_greedy_parameter_takes_the_rest() {
        assert_eq!(found("GET", "/files/a/b%20c").unwrap().1, with("path", "a/b c"));
    }

    #[test]
    fn what_no_route_takes_is_not_found() {
        for (method, path) in
            [("GET", "/"), ("GET", "/products"), ("GET", "/products/"), ("POST", "/products/popular/x")]
        {
            assert_eq!(found(method, path), None, "{method} {path}");
        }
    }
}
