//! The query string as a struct of texts, so that each value can be refused in words of our own.

use std::{collections::BTreeMap, ops::RangeInclusive};

use axum::{
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use serde::de::{DeserializeOwned, value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

use super::error::ApiError;
use crate::record::{Environment, Metric};

/// `T`'s fields are texts, empty where the parameter is absent or empty. Of a parameter given twice the last counts;
/// parameters that `T` does not know are ignored, as the predecessor ignored them.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// What a path names. One whose bytes are no text names nothing: 404.
#[derive(Debug)]
pub(super) struct PathParameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| ApiError::not_found(parts.uri.path()))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    T::deserialize(value::MapDeserializer::<_, value::Error>::new(pairs.into_iter()))
        .map_err(|e| ApiError::new(StatusCode::BAD_REQUEST, format!("the query string cannot be read: {e}")))
}

/// The environments of a comma list; `None` when it is empty, which means all. Names that can be no environment's are
/// dropped: like an unknown one they have no rows.
pub(super) fn environments(list: &str) -> Option<Vec<Environment>> {
    let names: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    (!names.is_empty()).then(|| names.into_iter().filter_map(|name| name.parse().ok()).collect())
}

/// A whole number within `range`.
pub(super) fn whole_number(name: &str, text: &str, range: RangeInclusive<u64>) -> Result<u64, ApiError> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        ApiError::parameter(name, text, format!("a whole number from {} to {}", range.start(), range.end()))
    })
}

/// One of some words, as what it stands for.
pub(super) fn one_of<T: Copy>(name: &str, text: &str, words: &[(&str, T)]) -> Result<T, ApiError> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let accepted: Vec<_> = words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        ApiError::parameter(name, text, accepted.join(" or "))
    })
}

/// A duration's column, the whole latency when it is absent.
pub(super) fn duration_metric(text: &str) -> Result<Metric, ApiError> {
    if text.is_empty() {
        return Ok(Metric::LatencyMs);
    }
    let accepted = || format!("one of {}", Metric::ALL.map(Metric::as_str).join(", "));
    text.parse().map_err(|_| ApiError::parameter("metric", text, accepted()))
}

/// An instant, `None` when it is absent.
pub(super) fn instant(name: &str, text: &str) -> Result<Option<DateTime<Utc>>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let accepted =
        "an RFC 3339 time like 2026-11-24T16:00:00Z (no zone: UTC), or a date like 2026-11-24 (its first instant)";
    parse_instant(text).map(Some).ok_or_else(|| ApiError::parameter(name, text, accepted))
}

/// How an instant's parameter is described.
pub(super) struct Instant;

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        let text =
            |format| ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
        let absent = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
        AnyOfBuilder::new().item(text(KnownFormat::DateTime)).item(text(KnownFormat::Date)).item(absent).into()
    }
}

impl ToSchema for Instant {}

/// An instant as parameters and options name it: RFC 3339, or without a zone (UTC), or a date (its first instant). A `+` that
/// was not percent-encoded has become a space: it is taken back.
///
/// ```
/// use llm_monitor_core::http::parse_instant;
///
/// let noon = parse_instant("2026-11-24T12:00:00Z");
/// assert_eq!(parse_instant("2026-11-24T13:00:00 01:00"), noon);
/// assert_eq!(parse_instant("2026-11-24T12:00:00"), noon);
/// assert_eq!(parse_instant("2026-11-24"), parse_instant("2026-11-24T00:00:00Z"));
/// assert_eq!(parse_instant("yesterday"), None);
/// ```
pub fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    }
    let text = match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't', ' ']) => format!("{time}+{offset}"),
        _ => text.to_owned(),
    };
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.to_utc());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Known {
        a: String,
        b: String,
    }

    #[test]
    fn the_last_counts_and_unknown_ones_are_ignored() {
        let known: Known = parse("a=1&a=2%2C3&c=4&b").expect("is read");
        assert_eq!((known.a.as_str(), known.b.as_str()), ("2,3", ""));
    }

    #[test]
    fn instants_are_read_with_and_without_zone() {
        let expected = parse_instant("2026-11-24T16:00:00Z").expect("a time");
        for same in [
            "2026-11-24T17:00:00+01:00",
            "2026-11-24T17:00:00 01:00",
            "2026-11-24T16:00:00.000",
            "2026-11-24 16:00:00",
            "2026-11-24T16:00",
        ] {
            assert_eq!(parse_instant(same), Some(expected), "{same}");
        }
        assert_eq!(parse_instant("2026-11-24"), parse_instant("2026-11-24T00:00:00Z"));
        for bad in ["yesterday", "2026-13-01", "2026-11-24T25:00:00Z", "1764000000", "2026-11-24T", "+"] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
    }
}
