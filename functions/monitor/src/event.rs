use chrono::{DateTime, Utc};
use llm_monitor_core::cycle::Shard;
use serde_json::{Map, Value};

/// What a scheduled event asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trigger {
    /// When the cycle was due: makes a second delivery of the same event harmless.
    pub(crate) scheduled: DateTime<Utc>,
    /// Which share of the cycle.
    pub(crate) shard: Shard,
}

/// The event has a field of a wrong type or value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event: {field}: expected {expected}, found {found}")]
pub(crate) struct EventError {
    field: &'static str,
    expected: String,
    found: String,
}

impl Trigger {
    /// Reads an EventBridge rule's event, a Scheduler's input or `{}` (`now`). Unknown fields are ignored.
    ///
    /// An old time is taken as it is: it makes a late delivery the same cycle as a timely one, so that both together add its
    /// rows once. How late it was is told by every record's `start_delay_ms`.
    pub(crate) fn parse(event: &Value, now: DateTime<Utc>) -> Result<Self, EventError> {
        let Value::Object(fields) = event else {
            return Err(wrong("(whole)", "a JSON object", event));
        };
        let scheduled = match set(fields, "time") {
            None => now,
            Some(time) => time
                .as_str()
                .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
                .map(|time| time.to_utc())
                .ok_or_else(|| wrong("time", "a time like 2026-11-24T16:54:00Z", time))?,
        };
        let of = match set(fields, "shards") {
            None => 1,
            Some(shards) => whole(shards)
                .filter(|of| (1..=Shard::MOST).contains(of))
                .ok_or_else(|| wrong("shards", &format!("a whole number, 1 to {}", Shard::MOST), shards))?,
        };
        let shard = match set(fields, "shard") {
            None => Shard::new(0, of),
            Some(shard) => whole(shard).and_then(|number| Shard::new(number, of)),
        };
        let expected = || format!("a whole number, 0 to {} (one less than shards)", of - 1);
        let shard = shard.ok_or_else(|| wrong("shard", &expected(), fields.get("shard").unwrap_or(&Value::Null)))?;
        Ok(Self { scheduled, shard })
    }
}

fn set<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn whole(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn wrong(field: &'static str, expected: &str, found: &Value) -> EventError {
    EventError { field, expected: expected.to_owned(), found: found.to_string().chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(event: &Value) -> Result<Trigger, EventError> {
        Trigger::parse(event, "2026-11-24T23:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn the_scheduled_time_makes_the_cycle() {
        for event in [
            json!({"version": "0", "detail-type": "Scheduled Event", "time": "2026-11-24T16:54:00Z", "detail": {}}),
            json!({"time": "2026-11-24T16:54:00Z", "shard": 0, "shards": 1}),
        ] {
            let trigger = parse(&event).expect("a usable event");
            assert_eq!(trigger.scheduled.to_rfc3339(), "2026-11-24T16:54:00+00:00");
            assert_eq!(trigger.shard, Shard::WHOLE);
        }
        let now = parse(&json!({})).expect("a usable event");
        assert_eq!(now.scheduled.to_rfc3339(), "2026-11-24T23:00:00+00:00");
    }

    #[test]
    fn the_shard_is_one_of_the_shards() {
        let trigger = parse(&json!({"shard": 1, "shards": 2})).expect("a usable event");
        assert_eq!(Some(trigger.shard), Shard::new(1, 2));
    }

    #[test]
    fn a_wrong_type_is_a_clear_error() {
        let message = |event: Value| parse(&event).expect_err("unusable").to_string();
        assert_eq!(message(json!({"time": 5})), "event: time: expected a time like 2026-11-24T16:54:00Z, found 5");
        assert_eq!(message(json!([])), "event: (whole): expected a JSON object, found []");
        assert_eq!(
            message(json!({"shards": "two"})),
            "event: shards: expected a whole number, 1 to 100, found \"two\""
        );
        assert_eq!(
            message(json!({"shard": 2, "shards": 2})),
            "event: shard: expected a whole number, 0 to 1 (one less than shards), found 2"
        );
        assert_eq!(
            message(json!({"shard": -1})),
            "event: shard: expected a whole number, 0 to 0 (one less than shards), found -1"
        );
    }
}
