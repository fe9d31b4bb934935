//! Everything of LLM Monitor that is not a host. The modules on the way of the data stand in the order in which it flows through
//! them; each uses only those before it (`tests/it/dependence.rs`).

// What any module may use.
pub mod aws;
pub mod cause;
pub mod fnv;
pub mod redact;
pub mod telemetry;
pub mod tls;

// The way of the data.
pub mod record;
pub mod provider;
pub mod usage;
pub mod catalog;
pub mod probe;
pub mod store;
pub mod history;
pub mod query;
pub mod cycle;
pub mod http;

// What hosts use to set all of it up.
pub mod parameters;
pub mod parts;
pub mod settings;
