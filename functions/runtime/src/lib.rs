//! What the AWS Lambda functions share: how they start, what every line of their logs tells, and how a panic ends.

mod invocation;
mod start;

pub use invocation::InvocationLayer;
pub use start::{Error, start};
