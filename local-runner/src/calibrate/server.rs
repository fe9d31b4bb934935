//! The other process: streams on an exact schedule, and logs the instant of every write. Plain blocking threads, one a
//! connection: nothing between the schedule and the system call.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{clock::wall_ns, plan::Plan};

/// The operating system wakes a sleeper some tens of microseconds late; the last stretch is waited for awake.
const AWAKE: Duration = Duration::from_micros(150);

/// With more streams than this, waiting awake would take the processor from the monitor that is judged.
const MOST_AWAKE: usize = 8;

/// Longest request taken, in bytes.
const MAX_REQUEST_BYTES: u64 = 1024 * 1024;

const STACK_BYTES: usize = 128 * 1024;

/// What the parent says to get the log; the end of its input ends this process.
pub(super) const REPORT: &str = "report";

/// What follows the last line of a log.
pub(super) const END: &str = "end";

/// One stream, as it was sent. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sent {
    /// The plan's id.
    pub id: u32,
    /// Just before the write of the first text.
    pub first_ns: i64,
    /// Just before the write of the last text.
    pub last_ns: i64,
    /// How late each text was written, against the schedule.
    pub late_ns: Vec<u64>,
    /// How long each write took: the truth is somewhere within.
    pub write_ns: Vec<u64>,
}

type Log = Arc<Mutex<Vec<Sent>>>;

/// Runs the hidden `calibrate-server`: prints its port, then its log whenever standard input says so, until that ends.
pub(crate) fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", listener.local_addr()?.port())?;
    stdout.flush()?;
    let log = Log::default();
    let accepted = Arc::clone(&log);
    thread::spawn(move || accept(&listener, &accepted));
    for line in io::stdin().lock().lines() {
        if line?.trim() == REPORT {
            for sent in take(&log) {
                writeln!(stdout, "{}", serde_json::to_string(&sent)?)?;
            }
            writeln!(stdout, "{END}")?;
            stdout.flush()?;
        }
    }
    Ok(())
}

/// Everything logged so far, once.
pub(super) fn take(log: &Log) -> Vec<Sent> {
    std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Serves until the process ends.
pub(super) fn accept(listener: &TcpListener, log: &Log) {
    let epoch = Instant::now();
    let streams = Arc::new(AtomicUsize::new(0));
    for connection in listener.incoming() {
        // One that was gone before it was taken is the client's matter, and will be missing in the log.
        let Ok(connection) = connection else { continue };
        let (log, streams) = (Arc::clone(log), Arc::clone(&streams));
        let serve = move || {
            streams.fetch_add(1, Ordering::Relaxed);
            // A stream that broke is not logged, so the parent sees that it is missing.
            let _ = answer(connection, epoch, &streams, &log);
            streams.fetch_sub(1, Ordering::Relaxed);
        };
        // No thread, no answer: the parent counts it as a failed probe.
        drop(thread::Builder::new().stack_size(STACK_BYTES).spawn(serve));
    }
}

fn answer(mut connection: TcpStream, epoch: Instant, streams: &AtomicUsize, log: &Log) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let body = read_request(&connection)?;
    let received = epoch.elapsed();
    let request: Value = serde_json::from_slice(&body)?;
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
    let plan = Plan::of_model(model).ok_or(io::ErrorKind::InvalidData)?;
    let texts: Vec<Vec<u8>> = (0..plan.tokens).map(|number| chunk(&event(model, &text(number)))).collect();
    let end = ending(model, plan);

    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let role = chunk(&event(model, &json!({"role": "assistant", "content": ""})));
    connection.write_all(&[head.as_bytes(), &role].concat())?;
    let size = texts.len();
    let mut sent = Sent {
        id: plan.id,
        first_ns: 0,
        last_ns: 0,
        late_ns: Vec::with_capacity(size),
        write_ns: Vec::with_capacity(size),
    };
    for (number, text) in (0..).zip(&texts) {
        let due = epoch + plan.due(received, number);
        wait_until(due, streams.load(Ordering::Relaxed) <= MOST_AWAKE);
        let late = due.elapsed();
        let before_ns = wall_ns();
        connection.write_all(text)?;
        sent.write_ns.push(wall_ns().abs_diff(before_ns));
        sent.late_ns.push(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        if number == 0 {
            sent.first_ns = before_ns;
        }
        sent.last_ns = before_ns;
    }
    // Logged before the end is sent: who has read the end can rely on the log.
    log.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    // As real servers do, the end trails the last text.
    wait_until(epoch + plan.due(received, plan.tokens), false);
    connection.write_all(&end)
}

fn read_request(connection: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(connection.take(MAX_REQUEST_BYTES));
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

fn wait_until(due: Instant, awake: bool) {
    let margin = if awake { AWAKE } else { Duration::ZERO };
    let left = due.saturating_duration_since(Instant::now());
    thread::sleep(left.saturating_sub(margin));
    while awake && Instant::now() < due {
        std::hint::spin_loop();
    }
}

/// A token of about the usual length; every chunk differs, as real ones do.
fn text(number: u32) -> Value {
    json!({"content": format!(" tok{number}")})
}

fn event(model: &str, delta: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": null});
    let event = json!({
        "id": "chatcmpl-calibrate0000000000000000000", "object": "chat.completion.chunk", "created": 0, "model": model,
        "system_fingerprint": "fp_calibrate", "choices": [choice], "usage": null,
    });
    format!("data: {event}\n\n")
}

fn ending(model: &str, plan: Plan) -> Vec<u8> {
    let envelope =
        json!({"id": "chatcmpl-calibrate0000000000000000000", "object": "chat.completion.chunk", "model": model});
    let mut finish = envelope.clone();
    finish["choices"] = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let mut usage = envelope;
    usage["choices"] = json!([]);
    usage["usage"] =
        json!({"prompt_tokens": 20, "completion_tokens": plan.tokens, "total_tokens": 20 + u64::from(plan.tokens)});
    let events = format!("data: {finish}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
    [chunk(&events).as_slice(), b"0\r\n\r\n"].concat()
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
