//! Parts of a request's address, with problem details for what is wrong with them.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use nextbasket_http::ApiError;
use serde::de::DeserializeOwned;

use crate::answer::Problem;

/// The only parameter of a path.
pub(crate) struct PathName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        match path {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(ApiError::new(400, "invalid_path", rejection.body_text()).into()),
        }
    }
}

/// The parameters of a query.
pub(crate) struct QueryOf<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match query {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::new(400, "invalid_query", rejection.body_text()).into()),
        }
    }
}
