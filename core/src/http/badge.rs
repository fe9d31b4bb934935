//! `/badge/{environment}/{model}`: a model's state for a README or a wiki.

use std::{
    fmt::{self, Display, Write as _},
    sync::Arc,
};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures, shortened},
    health::stale_after,
    parameters::{Parameters, PathParameters, one_of},
    window::{ROWS_AT_MOST, kind_word},
};
use crate::{
    query::{Column, Selection, Summary, summaries},
    record::{Environment, Metric},
    store::Scope,
};

/// What a badge is made of: the last hour.
const LOOKED_BACK: TimeDelta = TimeDelta::hours(1);
/// Below this share of successes in that hour, a model that answers again is called unsteady.
const STEADY_SHARE: f64 = 0.95;
/// How long whoever shows it may keep it.
const KEPT_SECONDS: u32 = 60;

/// An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct BadgeParameters {
    /// `svg`: an image; `shields`: what <https://shields.io/badges/endpoint-badge> asks for. Empty: by the address's ending,
    /// `.svg` or `.json`, else an image.
    #[param(required = false, pattern = "^(svg|shields)?$", default = "svg")]
    format: String,
}

/// What shields.io's endpoint badge asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "schemaVersion": 1, "label": "gpt-4o-mini · prod", "message": "up · p50 1.83 s", "color": "brightgreen", "cacheSeconds": 60
}))]
pub struct ShieldsBadge {
    /// Always 1.
    pub schema_version: u8,
    /// Model and environment.
    pub label: String,
    /// The state in words: `up`, `unsteady`, `failing`, `simulated` or `unknown`, and a figure.
    pub message: String,
    /// `brightgreen`, `orange`, `red` or `lightgrey`.
    pub color: &'static str,
    /// How long to keep it.
    pub cache_seconds: u32,
}

#[derive(Clone, Copy)]
enum Format {
    Svg,
    Shields,
}

/// Badge
///
/// A model's state in one environment, from the last hour: `up` with its median latency, `unsteady` below 95 % successes, `failing`
/// with what failed. `unknown`, in grey, when there is no recent record: a badge is never green because nothing was heard.
#[utoipa::path(
    get,
    path = "/badge/{environment}/{model}",
    tag = "figures",
    operation_id = "badge",
    params(
        ("environment" = String, Path, description = "A configured environment", example = "prod"),
        ("model" = String, Path, description = "The model's whole name; it may hold slashes", example = "gpt-4o-mini"),
        BadgeParameters,
    ),
    responses(
        (status = 200, description = "The badge", content(
            (String = "image/svg+xml"),
            (ShieldsBadge = "application/json"),
        )),
        (status = 400, description = "A parameter is not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such environment", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    PathParameters((environment, model)): PathParameters<(String, String)>,
    Parameters(parameters): Parameters<BadgeParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let formats = [("", None), ("svg", Some(Format::Svg)), ("shields", Some(Format::Shields))];
    let given = one_of("format", &parameters.format, &formats)?;
    let (model, format) = match (given, model.strip_suffix(".svg"), model.strip_suffix(".json")) {
        (Some(format), _, _) => (model.as_str(), format),
        (None, Some(model), _) => (model, Format::Svg),
        (None, None, Some(model)) => (model, Format::Shields),
        (None, None, None) => (model.as_str(), Format::Svg),
    };
    let known = environment.parse().ok().filter(|environment| api.environments.contains(environment));
    let environment: Environment = known.ok_or_else(|| no_such_environment(&api, &environment))?;
    let badge = badge(&api, environment, model, Utc::now()).await?;
    let mut response = match format {
        Format::Shields => Json(badge).into_response(),
        Format::Svg => ([(header::CONTENT_TYPE, "image/svg+xml; charset=utf-8")], svg(&badge)).into_response(),
    };
    // Who was asked for a token, by this program or by a gateway before it, was given what is not everybody's.
    let is_private = api.api_token.is_some() || headers.contains_key(header::AUTHORIZATION);
    let cache_control = HeaderValue::from_static(if is_private { "private, max-age=60" } else { "public, max-age=60" });
    response.headers_mut().insert(header::CACHE_CONTROL, cache_control);
    Ok(response)
}

fn no_such_environment(api: &Api, name: &str) -> ApiError {
    let names = api.environments.iter().map(Environment::as_str).collect::<Vec<_>>().join(", ");
    let detail = format!("there is no environment \"{}\"; there are {names}", shortened(name));
    ApiError::new(StatusCode::NOT_FOUND, detail)
}

async fn badge(api: &Api, environment: Environment, model: &str, now: DateTime<Utc>) -> Result<ShieldsBadge, ApiError> {
    let label = format!("{} · {environment}", shortened(model));
    let from = now - LOOKED_BACK.max(stale_after(api));
    let selection = Selection {
        scope: Scope { environments: Some(vec![environment]), from: Some(from), to: None },
        models: Some(vec![model.to_owned()]),
        include_simulated: true,
        rows_at_most: ROWS_AT_MOST,
    };
    let summary = summaries(&api.history, &selection, &[Column::Model]).await?.0.into_iter().next();
    let (message, color) = match summary {
        Some((_, summary)) => state(summary, now - stale_after(api)),
        None => unknown(),
    };
    Ok(ShieldsBadge { schema_version: 1, label, message, color, cache_seconds: KEPT_SECONDS })
}

fn unknown() -> (String, &'static str) {
    ("unknown".to_owned(), "lightgrey")
}

/// A message and its colour. What is older than `stale_before` says nothing of now.
fn state(mut summary: Summary, stale_before: DateTime<Utc>) -> (String, &'static str) {
    let Some(last) = summary.last.take().filter(|last| last.timestamp >= stale_before) else { return unknown() };
    let judged = summary.successes + summary.failures();
    let share = summary.successes as f64 / judged.max(1) as f64;
    let latency = summary.take_distribution(Metric::LatencyMs).p50.map(|ms| format!(" · p50 {}", Duration(ms)));
    let latency = latency.unwrap_or_default();
    if last.simulated {
        (format!("simulated{latency}"), "lightgrey")
    } else if !last.is_success {
        (format!("failing · {}", kind_word(last.error_kind)), "red")
    } else if share < STEADY_SHARE {
        // Rounded down: 99.9 % is not 100 %.
        (format!("unsteady · {:.0} %", (share * 100.0).floor()), "orange")
    } else {
        (format!("up{latency}"), "brightgreen")
    }
}

/// `812 ms`, `1.83 s`.
struct Duration(f64);

impl Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 999.5 { write!(f, "{:.0} ms", self.0) } else { write!(f, "{:.2} s", self.0 / 1000.0) }
    }
}

/// Flat, as README badges look. Without styles, so that any page's policy lets it be.
fn svg(badge: &ShieldsBadge) -> String {
    let (label, message) = (Escaped(&badge.label), Escaped(&badge.message));
    let (label_width, message_width) = (width(&badge.label), width(&badge.message));
    let whole = label_width + message_width;
    let colour = match badge.color {
        "brightgreen" => "#3a8a1f",
        "orange" => "#b45309",
        "red" => "#c0392b",
        _ => "#6b6b6b",
    };
    let mut svg = String::with_capacity(1024);
    // Writing to memory cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"{label}: {message}\">\
         <title>{label}: {message}</title>\
         <clipPath id=\"r\"><rect width=\"{whole}\" height=\"20\" rx=\"3\"/></clipPath>\
         <g clip-path=\"url(#r)\"><rect width=\"{label_width}\" height=\"20\" fill=\"#444\"/>\
         <rect x=\"{label_width}\" width=\"{message_width}\" height=\"20\" fill=\"{colour}\"/></g>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,Geneva,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{}\" y=\"14\" textLength=\"{}\">{label}</text>\
         <text x=\"{}\" y=\"14\" textLength=\"{}\">{message}</text></g></svg>",
        label_width / 2,
        label_width - 10,
        label_width + message_width / 2,
        message_width - 10,
    );
    svg
}

/// About as wide as the text is in Verdana at 11 px, with room on both sides; `textLength` makes it true.
fn width(text: &str) -> usize {
    let tenths: usize =
        text.chars().map(|c| if matches!(c, 'i' | 'l' | 'j' | '.' | ' ' | '·' | ':') { 40 } else { 70 }).sum();
    tenths / 10 + 10
}

/// Text in SVG.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
