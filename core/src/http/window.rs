//! Which records a figure is made of: the parameters that all figures share.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    error::ApiError,
    parameters::{environments, instant, one_of},
};
use crate::{history::FoldError, query::Selection, record::ErrorKind, store::Scope};

/// The window when nothing is said.
const DEFAULT_WINDOW: TimeDelta = TimeDelta::hours(24);
/// Most rows that one answer is made of: 40 models and environments, once a minute for 30 days, and some.
pub(super) const ROWS_AT_MOST: u64 = 2_000_000;

/// An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct WindowParameters {
    /// Only these environments: one name or several with commas. Empty: all. An unknown one has no records.
    #[param(required = false, example = "prod")]
    environment: String,
    /// Only these models: one whole name or several with commas. Empty: all. An unknown one has no records.
    #[param(required = false, example = "gpt-4o-mini")]
    model: String,
    /// Not older than this: RFC 3339 (no zone: UTC), or a date (its first instant, UTC). Empty: 24 hours before `to`.
    #[param(required = false, example = "2026-11-24T16:00:00Z")]
    from: String,
    /// Older than this; written like `from`. Empty: the end of the running minute.
    #[param(required = false, example = "2026-11-25")]
    to: String,
    /// `true`: simulated records (derived from another environment's, not measured) count like measured ones. Else they are
    /// left out, and the answer says how many.
    #[param(required = false, pattern = "^(true|false)?$", default = "false")]
    include_simulated: String,
}

/// A stretch of time: `from` (inclusive) to `to` (exclusive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
}

impl Window {
    /// What the two parameters say. An open end is the running minute's, so that an answer stays the same for a while.
    pub(super) fn parse(
        names: [&str; 2],
        from: &str,
        to: &str,
        default_length: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let [from_name, to_name] = names;
        let end = end_of_minute(now);
        let (given_from, given_to) = (instant(from_name, from)?, instant(to_name, to)?);
        let to_time = given_to.unwrap_or(end.max(given_from.unwrap_or(end)));
        let from_time = given_from.or(to_time.checked_sub_signed(default_length)).unwrap_or(to_time);
        if from_time > to_time {
            let from_time = from_time.to_rfc3339();
            return Err(ApiError::parameter(
                to_name,
                to,
                format!("a time not before {from_name}, which is {from_time}"),
            ));
        }
        Ok(Self { from: from_time, to: to_time })
    }
}

fn end_of_minute(now: DateTime<Utc>) -> DateTime<Utc> {
    let into_minute = now.timestamp().rem_euclid(60);
    now.trunc_subsecs(0) + TimeDelta::seconds(60 - into_minute)
}

impl WindowParameters {
    /// The window.
    pub(super) fn window(&self) -> Result<Window, ApiError> {
        Window::parse(["from", "to"], &self.from, &self.to, DEFAULT_WINDOW, Utc::now())
    }

    /// The rows of `window`.
    pub(super) fn selection(&self, window: Window) -> Result<Selection, ApiError> {
        Ok(Selection {
            scope: Scope {
                environments: environments(&self.environment),
                from: Some(window.from),
                to: Some(window.to),
            },
            models: models(&self.model),
            include_simulated: include_simulated(&self.include_simulated)?,
            rows_at_most: ROWS_AT_MOST,
        })
    }
}

/// The models of a comma list, and the whole text, as a name may hold a comma; `None` when it is empty, which means all.
pub(super) fn models(list: &str) -> Option<Vec<String>> {
    let whole = list.trim();
    if whole.is_empty() {
        return None;
    }
    let parts = whole.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != whole);
    Some(std::iter::once(whole).chain(parts).map(str::to_owned).collect())
}

/// Whether simulated rows count.
pub(super) fn include_simulated(text: &str) -> Result<bool, ApiError> {
    one_of("include_simulated", text, &[("", false), ("false", false), ("true", true)])
}

impl From<FoldError> for ApiError {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Store(error) => error.into(),
            FoldError::TooMany { limit } => Self::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "the window holds more than {limit} records, the most that one answer is made of; ask for a shorter \
                     from/to or fewer environments"
                ),
            ),
        }
    }
}

/// Counts by the kind's word; `unknown` for rows that name none.
pub(super) fn by_word(kinds: &BTreeMap<Option<ErrorKind>, u64>) -> BTreeMap<&'static str, u64> {
    kinds.iter().map(|(kind, count)| (kind_word(*kind), *count)).collect()
}

/// The kind's word; `unknown` for rows that name none.
pub(super) fn kind_word(kind: Option<ErrorKind>) -> &'static str {
    kind.map_or("unknown", ErrorKind::as_str)
}

/// Rounded to the microsecond, which is what is measured: a mean's other digits are noise.
pub(super) fn rounded_ms(ms: f64) -> f64 {
    (ms * 1_000.0).round() / 1_000.0
}

/// Rounded to six digits.
pub(super) fn rounded_share(share: f64) -> f64 {
    (share * 1_000_000.0).round() / 1_000_000.0
}
