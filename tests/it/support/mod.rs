//! What the tests share.

pub(crate) mod cloud;
pub(crate) mod http;
#[cfg(target_os = "linux")]
pub(crate) mod limits;
pub(crate) mod lambda;
pub(crate) mod monitor;
pub(crate) mod moto;
pub(crate) mod probing;
pub(crate) mod programs;
pub(crate) mod s3_faults;
pub(crate) mod s3_places;
pub(crate) mod s3_server;
pub(crate) mod scripted;
pub(crate) mod usage;
