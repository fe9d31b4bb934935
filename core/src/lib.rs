//! Everything of LLM Monitor that is not a host. Modules stand in the order in which data flows through them; each uses
//! only those before it.

pub mod aws;
pub mod tls;
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

pub mod parameters;
pub mod parts;
pub mod redact;
pub mod settings;
pub mod telemetry;
