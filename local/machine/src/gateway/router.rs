//! Which route a request takes, as an HTTP API chooses: the most specific one.

use http::Method;
use percent_encoding::percent_decode_str;

use super::GatewayError;

pub(crate) struct Router<T> {
    routes: Vec<Entry<T>>,
}

pub(crate) struct Match<'a, T> {
    pub(crate) key: &'a str,
    pub(crate) target: &'a T,
    /// Path parameters, decoded.
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

    /// The most specific route for a path that is still percent-encoded: `%2F` stays inside its segment.
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
            Segment::Literal(text) => (decoded(segment) == *text).then_some(())?,
            Segment::Parameter(_) if segment.is_empty() => return None,
            Segment::Parameter(name) => parameters.push((name.as_str(), decoded(segment))),
            Segment::Rest(name) => {
                parameters.push((name.as_str(), decoded(&segments.get(at..)?.join("/"))));
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

/// Whether each percent sign begins an escape and the whole is UTF-8 when decoded.
pub(crate) fn is_encoded(path: &str) -> bool {
    let escape =
        |after: &str| after.as_bytes().get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
    path.split('%').skip(1).all(escape) && percent_decode_str(path).decode_utf8().is_ok()
}

/// A piece of a path, decoded; bytes that are no UTF-8 become replacement characters.
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
        let found = router.find(&method.parse().unwrap(), path)?;
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
    fn an_encoded_slash_stays_inside_its_parameter() {
        let (key, parameters) = found("GET", "/products/K%C3%A4se%201%2F2").unwrap();
        assert_eq!((key.as_str(), parameters), ("GET /products/{productId}", with("productId", "Käse 1/2")));
        assert_eq!(
            found("GET", "/products/a%2Fb/related").unwrap(),
            ("GET /products/{productId}/related".to_owned(), with("productId", "a/b"))
        );
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
