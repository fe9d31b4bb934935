//! Answers, as the router gives them.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::StreamExt as _;
use llm_monitor_core::{
    history::{History, Rows},
    http::{Api, CorsPolicy, router},
    query::{Buckets, Column, Figure, Selection, Statistic, series},
    record::{Environment, Metric},
    store::{FileOptions, FileStore, Scope, Store},
};
use tower::ServiceExt;

use super::{
    Line,
    place::{Place, file_in},
    resident,
};

/// What `serve` has unless it is told otherwise.
pub(super) const MEMORY_LIMIT_BYTES: usize = 64 * 1024 * 1024;
const RUNS: usize = 200;

/// A server over a history, without a socket.
pub(super) struct Server {
    history: Arc<History>,
    router: Router,
    newest: DateTime<Utc>,
}

async fn serve(file: &Path, rotate: bool) -> Server {
    serve_within(file, rotate, MEMORY_LIMIT_BYTES).await
}

async fn serve_within(file: &Path, rotate: bool, memory_limit_bytes: usize) -> Server {
    let file = file.to_owned();
    let options = FileOptions { rotate, keep_decoded_bytes: memory_limit_bytes, ..FileOptions::default() };
    let store = tokio::task::spawn_blocking(move || FileStore::open_with(file, options)).await.expect("it ends");
    let store: Arc<dyn Store> = Arc::new(store.expect("it opens"));
    let history = Arc::new(History::new(Arc::clone(&store), memory_limit_bytes));
    let segments = store.segments(&Scope::default()).await.expect("readable");
    // The open segment names no end.
    let newest = segments.iter().filter_map(|segment| segment.latest.or(segment.earliest)).max().expect("rows");
    let api = Api {
        store,
        history: Arc::clone(&history),
        environments: ["dev", "test", "qa", "prod"].map(environment).to_vec(),
        api_token: None,
        cors: CorsPolicy::Nobody,
        version: "bench".to_owned(),
        monitor_interval: Duration::from_secs(60),
        simple_mode: false,
        monitor_started_at: None,
        host_problems: None,
    };
    Server { history, router: router(api), newest }
}

fn environment(name: &str) -> Environment {
    name.parse().expect("a name")
}

impl Server {
    async fn get(&self, address: &str) -> (Option<String>, Vec<u8>) {
        let request = Request::get(address).header("host", "localhost").body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        assert!(answer.status().is_success(), "{address}: {}", answer.status());
        let link = answer.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        (link, body.to_vec())
    }

    /// Reads an answer to its end and keeps nothing of it.
    async fn drain(&self, address: &str) {
        let request = Request::get(address).header("host", "localhost").body(Body::empty()).expect("a request");
        let answer = self.router.clone().oneshot(request).await.expect("an answer");
        assert!(answer.status().is_success(), "{address}: {}", answer.status());
        let mut pieces = answer.into_body().into_data_stream();
        while let Some(piece) = pieces.next().await {
            piece.expect("a whole answer");
        }
    }

    /// The best of many: what else the machine does only adds.
    async fn best(&self, address: &str) -> Duration {
        self.get(address).await;
        let mut best = Duration::MAX;
        for _ in 0..RUNS {
            let start = Instant::now();
            self.get(address).await;
            best = best.min(start.elapsed());
        }
        best
    }
}

/// Seconds until the file is opened and indexed, and every row read, parsed, sorted, kept as far as there is room, and looked at
/// once. What there is no room for is parsed twice: for the index, and to be looked at.
pub(super) async fn load(place: &Place, memory_limit_bytes: usize) -> (f64, Server) {
    let start = Instant::now();
    let server = serve_within(&place.file(), false, memory_limit_bytes).await;
    let rows = Rows { scope: &Scope::default(), wants: |_: &str| true, at_most: u64::MAX };
    let count = server.history.fold(&rows, || 0, |count, _| *count += 1).await.expect("readable");
    assert_eq!(count, place.rows, "every row is read");
    (start.elapsed().as_secs_f64(), server)
}

/// The newest and the deepest page of `prod`, of a small and of a large history.
pub(super) async fn pages(small: &Place, large: &Place) -> Vec<Line> {
    const PAGE: &str = "/api/latency?environment=prod&limit=100";
    let few = serve(&small.file(), false).await;
    let many = serve(&large.file(), false).await;
    let of_few = few.best(PAGE).await;
    let deepest_by_skip = |rows: usize| format!("{PAGE}&skip={}", rows / 4 - 100);
    // Where the page before the last one ends.
    let before = format!("{PAGE}&skip={}", large.rows / 4 - 200);
    let (link, _) = many.get(&before).await;
    let link = link.expect("another page follows");
    let next = link.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
    let mut lines = Vec::new();
    for (what, address, compared) in [
        ("newest page", PAGE.to_owned(), of_few),
        ("deepest page, by its link", next, of_few),
        ("deepest page, by skip", deepest_by_skip(large.rows), few.best(&deepest_by_skip(small.rows)).await),
    ] {
        let took = many.best(&address).await;
        let ratio = took.as_secs_f64() / compared.as_secs_f64();
        let million = large.rows as f64 / 1e6;
        lines.push(
            Line::new(
                format!("{what} of 100 at {million:.1} million rows"),
                format!("{:.0} requests/s", 1.0 / took.as_secs_f64()),
            )
            .compared(format!("{ratio:.2} x the time at {} rows", small.rows))
            .goal("2 x", &[Some(ratio <= 2.0)]),
        );
    }
    lines
}

fn hourly(server: &Server, days: i64) -> (Selection, Buckets) {
    let to = DateTime::from_timestamp(server.newest.timestamp() / 3_600 * 3_600, 0).expect("a time");
    let from = to - TimeDelta::days(days);
    let scope = Scope { environments: None, from: Some(from), to: Some(to) };
    let selection = Selection { scope, models: None, include_simulated: false, rows_at_most: u64::MAX };
    (selection, Buckets::new(from, to, 3_600))
}

/// 30 days of 40 series by the hour.
pub(super) async fn month(place: &Place) -> Vec<Line> {
    let server = serve(&place.file(), true).await;
    let days = 30.min(place.rows.cast_signed() as i64 / 57_600 - 1);
    server.history.roll_up(None).await.expect("readable");
    let (selection, buckets) = hourly(&server, days);
    let statistics = [50, 95, 99].map(Statistic::Percentile);
    let (columns, figure) = ([Column::Environment, Column::Model], Figure::Duration(Metric::TtftMs));
    let ask = || series(&server.history, &selection, &columns, figure, &statistics, &buckets);
    let start = Instant::now();
    let (lines, is_exact) = ask().await.expect("readable");
    let cold = start.elapsed();
    assert!(!is_exact && lines.len() == 40, "{} series", lines.len());
    let mut warm = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        ask().await.expect("readable");
        warm = warm.min(start.elapsed());
    }
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (from, to) =
        (selection.scope.from.map(text).unwrap_or_default(), selection.scope.to.map(text).unwrap_or_default());
    let answer =
        server.best(&format!("/api/series?metric=ttft_ms&percentile=p50,p95,p99&step=1h&from={from}&to={to}")).await;
    let what = format!("{days} days x 40 series, p50, p95 and p99 by the hour");
    let duck = duckdb(&place.folder(), &from, &to);
    let compared = duck.map_or_else(
        || "DuckDB: not measured (tests/history/run installs it)".to_owned(),
        |duck| format!("{:.0} x as fast as DuckDB on the same files ({:.0} ms)", duck / warm.as_secs_f64(), duck * 1e3),
    );
    let are_met = [Some(warm <= Duration::from_millis(10)), duck.map(|duck| duck / warm.as_secs_f64() >= 10.0)];
    vec![
        Line::new(format!("{what}, warm"), ms(warm)).compared(compared).goal("10 ms, 10 x", &are_met),
        Line::new(format!("{what}, first time"), ms(cold)),
        Line::new(format!("{what}, warm, as the API's JSON"), ms(answer)),
    ]
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// Seconds that DuckDB takes for the same figures, the best of three; `None` where it is not installed.
fn duckdb(folder: &Path, from: &str, to: &str) -> Option<f64> {
    const SCRIPT: &str = "
import sys, time, duckdb
folder, start, end = sys.argv[1:]
files = [folder + '/latency_data.csv', folder + '/latency_data.d/date=*.csv']
query = '''select environment, model_name, date_trunc('hour', timestamp) as hour,
    quantile_disc(ttft_ms, [0.5, 0.95, 0.99]) from read_csv(?, union_by_name = true)
    where status = 'success' and timestamp >= ?::timestamptz and timestamp < ?::timestamptz group by all'''
# Printed among the figures, where a query takes seconds.
duckdb.execute('set enable_progress_bar = false')
best = None
for _ in range(3):
    began = time.monotonic()
    duckdb.execute(query, [files, start, end]).fetchall()
    took = time.monotonic() - began
    best = took if best is None else min(best, took)
print(best)
";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-venv/history/bin/python");
    let said = Command::new(python).args(["-c", SCRIPT]).arg(folder).args([from, to]).output().ok()?;
    if !said.status.success() {
        eprintln!("DuckDB: {}", String::from_utf8_lossy(&said.stderr));
        return None;
    }
    String::from_utf8_lossy(&said.stdout).trim().parse().ok()
}

/// Makes the rollups that a server makes as days end.
pub(super) async fn roll_up(place: &Place) {
    serve(&place.file(), true).await.history.roll_up(None).await.expect("readable");
}

/// A year of one environment by the day, in a process of its own: prints lines for the table.
pub(super) async fn year(folder: &Path) {
    let start = Instant::now();
    let server = serve(&file_in(folder), true).await;
    let opened = start.elapsed();
    let from = (server.newest - TimeDelta::days(365)).to_rfc3339_opts(SecondsFormat::Secs, true).replace('+', "%2B");
    let address = format!("/api/series?metric=ttft_ms&percentile=p50,p95,p99&step=1d&environment=prod&from={from}");
    let start = Instant::now();
    server.get(&address).await;
    let cold = start.elapsed();
    let warm = server.best(&address).await;
    let summary = server.best(&format!("/api/summary?environment=prod&from={from}")).await;
    let after_figures = resident::peak_mib("self");
    // What a person does in a day: pages, and a jump far back.
    for address in ["/api/latency?limit=1000", "/api/latency?limit=1000&skip=500000", "/api/models", "/metrics"] {
        server.get(address).await;
    }
    let after_jumps = resident::peak_mib("self");
    let start = Instant::now();
    server.get(&format!("/api/latency?limit=100&model=none&environment=prod&from={from}")).await;
    let in_vain = start.elapsed();
    let since = (server.newest - TimeDelta::days(60)).to_rfc3339_opts(SecondsFormat::Secs, true).replace('+', "%2B");
    server.drain(&format!("/api/export?environment=prod&from={since}")).await;
    let peak =
        |after: &str, mib| resident::line(format!("most memory of the benchmark's own server after {after}"), mib);
    super::print(&[
        Line::new("a year of one environment by the day, warm", ms(warm))
            .goal("50 ms", &[Some(warm <= Duration::from_millis(50))]),
        Line::new("a year of one environment by the day, first time", ms(cold))
            .goal("1 s", &[Some(cold <= Duration::from_secs(1))]),
        Line::new("a year's summary, warm", ms(summary)),
        Line::new("a page of a model that a year does not have", ms(in_vain)),
        Line::new("opening the store with a year in it", ms(opened)),
        peak("a year's figures", after_figures),
        peak("a jump 500,000 rows deep as well", after_jumps),
        peak("an export of 60 days as well", resident::peak_mib("self")),
    ]);
}
