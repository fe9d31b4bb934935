//! `/api/*` under far more clients than it takes on: it says so at once, monitoring goes on, and afterwards all is as before.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{provider::Provider, record::Environment};
use serde_json::Value;

use crate::support::{
    http::{client, get_json},
    monitor::Setup,
    scripted::{Step, end, event, finish, stream_head, text, usage},
};

/// Between the first text and the last.
const PAUSE: Duration = Duration::from_millis(30);

/// What a record may be off by beyond what it says of the monitor's own lateness. Mostly it is 0.05; the rest is for a kernel that
/// has not begun to stamp what arrives, and a machine that is full.
const ACCURACY_MS: f64 = 5.0;

/// Streams that are sent by a thread each, with the truth: between which bounds the time from the first text to the last lies,
/// wherever within its write each of them left.
#[derive(Clone, Default)]
struct Timed(Arc<Mutex<Vec<(f64, f64)>>>);

impl Timed {
    fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let timed = self.clone();
        thread::spawn(move || {
            for (number, socket) in listener.incoming().enumerate() {
                let (timed, socket) = (timed.clone(), socket.expect("a connection"));
                timed.0.lock().expect("no panic").push((0.0, 0.0));
                thread::spawn(move || timed.answer(socket, number));
            }
        });
        address
    }

    fn answer(&self, mut socket: TcpStream, number: usize) {
        socket.set_nodelay(true).expect("a socket");
        let _ = socket.read(&mut [0; 16 * 1024]).expect("a request");
        let mut send = |step: Step| {
            let Step::Send(bytes) = step else { unreachable!("a step that sends") };
            let before = Instant::now();
            socket.write_all(&bytes).expect("a client");
            (before, Instant::now())
        };
        send(stream_head());
        let first = send(named(number));
        thread::sleep(PAUSE);
        let last = send(text("there"));
        let ms = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
        self.0.lock().expect("no panic")[number] = (ms(first.1, last.0), ms(first.0, last.1));
        for step in [finish("stop"), usage(2), event("[DONE]"), end()] {
            send(step);
        }
    }

    /// By how much the record says another time from the first text to the last than was the case, in milliseconds.
    fn error_ms(&self, record: &Value) -> f64 {
        let number =
            record["served_model"].as_str().and_then(|name| name.strip_prefix("served-")?.parse::<usize>().ok());
        let (least, most) = self.0.lock().expect("no panic")[number.expect("which stream it was")];
        let ms = |field: &str| record[field].as_f64().expect("measured");
        let said = ms("latency_ms") - ms("ttft_ms");
        (said - most).max(least - said).max(0.0)
    }
}

/// The first text, by a model whose name says which stream it is.
fn named(number: usize) -> Step {
    event(&format!(
        r#"{{"model":"served-{number}","choices":[{{"index":0,"delta":{{"content":"Hello"}},"finish_reason":null}}]}}"#
    ))
}

/// Connections, each of which asks again as soon as it is answered.
const CLIENTS: usize = 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_is_shed_and_no_cycle_is_lost() {
    let models = ["gpt-a", "gpt-b"].map(|name| (name, Provider::OpenAi, Behaviour::default()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let timed = Timed::default();
    let base_url = format!("http://{}/v1", timed.start());
    let setup = Setup::new().with(mock.settings(&[Environment::dev()]));
    let setup = setup.with([("MONITOR_INTERVAL", "1"), ("DEV_OPENAI_BASE_URL", &base_url)]);
    let mut serving = setup.serve().await;
    serving.cycle().await;
    // Readers have threads of their own, so that no probe waits behind an answer.
    #[cfg(target_os = "linux")]
    assert!(serving.threads().iter().any(|name| name == "serving"), "{:?}", serving.threads());

    let over = Arc::new(AtomicBool::new(false));
    let (answered, shed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let paths = ["/api/latency?limit=1000", "/api/summary", "/api/series?metric=ttft_ms", "/api/models"];
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let url = serving.url(paths[number % paths.len()]);
        let (over, answered, shed) = (Arc::clone(&over), Arc::clone(&answered), Arc::clone(&shed));
        clients.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let response = client().get(&url).send().await.expect("an answer");
                let retry =
                    response.headers().get("retry-after").map(|value| value.to_str().expect("ASCII").to_owned());
                match response.status().as_u16() {
                    200 => answered.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert_eq!(retry.as_deref(), Some("1"), "says when to ask again");
                        shed.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{url}: {other}"),
                };
                response.bytes().await.expect("a whole body");
            }
        }));
    }
    for _ in 0..4 {
        serving.cycle().await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("every answer was 200 or 503");
    }
    let (answered, shed) = (answered.load(Ordering::Relaxed), shed.load(Ordering::Relaxed));
    assert!(answered > 0 && shed > 0, "{answered} answered, {shed} shed");

    let records = get_json(&serving.url("/api/latency?environment=dev&limit=1000")).await;
    let records = records.as_array().expect("a list");
    assert!(records.len() >= 10, "five cycles of two models: {}", records.len());
    let mut worst_error_ms = 0.0_f64;
    for record in records {
        assert_eq!(record["status"], "success", "{record}");
        let delay_ms = record["client_delay_ms"].as_f64().expect("each says how late the monitor itself was");
        let error_ms = timed.error_ms(record);
        assert!(error_ms <= delay_ms + ACCURACY_MS, "{error_ms} ms off: {record}");
        worst_error_ms = worst_error_ms.max(error_ms);
    }
    let worst = |field: &str| records.iter().filter_map(|r| r[field].as_f64()).fold(0.0, f64::max);
    eprintln!(
        "load: {answered} answered, {shed} shed, client_delay_ms {} at most, off by {worst_error_ms:.3} ms at most",
        worst("client_delay_ms")
    );
    let health: Value = get_json(&serving.url("/health")).await;
    assert_eq!(health["status"], "ok", "{health}");
}
