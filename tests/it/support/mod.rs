//! What the tests share.

pub(crate) mod probing;
pub(crate) mod scripted;
