//! The real function binaries, under a Lambda Runtime API of our own.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
    task::JoinHandle,
};

use super::programs;

/// A test that hangs fails after this long; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an invocation may take where a test says nothing else.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a function answered an event: its answer, or the error that it reported.
pub(crate) type Answer = Result<Value, Value>;

/// A running function.
pub(crate) struct Function {
    child: Child,
    api: Arc<RuntimeApi>,
    events: mpsc::UnboundedSender<Invocation>,
    output: [JoinHandle<String>; 2],
    serving: JoinHandle<()>,
}

/// What a function printed until it ended.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The log, a JSON object a line.
    pub(crate) fn log(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in the log line {line}"));
        self.stderr.lines().map(parse).collect()
    }
}

struct Invocation {
    payload: Vec<u8>,
    timeout: Duration,
    answer: oneshot::Sender<Answer>,
}

struct RuntimeApi {
    events: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<Option<(String, oneshot::Sender<Answer>)>>,
    init_error: Mutex<Option<oneshot::Sender<(HeaderMap, Value)>>>,
    init_errors: AsyncMutex<oneshot::Receiver<(HeaderMap, Value)>>,
    count: Mutex<u32>,
}

impl Function {
    /// Starts `monitor` or `api` (or an example, as `examples/NAME`) with these variables and those that Lambda sets.
    pub(crate) async fn start<N: AsRef<str>, V: AsRef<str>>(
        name: &str,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let (events, receiver) = mpsc::unbounded_channel();
        let (init_error, init_errors) = oneshot::channel();
        let api = Arc::new(RuntimeApi {
            events: AsyncMutex::new(receiver),
            running: Mutex::default(),
            init_error: Mutex::new(Some(init_error)),
            init_errors: AsyncMutex::new(init_errors),
            count: Mutex::default(),
        });
        let (address, serving) = serve(Arc::clone(&api)).await;
        let mut command = Command::new(programs::folder().join(name));
        command.env_clear();
        for (variable, value) in variables {
            command.env(variable.as_ref(), value.as_ref());
        }
        command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "test-function")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the function starts");
        let output = [read(child.stdout.take().expect("piped")), read(child.stderr.take().expect("piped"))];
        Self { child, api, events, output, serving }
    }

    /// Its answer to `event`.
    pub(crate) async fn invoke(&self, event: &Value) -> Answer {
        self.invoke_within(event, TIMEOUT).await
    }

    /// Its answer to `event`, with this long until its deadline.
    pub(crate) async fn invoke_within(&self, event: &Value, timeout: Duration) -> Answer {
        let (answer, answered) = oneshot::channel();
        let invocation = Invocation { payload: event.to_string().into_bytes(), timeout, answer };
        self.events.send(invocation).expect("the Runtime API runs");
        let answer = tokio::time::timeout(PATIENCE, answered).await.expect("the function answers in time");
        answer.expect("the function answers")
    }

    /// What it reported instead of starting: the error's type and the report.
    pub(crate) async fn init_error(&self) -> (String, Value) {
        let mut reported = self.api.init_errors.lock().await;
        let reported = tokio::time::timeout(PATIENCE, &mut *reported).await;
        let (headers, report) = reported.expect("it reports in time").expect("it reports");
        let kind = headers["lambda-runtime-function-error-type"].to_str().expect("ASCII").to_owned();
        (kind, report)
    }

    /// Ends it, unless it has ended.
    pub(crate) async fn stop(mut self) -> Output {
        let _ = self.child.start_kill();
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) -> Output {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it ended");
        self.serving.abort();
        let [stdout, stderr] = self.output;
        Output { code: status.code(), stdout: stdout.await.expect("text"), stderr: stderr.await.expect("text") }
    }
}

/// A sample event.
pub(crate) fn sample(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events").join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// Runs a function's binary where there is no Lambda.
pub(crate) async fn run_outside_lambda(name: &str) -> Output {
    let output = Command::new(programs::folder().join(name)).env_clear().output().await.expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn read(mut stream: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("UTF-8");
        text
    })
}

async fn serve(api: Arc<RuntimeApi>) -> (SocketAddr, JoinHandle<()>) {
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(api);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (address, tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") }))
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    // Held until the test has an event, as Lambda holds a function that has nothing to do.
    let Some(Invocation { payload, timeout, answer }) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let number = {
        let mut count = api.count.lock().expect("no panic");
        *count += 1;
        *count
    };
    let id = format!("request-{number}");
    *api.running.lock().expect("no panic") = Some((id.clone(), answer));
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + timeout;
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:test".to_owned()),
        ("lambda-runtime-trace-id", format!("Root=1-6b05c12f-{number:024x};Parent=0000000000000001;Sampled=0")),
    ];
    (axum::response::AppendHeaders(headers), payload).into_response()
}

async fn response(State(api): State<Arc<RuntimeApi>>, UrlPath(id): UrlPath<String>, body: String) -> StatusCode {
    api.finish(&id, Ok(json(&body)))
}

async fn error(State(api): State<Arc<RuntimeApi>>, UrlPath(id): UrlPath<String>, body: String) -> StatusCode {
    api.finish(&id, Err(json(&body)))
}

async fn init_error(State(api): State<Arc<RuntimeApi>>, headers: HeaderMap, body: String) -> StatusCode {
    if let Some(reported) = api.init_error.lock().expect("no panic").take() {
        let _ = reported.send((headers, json(&body)));
    }
    StatusCode::ACCEPTED
}

impl RuntimeApi {
    fn finish(&self, id: &str, answer: Answer) -> StatusCode {
        let running = self.running.lock().expect("no panic").take();
        match running {
            Some((running, waiting)) if running == id => {
                let _ = waiting.send(answer);
                StatusCode::ACCEPTED
            }
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

fn json(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {body}"))
}
