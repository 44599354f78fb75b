//! What goes wrong with a job, as the client may know it.

use nextbasket_http::ApiError;
use nextbasket_job_engine::{Engine, JobError, Refusal};
use nextbasket_objects::ObjectError;

pub fn of_job(engine: &Engine, error: JobError) -> ApiError {
    match error {
        JobError::Unknown(id) => {
            ApiError::not_found("job_not_found", format!("job {id:?} not found")).at("jobId")
        }
        error @ JobError::Differs(_) => ApiError::conflict("job_differs", error.to_string()).at("jobId"),
        JobError::UnknownKind(_) => {
            let names: Vec<&str> = engine.kinds().names().collect();
            ApiError::invalid("kind", format!("must be one of {}", names.join(", ")))
        }
        JobError::Refused(refusal) => refused(refusal),
        JobError::Table(error) => error.into(),
        JobError::Object(error @ ObjectError::Unavailable { .. }) => ApiError::unavailable(error),
        error @ JobError::Unavailable(_) => ApiError::unavailable(error),
        error @ (JobError::Object(_) | JobError::Failed(_) | JobError::Unvouched { .. }) => {
            ApiError::internal(error)
        }
    }
}

/// What went wrong with a job that is only tried: what it would meet is said in its own words, since whoever may
/// submit a job may read why one fails.
pub fn of_estimate(engine: &Engine, error: JobError) -> ApiError {
    match error {
        JobError::Failed(reason) => ApiError::conflict("job_would_fail", reason),
        error @ (JobError::Table(_) | JobError::Object(_)) if !error.is_transient() => {
            ApiError::conflict("job_would_fail", error.to_string())
        }
        error => of_job(engine, error),
    }
}

/// Serde says which parameter is unknown or missing only in words.
fn refused(refusal: Refusal) -> ApiError {
    let Refusal { field, problem } = refusal;
    let named = |prefix: &str| problem.strip_prefix(prefix)?.split('`').next();
    if let Some(name) = named("missing field `") {
        ApiError::missing(format!("{field}.{name}"))
    } else if let Some(name) = named("unknown field `") {
        let parent = field.strip_suffix(name).unwrap_or(&field).trim_end_matches('.');
        ApiError::unknown(format!("{parent}.{name}"))
    } else {
        ApiError::invalid(field, problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_refused_is_named() {
        for (field, problem, told) in [
            ("parameters", "missing field `table`", "parameters.table is required"),
            ("parameters", "unknown field `colour`, expected `table`", "parameters.colour is not known here"),
            ("parameters.colour", "unknown field `colour`", "parameters.colour is not known here"),
            ("parameters.split", "missing field `by`", "parameters.split.by is required"),
            ("parameters.width", "must be 1 or more", "parameters.width must be 1 or more"),
        ] {
            let error = refused(Refusal { field: field.to_owned(), problem: problem.to_owned() });
            assert!(error.to_string().ends_with(told), "{error}");
            assert_eq!(error.status(), 400);
        }
    }
}
