//! The hosts of one machine: what `llm-monitor` runs.

pub mod calibrate;
pub mod mock;
