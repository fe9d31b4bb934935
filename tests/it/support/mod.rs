//! What the tests share.

pub(crate) mod moto;
pub(crate) mod s3_faults;
pub(crate) mod s3_places;
pub(crate) mod s3_server;
