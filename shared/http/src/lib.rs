//! What every API function does alike.
//!
//! * [`service`]: [`Service`], which turns an event into a [`Request`], runs a function's route and answers
//! * [`request`]: path parameters, query and JSON body, parsed with errors that name the field
//! * `json_text`: whole numbers and repeated keys in the text of a body
//! * [`caller`]: who calls, and what they may do
//! * [`error`]: [`ApiError`], one mapping from an error to status, code and a message fit for the client
//! * [`respond`]: JSON answers and problem details (RFC 9457)
//! * [`cursor`]: opaque, versioned positions in a list
//!
//! It guarantees that no answer carries an internal cause, and that what is wrong with a request is named by
//! field and by a stable code. It knows no route and no table's contents.

pub mod caller;
pub mod cursor;
pub mod error;
mod json_text;
pub mod request;
pub mod respond;
pub mod service;

pub use caller::{AuthMode, Caller};
pub use error::ApiError;
pub use request::{Query, Request};
pub use respond::{ApiResponse, json, list, no_content};
pub use service::{ApiEvent, Service};
