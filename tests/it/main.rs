//! Tests of the whole program, over loopback. One binary, so that it links once.
// Here a failed expectation is a failed test.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod s3_contract;
mod s3_faults;
mod s3_objects;
mod support;
