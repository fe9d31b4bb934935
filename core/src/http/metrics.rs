//! `/metrics`: what Prometheus reads. `docs/METRICS.md` tells what each counter counts from when.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write as _},
    sync::Arc,
};

use axum::{
    Extension,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures},
    window::{ROWS_AT_MOST, kind_word},
};
use crate::{
    history::{FoldError, Rows},
    query::{BUCKET_BOUNDS_MS, COUNTED, Counter, Counters, Histogram, Labels, Names},
    record::{Metric, TableRow},
    store::Scope,
};

/// Most models that get a label of their own.
const MODELS_AT_MOST: usize = 100;
/// Most providers that get a label of their own; we know fewer.
const PROVIDERS_AT_MOST: usize = 20;
/// Rows older than this are counted once and for all: a cycle's rows come when its last probe has ended.
const SETTLED_AFTER: TimeDelta = TimeDelta::hours(1);

/// The counters as far as they are settled. One per router.
#[derive(Debug, Default)]
pub(super) struct Collector(Mutex<Option<Settled>>);

#[derive(Debug)]
struct Settled {
    /// Nothing older is counted.
    since: DateTime<Utc>,
    /// All older rows are in `counters`.
    until: DateTime<Utc>,
    counters: Counters,
    names: BoundedNames,
}

#[derive(Debug, Clone)]
struct BoundedNames {
    models: Names,
    providers: Names,
}

impl Settled {
    fn new(since: DateTime<Utc>) -> Self {
        let names =
            BoundedNames { models: Names::at_most(MODELS_AT_MOST), providers: Names::at_most(PROVIDERS_AT_MOST) };
        Self { since, until: since, counters: Counters::default(), names }
    }
}

/// Metrics
///
/// Prometheus' text format. Simulated records are in no counter but their own.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "figures",
    operation_id = "metrics",
    responses(
        (status = 200, description = "Prometheus' text format 0.0.4", body = String, content_type = "text/plain",
            example = "llm_monitor_probes_total{environment=\"prod\",model=\"gpt-4o-mini\",provider=\"openai\",status=\"success\"} 1431"),
        (status = 400, description = "There are too many records to count", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Extension(collector): Extension<Arc<Collector>>,
) -> Result<Response, ApiError> {
    let (since, counters) = collector.collect(&api, Utc::now()).await?;
    let text = text(&api, since, &counters);
    let headers =
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}

impl Collector {
    /// Every counter up to `now`, and since when.
    async fn collect(&self, api: &Api, now: DateTime<Utc>) -> Result<(DateTime<Utc>, Counters), FoldError> {
        // A process that monitors counts from the day of its start, for as long as it lives. Where another process monitors,
        // there may be many of us, of any age: all count from the start of the day.
        let since = api.monitor_started_at.unwrap_or(now).date_naive().and_time(NaiveTime::MIN).and_utc();
        let mut state = self.0.lock().await;
        state.take_if(|settled| settled.since != since);
        // Changed in its place and as a whole: a client that leaves ends this at any `await`, and nothing settled may be lost.
        let settled = state.get_or_insert_with(|| Settled::new(since));
        let boundary = (now - SETTLED_AFTER).max(settled.until);
        let (counters, names) = count(api, settled.until, Some(boundary), &settled.counters, &settled.names).await?;
        (settled.counters, settled.names, settled.until) = (counters, names, boundary);
        let (latest, names) = count(api, boundary, None, &settled.counters, &settled.names).await?;
        // Who got a label of their own keeps it.
        settled.names = names;
        Ok((since, latest))
    }
}

/// `before`, and the rows of a stretch on top.
async fn count(
    api: &Api,
    from: DateTime<Utc>,
    to: Option<DateTime<Utc>>,
    before: &Counters,
    names: &BoundedNames,
) -> Result<(Counters, BoundedNames), FoldError> {
    if to.is_some_and(|to| to <= from) {
        return Ok((before.clone(), names.clone()));
    }
    let scope = Scope { environments: Some(api.environments.clone()), from: Some(from), to };
    let start = || (before.clone(), names.clone());
    let add = |(counters, names): &mut (Counters, BoundedNames), row: &TableRow<'_>| {
        counters.add(row, &mut names.models, &mut names.providers);
    };
    let rows = Rows { scope: &scope, wants: |_: &str| true, at_most: ROWS_AT_MOST };
    api.history.fold(&rows, start, add).await
}

fn text(api: &Api, since: DateTime<Utc>, counters: &Counters) -> String {
    let mut page = Page::default();
    let measured = &counters.measured;
    page.family("llm_monitor_info", "gauge", "The program's version.");
    page.sample("llm_monitor_info", &[("version", &api.version)], 1);
    page.family("llm_monitor_counters_since_timestamp_seconds", "gauge", "When the counters below began, Unix time.");
    page.sample("llm_monitor_counters_since_timestamp_seconds", &[], since.timestamp());
    page.family("llm_monitor_skipped_rows", "gauge", "Rows of the store that cannot be read, as far as it was read.");
    page.sample("llm_monitor_skipped_rows", &[], api.history.skipped_rows());

    probes(&mut page, measured);
    for (index, metric) in COUNTED.into_iter().enumerate() {
        let (name, help) = histogram_name(metric);
        page.family(name, "histogram", help);
        for (labels, counter) in measured {
            if let Some(histogram) = counter.histograms.get(index) {
                page.histogram(name, labels, histogram);
            }
        }
    }
    page.family(
        "llm_monitor_tokens_total",
        "counter",
        "Tokens of probes, by the provider's count; estimated where it gives none.",
    );
    for (labels, counter) in measured {
        page.labelled("llm_monitor_tokens_total", labels, &[("type", "input")], counter.input_tokens);
        page.labelled("llm_monitor_tokens_total", labels, &[("type", "output")], counter.output_tokens);
    }
    page.family(
        "llm_monitor_probe_cost_usd_total",
        "counter",
        "US dollars that probes cost, where the price is known.",
    );
    for (labels, counter) in measured {
        page.labelled("llm_monitor_probe_cost_usd_total", labels, &[], counter.cost_usd.normalize());
    }
    page.family(
        "llm_monitor_simulated_records_total",
        "counter",
        "Records derived instead of measured; in no other counter.",
    );
    for (environment, count) in &counters.simulated {
        page.sample("llm_monitor_simulated_records_total", &[("environment", environment)], count);
    }
    page.text
}

fn probes(page: &mut Page, measured: &BTreeMap<Labels, Counter>) {
    page.family("llm_monitor_probes_total", "counter", "Probes by how they ended.");
    for (labels, counter) in measured {
        let failures: u64 = counter.failures.values().sum();
        page.labelled("llm_monitor_probes_total", labels, &[("status", "success")], counter.successes);
        page.labelled("llm_monitor_probes_total", labels, &[("status", "error")], failures);
    }
    page.family("llm_monitor_probe_failures_total", "counter", "Probes that failed, by what failed.");
    for (labels, counter) in measured {
        for (kind, count) in &counter.failures {
            page.labelled("llm_monitor_probe_failures_total", labels, &[("error_kind", kind_word(*kind))], count);
        }
    }
    page.family("llm_monitor_last_probe_timestamp_seconds", "gauge", "When the newest probe started, Unix time.");
    for (labels, counter) in measured {
        if let Some((at, _)) = counter.last {
            let seconds = at.timestamp_millis() as f64 / 1000.0;
            page.labelled("llm_monitor_last_probe_timestamp_seconds", labels, &[], seconds);
        }
    }
    page.family("llm_monitor_last_probe_success", "gauge", "Whether the newest probe succeeded (1) or failed (0).");
    for (labels, counter) in measured {
        if let Some((_, is_success)) = counter.last {
            page.labelled("llm_monitor_last_probe_success", labels, &[], u8::from(is_success));
        }
    }
}

fn histogram_name(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::TtftMs => {
            ("llm_monitor_time_to_first_token_seconds", "From a probe's start to its first generated text.")
        }
        Metric::TpotMs => ("llm_monitor_time_per_output_token_seconds", "Time per output token after the first."),
        Metric::ConnectMs => ("llm_monitor_connect_duration_seconds", "DNS, TCP and TLS together."),
        _ => ("llm_monitor_probe_duration_seconds", "From a probe's start to the last generated text."),
    }
}

/// Prometheus' text format, as it grows.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        if labels.is_empty() {
            return self.line(format_args!("{name} {value}"));
        }
        let labels = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", Escaped(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        self.line(format_args!("{name}{{{labels}}} {value}"));
    }

    fn labelled(&mut self, name: &str, labels: &Labels, more: &[(&str, &str)], value: impl Display) {
        let (environment, model, provider) = labels;
        let own = [("environment", environment.as_str()), ("model", model), ("provider", provider)];
        self.sample(name, &[&own, more].concat(), value);
    }

    fn histogram(&mut self, name: &str, labels: &Labels, histogram: &Histogram) {
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        for (bound_ms, count) in BUCKET_BOUNDS_MS.into_iter().zip(histogram.buckets) {
            so_far += count;
            let bound_seconds = (f64::from(bound_ms) / 1000.0).to_string();
            self.labelled(&bucket, labels, &[("le", &bound_seconds)], so_far);
        }
        self.labelled(&bucket, labels, &[("le", "+Inf")], histogram.count);
        self.labelled(&format!("{name}_sum"), labels, &[], (histogram.sum_ms.round() / 1000.0).max(0.0));
        self.labelled(&format!("{name}_count"), labels, &[], histogram.count);
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}

/// A label's value as the format wants it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
