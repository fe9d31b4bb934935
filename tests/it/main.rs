//! Tests of the whole program over loopback. One binary, so that it links once.

mod support;

mod faults;
mod quirks;
mod streams;
mod tls;
