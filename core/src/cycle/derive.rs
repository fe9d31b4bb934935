use rust_decimal::{Decimal, prelude::ToPrimitive};

use crate::{
    catalog::Catalog,
    record::{Environment, Record},
};

/// An environment that is derived from the measured one (simple mode): its durations and cost, times (1 + `fraction`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// The derived environment.
    pub environment: Environment,
    /// 0.05 is +5 %; above -1.
    pub fraction: Decimal,
}

impl Variation {
    /// The derived rows of `measured`, each with its timestamp and `simulated=true`, so that no reader can mistake them for
    /// measurements. What the monitor itself did (its own delays) is not scaled.
    pub(super) fn records(&self, measured: &[Record]) -> Vec<Record> {
        measured.iter().map(|record| self.record(record)).collect()
    }

    pub(super) fn catalog(&self, measured: &Catalog) -> Catalog {
        Catalog { environment: self.environment.to_string(), simulated: true, ..measured.clone() }
    }

    fn record(&self, measured: &Record) -> Record {
        let factor = Decimal::ONE + self.fraction;
        let scale = factor.to_f64().unwrap_or(1.0);
        let scaled = |duration_ms: Option<f64>| duration_ms.map(|ms| ms * scale);
        Record {
            environment: self.environment.clone(),
            simulated: true,
            latency_ms: scaled(measured.latency_ms),
            cost: measured.cost.map(|cost| (cost * factor).normalize()),
            connect_ms: scaled(measured.connect_ms),
            dns_ms: scaled(measured.dns_ms),
            tls_ms: scaled(measured.tls_ms),
            ttfb_ms: scaled(measured.ttfb_ms),
            ttft_ms: scaled(measured.ttft_ms),
            ttfa_ms: scaled(measured.ttfa_ms),
            tpot_ms: scaled(measured.tpot_ms),
            max_gap_ms: scaled(measured.max_gap_ms),
            ..measured.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn a_derived_row_is_scaled_exactly_and_says_that_it_is_simulated() {
        let mut measured = Record::new("gpt-4o", Environment::dev(), DateTime::UNIX_EPOCH);
        measured.latency_ms = Some(1000.0);
        measured.ttft_ms = Some(100.0);
        measured.start_delay_ms = Some(3.0);
        measured.cost = Some(Decimal::new(3192, 7));
        let variation = Variation { environment: "qa".parse().expect("a name"), fraction: Decimal::new(10, 2) };
        let rows = variation.records(std::slice::from_ref(&measured));
        let row = rows.first().expect("one row");
        assert!(row.simulated && row.environment.as_str() == "qa" && row.timestamp == measured.timestamp);
        assert!((row.latency_ms.unwrap_or(0.0) - 1100.0).abs() < 1e-9);
        assert!((row.ttft_ms.unwrap_or(0.0) - 110.0).abs() < 1e-9);
        assert_eq!(row.start_delay_ms, Some(3.0));
        assert_eq!(row.cost.map(|cost| cost.to_string()).as_deref(), Some("0.00035112"));
    }
}
