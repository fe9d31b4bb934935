//! Tests of the whole program over loopback. One binary, so that it links once.

// A test that cannot go on says so and stops.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod support;

mod corpora;
mod faults;
mod lateness;
mod quirks;
mod streams;
mod tls;
