//! What the tests share.

pub(crate) mod http;
pub(crate) mod monitor;
pub(crate) mod probing;
pub(crate) mod scripted;
pub(crate) mod usage;
