//! `watch`: the matrix in the terminal, from a running server's API.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use chrono::{SecondsFormat, TimeDelta, Utc};
use llm_monitor::mock::{Behaviour, Failure, FailureKind};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{
    cloud::{environments, mock, quick},
    http::get_json,
    monitor::Setup,
    scripted::{Scripted, response},
};

/// A test that hangs fails after this long; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(60);

fn failing() -> Behaviour {
    Behaviour { failures: vec![Failure::always(FailureKind::ServerError)], ..quick() }
}

#[tokio::test]
async fn it_prints_what_the_summary_says_and_exits_with_0_when_all_is_well() {
    let mock = mock([("gpt-4o", quick()), ("gpt-4o-mini", quick())]);
    let setup = Setup::new().with(mock.settings(&environments()));
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let ended = setup.run(&["watch", "--once", "--url", &serving.url("")]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "no terminal, no escapes: {}", ended.stdout);
    assert!(ended.stdout.contains("✓ 4 working"), "{}", ended.stdout);
    let summary = get_json(&serving.url("/api/summary")).await;
    assert_eq!(summary["groups"].as_array().map(Vec::len), Some(4), "{summary}");
    for group in summary["groups"].as_array().expect("groups") {
        for metric in ["ttft_ms", "latency_ms"] {
            let ms = |name: &str| group[metric][name].as_f64().expect("a figure");
            let shown = if ms("p95") < 9.995 {
                format!("{:.2} / {:.2} ms", ms("p50"), ms("p95"))
            } else {
                format!(" / {:.1} ms", ms("p95"))
            };
            assert!(ms("p95") > 99.0 || ended.stdout.contains(&shown), "{shown} in {}", ended.stdout);
        }
    }
    for text in ["gpt-4o-mini", "dev", "prod", "full mode", "Monitor ok", "cycle ", "100 %", "last 1 h"] {
        assert!(ended.stdout.contains(text), "{text:?} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_failing_model_tells_why_and_exits_with_1() {
    let mock = mock([("gpt-4o", quick()), ("gpt-broken", failing())]);
    let setup = Setup::new().with(mock.settings(&environments()));
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let ended = setup.run(&["watch", "--once", "--url", &serving.url("/")]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("✕ 2 failing   ✓ 2 working"), "{}", ended.stdout);
    let why = "✕ prod gpt-broken  failing: server_error (1 of 1 probes failed): HTTP 500";
    assert!(ended.stdout.contains(why), "{}", ended.stdout);
}

#[tokio::test]
async fn what_is_derived_and_not_measured_is_marked() {
    let mock = mock([("gpt-4o", quick())]);
    let simple = [("MULTI_ENV_MODE", "simple"), ("ENVIRONMENTS", "dev,prod"), ("ENVIRONMENT", "dev")];
    let setup = Setup::new().with(mock.settings(&environments())).with(simple);
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let ended = setup.run(&["watch", "--once", "--url", &serving.url("")]).await;
    let heading = ended.stdout.lines().find(|line| line.starts_with("model ")).expect("a heading");
    assert!(heading.contains("prod simulated") && !heading.contains("dev simulated"), "{}", ended.stdout);
    assert!(ended.code == Some(0) && ended.stdout.contains("✓ 2 working"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_so_with_2() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let ended = Setup::new().run(&["watch", "--once", "--url", &format!("http://{nobody}")]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stdout.contains("Unreachable since ") && ended.stdout.contains("refused"), "{}", ended.stdout);
    let ended = Setup::new().run(&["watch", "--url", "ftp://x"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("http://"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_server_that_is_too_busy_to_look_at_its_health_is_told_so() {
    let head = "content-type: application/problem+json\r\nretry-after: 1\r\n";
    let problem = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many requests"}"#;
    let server = Scripted::start(vec![response("503 Service Unavailable", head, problem)]).await;
    let ended = Setup::new().run(&["watch", "--once", "--url", &server.url("")]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stdout.contains("too many requests"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_server_that_wants_a_token_is_given_it_and_nobody_is_shown_it() {
    let mock = mock([("gpt-4o", quick())]);
    let serves = Setup::new().with(mock.settings(&environments())).with([("API_TOKEN", "geheim")]);
    let mut serving = serves.serve().await;
    serving.cycle().await;
    let url = serving.url("");
    let once = ["watch", "--once", "--url", &url];
    let asks = async |token: Option<&str>| Setup::new().with(token.map(|token| ("API_TOKEN", token))).run(&once).await;

    let ended = asks(None).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stdout.contains("API_TOKEN"), "{}", ended.stdout);
    let ended = asks(Some("falsch")).await;
    assert!(ended.code == Some(2) && ended.stdout.contains("not the right one"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("falsch"), "{}", ended.stdout);
    let ended = asks(Some("geheim")).await;
    assert!(ended.code == Some(0) && ended.stdout.contains("✓ 2 working"), "{}", ended.stdout);
    let ended = Setup::new().run(&[&once[..], &["--token", "geheim"]].concat()).await;
    assert!(ended.code == Some(0) && !ended.stdout.contains("geheim"), "{}", ended.stdout);
}

/// What a server answers whose only model worked two minutes ago.
#[derive(Clone)]
struct Answers {
    health: &'static str,
    name: &'static str,
    last_probe: TimeDelta,
}

async fn server(answers: Answers) -> String {
    let answer = async |State(answers): State<Arc<Mutex<Answers>>>, uri: axum::http::Uri| {
        let answers = answers.lock().expect("no panic").clone();
        let distribution = json!({"p50": 410.0, "p95": 512.0, "enough": true});
        let ago = |age: TimeDelta| (Utc::now() - age).to_rfc3339_opts(SecondsFormat::Millis, true);
        let id = |minutes| (Utc::now() - TimeDelta::minutes(minutes)).format("%Y%m%dT%H%M%SZ").to_string();
        let body = match uri.path() {
            "/health" => json!({
                "status": answers.health, "version": "9.9.9", "mode": "full", "store": {"kind": "s3", "location": ""},
                "problems": [answers.name], "environments": {"prod": {
                    "status": answers.health, "last_cycle": {"id": id(2), "age_seconds": 120.0},
                    "catalog": {"source": "last_good"}, "problems": [],
                }},
            }),
            "/api/summary" => json!({"groups": [{
                "environment": "prod", "model_name": answers.name, "simulated": false, "count": 20, "successes": 20, "failures": 0,
                "success_rate": 1.0, "ttft_ms": distribution, "latency_ms": distribution,
                "last_record": {
                    "timestamp": ago(answers.last_probe), "status": "success", "error_kind": null, "error_message": null
                },
            }]}),
            "/api/series" => json!({"series": [
                {"environment": "prod", "model_name": answers.name, "values": {"p95": [400.0, null, 800.0]}}
            ]}),
            "/api/models" => json!({answers.name: {"monitored": true, "reason": null, "simulated": false}}),
            "/api/latency" => {
                json!([{"cycle_id": id(2)}, {"cycle_id": id(3)}, {"cycle_id": id(4)}, {"cycle_id": id(5)}])
            }
            _ => Value::Null,
        };
        let is_stale = uri.path() == "/health" && answers.health == "stale";
        let status = if is_stale { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        (status, axum::Json(body)).into_response()
    };
    let router = Router::new().fallback(answer).with_state(Arc::new(Mutex::new(answers)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_missed_cycle_is_unknown_and_never_green() {
    let fresh = Answers { health: "ok", name: "m", last_probe: TimeDelta::seconds(120) };
    let once = async |answers| Setup::new().run(&["watch", "--once", "--url", &server(answers).await]).await;
    let ended = once(fresh.clone()).await;
    assert!(ended.code == Some(0) && ended.stdout.contains("✓ 1 working"), "{}", ended.stdout);
    assert!(ended.stdout.contains("▅ █"), "the course, with its gap: {}", ended.stdout);
    assert!(ended.stdout.contains("! prod: its usage endpoint fails"), "{}", ended.stdout);
    // The monitor says that it is late; it does not, but this model had no probe for more than three intervals.
    for answers in
        [Answers { health: "stale", ..fresh.clone() }, Answers { last_probe: TimeDelta::minutes(9), ..fresh }]
    {
        let ended = once(answers).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert!(ended.stdout.contains("? 1 unknown") && !ended.stdout.contains('✓'), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn names_cannot_command_the_terminal() {
    let answers = Answers { health: "ok", name: "a\u{1b}[2J\nb\u{202e}c", last_probe: TimeDelta::zero() };
    let ended = Setup::new().run(&["watch", "--once", "--url", &server(answers).await]).await;
    assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']), "{:?}", ended.stdout);
    let shown = ended.stdout.matches("a\u{fffd}[2J\u{fffd}b\u{fffd}c").count();
    assert_eq!(shown, 2, "as the model's name and as the monitor's problem: {:?}", ended.stdout);
}

/// Reads until what was read holds `text`, and returns all of it.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(text) {
            let count = stream.read(&mut chunk).await.expect("readable");
            assert!(count > 0, "it ended before {text:?}: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&chunk[..count]);
        }
    };
    let is_read = timeout(PATIENCE, reading).await.is_ok();
    let read = String::from_utf8_lossy(&read).into_owned();
    assert!(is_read, "no {text:?} in {read}");
    read
}

#[tokio::test]
async fn a_server_that_goes_away_leaves_its_time_and_no_green() {
    let mock = mock([("gpt-4o", quick())]);
    let setup = Setup::new().with(mock.settings(&environments()));
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let mut watch = setup.start(&["watch", "--interval", "1", "--url", &serving.url("")]);
    let mut stdout = watch.stdout.take().expect("piped");
    read_until(&mut stdout, "✓ 2 working").await;
    serving.kill().await;
    read_until(&mut stdout, "Unreachable since ").await;
    let after = read_until(&mut stdout, "success rate\n").await;
    assert!(after.contains("The figures are those of ") && after.contains("? 2 unknown"), "{after}");
    assert!(after.contains(" ms") && !after.contains('✓'), "figures are kept, green is not: {after}");
}

#[tokio::test]
async fn at_a_terminal_it_draws_in_place_and_ctrl_c_gives_the_terminal_back() {
    let answers = Answers { health: "ok", name: "m", last_probe: TimeDelta::zero() };
    let url = server(answers).await;
    for (no_color, has_colours) in [("", true), ("1", false)] {
        let setup = Setup::new().with([("TERM", "xterm"), ("NO_COLOR", no_color)]);
        let mut watch = setup.start_at_terminal(&["watch", "--url", &url], 50, 12);
        let (mut keyboard, mut screen) = (watch.stdin.take().expect("piped"), watch.stdout.take().expect("piped"));
        let shown = read_until(&mut screen, "working").await + &read_until(&mut screen, "\u{1b}[J").await;
        assert!(shown.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "its own screen, without the cursor: {shown:?}");
        assert_eq!(shown.contains("\u{1b}[32m✓\u{1b}[0m"), has_colours, "{shown:?}");
        let drawing = shown.rsplit("\u{1b}[H").next().expect("a drawing");
        let widths = drawing.split("\u{1b}[K").map(console_width);
        assert!(widths.clone().max().is_some_and(|most| most <= 50), "{drawing:?}");
        assert!(widths.count() <= 13, "{drawing:?}");
        keyboard.write_all(b"\x03").await.expect("typed");
        let mut rest = String::new();
        timeout(PATIENCE, screen.read_to_string(&mut rest)).await.expect("it ends").expect("UTF-8");
        assert!(rest.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{rest:?}");
        assert_eq!(timeout(PATIENCE, watch.wait()).await.expect("it ends").expect("ended").code(), Some(0));
    }
}

/// Columns that a line takes without its colours.
fn console_width(line: &str) -> usize {
    let mut parts = line.split("\u{1b}[");
    let plain = parts.next().unwrap_or_default().trim_matches(['\r', '\n']).chars().count();
    plain
        + parts
            .filter_map(|part| part.split_once('m'))
            .map(|(_, text)| text.trim_matches(['\r', '\n']).chars().count())
            .sum::<usize>()
}
