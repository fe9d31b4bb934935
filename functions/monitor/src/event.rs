use chrono::{DateTime, Utc};
use serde_json::Value;

/// What a scheduled event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// When the cycle was due: makes a second delivery of the same event harmless.
    pub(crate) scheduled: DateTime<Utc>,
}

/// The event has a field of a wrong type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event: {field}: expected {expected}, found {found}")]
pub(crate) struct EventError {
    field: &'static str,
    expected: &'static str,
    found: String,
}

impl Trigger {
    /// Reads an EventBridge rule's event, a Scheduler's input or `{}` (now). Unknown fields are ignored.
    pub(crate) fn parse(event: &Value) -> Result<Self, EventError> {
        let wrong = |field, expected, found: &Value| EventError { field, expected, found: found.to_string() };
        let Value::Object(fields) = event else {
            return Err(wrong("(whole)", "a JSON object", event));
        };
        let scheduled = match fields.get("time") {
            None | Some(Value::Null) => Utc::now(),
            Some(time) => time
                .as_str()
                .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
                .map(|time| time.to_utc())
                .ok_or_else(|| wrong("time", "a time like 2026-11-24T16:54:00Z", time))?,
        };
        Ok(Self { scheduled })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_scheduled_time_makes_the_cycle() {
        for event in [
            json!({"version": "0", "detail-type": "Scheduled Event", "time": "2026-11-24T16:54:00Z", "detail": {}}),
            json!({"time": "2026-11-24T16:54:00Z", "shard": 0, "shards": 1}),
        ] {
            let trigger = Trigger::parse(&event).expect("a usable event");
            assert_eq!(trigger.scheduled.to_rfc3339(), "2026-11-24T16:54:00+00:00");
        }
        assert!(Trigger::parse(&json!({})).is_ok());
    }

    #[test]
    fn a_wrong_type_is_a_clear_error() {
        let error = Trigger::parse(&json!({"time": 5})).expect_err("not a time").to_string();
        assert_eq!(error, "event: time: expected a time like 2026-11-24T16:54:00Z, found 5");
        assert!(Trigger::parse(&json!([])).is_err());
    }
}
