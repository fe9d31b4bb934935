//! What this stand-in shares with the tests.

#[path = "../../it/support/cloud.rs"]
pub(crate) mod cloud;
#[path = "../../it/support/lambda.rs"]
pub(crate) mod lambda;
#[path = "../../it/support/programs.rs"]
pub(crate) mod programs;
#[path = "../../it/support/s3_server.rs"]
pub(crate) mod s3_server;
