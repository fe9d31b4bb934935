//! What state a model is in: the dashboard's rule (`core/assets/dashboard/status.js`). The last probe decides between working
//! and failing, the window's failures between steady and unstable, and no news is never good news.

use chrono::TimeDelta;

use super::answers::{Group, Model};

/// From this share of failed probes in the window on, a model that answers now is unstable.
const UNSTABLE_FROM: f64 = 0.05;

/// From bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Failing,
    Unstable,
    Limited,
    Unknown,
    Working,
    Off,
    Absent,
}

impl State {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Failing => "✕",
            Self::Unstable | Self::Limited => "!",
            Self::Unknown => "?",
            Self::Working => "✓",
            Self::Off => "○",
            Self::Absent => "·",
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Unstable => "unstable",
            Self::Limited => "rate limited",
            Self::Unknown => "unknown",
            Self::Working => "working",
            Self::Off => "not monitored",
            Self::Absent => "not used here",
        }
    }
}

/// What is known of an environment at the instant that is shown.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Why nothing can be known of its models now.
    pub(super) silence: Option<String>,
    /// How old a model's last probe may be; `None` where that cannot be told.
    pub(super) stale_after: Option<TimeDelta>,
    /// Its catalog is known.
    pub(super) is_listed: bool,
}

/// The state of one model in one environment, and why. `age`: of its last record.
pub(super) fn state_of(
    group: Option<&Group>,
    model: Option<&Model>,
    news: &News,
    age: Option<TimeDelta>,
) -> (State, String) {
    if let Some(Model { monitored: false, reason, .. }) = model {
        return (State::Off, reason.clone().unwrap_or_else(|| "no probe is sent to it".to_owned()));
    }
    let Some((group, last)) = group.and_then(|group| Some((group, group.last_record.as_ref()?))) else {
        return match model {
            Some(_) => (State::Unknown, "no probe of it in this window".to_owned()),
            None => (State::Absent, String::new()),
        };
    };
    if let Some(silence) = &news.silence {
        return (State::Unknown, silence.clone());
    }
    // The last of them says nothing of the model.
    if group.count == 0 {
        return (State::Unknown, "this window has derived records of it alone: nothing was measured".to_owned());
    }
    if let Some(age) = age.filter(|age| news.stale_after.is_some_and(|limit| *age > limit)) {
        let old = format!("its last probe is {} old", super::draw::age(age));
        let is_dropped = model.is_none() && news.is_listed;
        return (if is_dropped { State::Off } else { State::Unknown }, old);
    }
    let judged = group.failures + group.successes;
    let share = format!("{} of {judged} probes failed", group.failures);
    match last.error_kind.as_deref() {
        Some("rate_limited") => (State::Limited, format!("the account's own rate limit; {share}")),
        kind if last.status != "success" => {
            let message = last.error_message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            (State::Failing, format!("{} ({share}){message}", kind.unwrap_or("error")))
        }
        _ if judged > 0 && group.failures as f64 / judged as f64 >= UNSTABLE_FROM => {
            (State::Unstable, format!("it answers now; {share}"))
        }
        _ => (State::Working, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(failures: u64, status: &str, kind: Option<&str>) -> Group {
        let distribution = json!({"p50": 1.0, "p95": 2.0, "enough": true});
        serde_json::from_value(json!({
            "environment": "dev", "model_name": "m", "simulated": false, "count": 20, "successes": 20 - failures, "failures": failures,
            "success_rate": 1.0, "ttft_ms": distribution, "latency_ms": distribution,
            "last_record": {
                "timestamp": "2026-11-24T16:54:00Z", "status": status, "error_kind": kind, "error_message": null
            },
        }))
        .expect("a group")
    }

    fn listed(monitored: bool) -> Model {
        Model { monitored, reason: None, simulated: false }
    }

    #[test]
    fn the_last_probe_decides_then_the_window() {
        let state = |group: &Group| state_of(Some(group), Some(&listed(true)), &News::default(), None).0;
        assert_eq!(state(&group(0, "success", None)), State::Working);
        assert_eq!(state(&group(1, "success", None)), State::Unstable);
        assert_eq!(state(&group(1, "error", Some("timeout"))), State::Failing);
        assert_eq!(state(&group(0, "error", Some("rate_limited"))), State::Limited);
    }

    #[test]
    fn no_news_is_never_good_news() {
        let good = group(0, "success", None);
        let silent = News { silence: Some("stale".to_owned()), ..News::default() };
        assert_eq!(state_of(Some(&good), Some(&listed(true)), &silent, None).0, State::Unknown);
        let strict = News { stale_after: Some(TimeDelta::seconds(90)), is_listed: true, ..News::default() };
        let (used, off) = (listed(true), listed(false));
        let aged = |model, seconds| state_of(Some(&good), model, &strict, Some(TimeDelta::seconds(seconds))).0;
        assert_eq!(aged(Some(&used), 90), State::Working);
        assert_eq!(aged(Some(&used), 91), State::Unknown);
        assert_eq!(aged(None, 91), State::Off, "the usage endpoint lists it no more");
        assert_eq!(state_of(None, Some(&used), &strict, None).0, State::Unknown);
        let derived_alone = Group { count: 0, successes: 0, failures: 0, ..good.clone() };
        assert_eq!(state_of(Some(&derived_alone), Some(&used), &News::default(), None).0, State::Unknown);
        assert_eq!(state_of(None, None, &strict, None).0, State::Absent);
        assert_eq!(state_of(Some(&good), Some(&off), &strict, None).0, State::Off);
    }
}
