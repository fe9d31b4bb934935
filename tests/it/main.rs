//! Tests of the whole program: the real binary, started as a user would, and HTTP over loopback. One binary, so that it links
//! once.
// Here a failed expectation is a failed test.
#![allow(clippy::expect_used, clippy::unwrap_used)]

mod backups;
#[cfg(target_os = "linux")]
mod backups_disturbed;
mod bad_input;
mod calibrate;
mod check;
mod corpora;
mod crash;
mod cycle;
mod demo;
mod dependence;
#[cfg(target_os = "linux")]
mod disk_full;
#[cfg(target_os = "linux")]
mod disk_full_serving;
mod docs;
mod faults;
mod imports;
mod lambda_api;
mod lambda_monitor;
mod lambda_start;
mod lateness;
mod load;
mod model;
mod parameters;
#[cfg(target_os = "linux")]
mod permissions;
mod quirks;
mod rollups;
mod rotation;
mod s3_contract;
mod s3_faults;
mod s3_objects;
mod secrets;
mod security;
mod serve;
mod settings;
mod soak;
mod streams;
mod support;
mod tls;
mod tools;
mod usage_endpoint;
mod watch;
