//! Service-level metrics in CloudWatch's embedded metric format: a line on standard output that CloudWatch Logs turns into
//! metrics. Few and of the service as a whole: each costs by the month, and every model's numbers are in its records.

use std::{io::Write as _, time::Duration};

use chrono::Utc;
use llm_monitor_core::cycle::Summary;
use serde_json::{Value, json};

/// Names, and units as CloudWatch knows them.
const METRICS: [(&str, &str); 6] = [
    ("Probes", "Count"),
    ("FailedProbes", "Count"),
    ("EnvironmentsNotWritten", "Count"),
    ("CycleDuration", "Milliseconds"),
    ("StartDelay", "Milliseconds"),
    ("Cost", "None"),
];

/// Writes the metrics of one cycle.
pub(crate) fn emit(function: &str, summary: &Summary, took: Duration, late: Duration) {
    let line = format!("{}\n", document(function, summary, took, late));
    // A log that cannot be written to costs no probe.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

fn document(function: &str, summary: &Summary, took: Duration, late: Duration) -> Value {
    let metrics: Vec<Value> = METRICS.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit})).collect();
    json!({
        "_aws": {
            "Timestamp": Utc::now().timestamp_millis(),
            "CloudWatchMetrics": [{"Namespace": "LlmMonitor", "Dimensions": [["Function"]], "Metrics": metrics}],
        },
        "Function": function,
        "cycle_id": summary.cycle_id,
        "Probes": summary.probes,
        "FailedProbes": summary.probes - summary.succeeded,
        "EnvironmentsNotWritten": summary.write_errors.len(),
        "CycleDuration": millis(took),
        "StartDelay": millis(late),
        "Cost": summary.cost_usd,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_metric_that_is_declared_has_a_value_and_they_are_few() {
        let summary = Summary {
            cycle_id: "20261124T165400Z".to_owned(),
            probes: 4,
            succeeded: 3,
            failures: BTreeMap::from([("timeout", 1)]),
            simulated: 0,
            cost_usd: 0.25,
            written: 4,
            already_there: Vec::new(),
            write_errors: BTreeMap::new(),
            catalog_problems: BTreeMap::new(),
        };
        let document = document("monitor", &summary, Duration::from_millis(1500), Duration::from_secs(2));
        let directive = &document["_aws"]["CloudWatchMetrics"][0];
        let declared = directive["Metrics"].as_array().expect("a list");
        assert!(declared.len() <= 10);
        for metric in declared {
            let name = metric["Name"].as_str().expect("a name");
            assert!(document[name].is_number(), "{name} in {document}");
        }
        assert_eq!(directive["Dimensions"], json!([["Function"]]));
        assert_eq!(document["Function"], "monitor");
        assert_eq!((&document["FailedProbes"], &document["CycleDuration"]), (&json!(1), &json!(1500)));
    }
}
