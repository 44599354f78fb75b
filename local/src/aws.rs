//! The few calls to AWS that the console makes beside DynamoDB and S3: CloudFormation, CloudWatch, Step Functions.
//!
//! Four operations of three services are signed and sent here. Their SDK crates would take minutes of a first
//! `cargo run`, bring a second HTTP stack, and one of them a licence that we do not accept.
//!
//! | module | holds |
//! |---|---|
//! | [`api`] | a signed call, sent again if the service is busy |
//! | `xml` | answers in XML as a tree |
//! | [`stack`] | a stack's outputs, parameters and resources |
//! | [`metrics`] | what the functions and tables measured |
//! | [`executions`] | a job as an execution of the stack's state machine |

pub(crate) mod api;
pub(crate) mod executions;
pub(crate) mod metrics;
pub(crate) mod stack;
mod xml;
