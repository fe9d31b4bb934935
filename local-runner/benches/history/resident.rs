//! The memory of `serve` itself, with its monitor and threads, over a year of one environment.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use chrono::{SecondsFormat, TimeDelta};

use super::{Line, place::Place};

const GOAL_MIB: f64 = 84.0;

/// Nobody answers there: the monitor's own cycles find nothing to probe.
const HARMLESS: [(&str, &str); 5] = [
    ("DEV_USAGE_ENDPOINT", "http://127.0.0.1:9"),
    ("OLLAMA_BASE_URL", "http://127.0.0.1:9"),
    ("MONITOR_INTERVAL", "3600"),
    ("LLM_API_TIMEOUT", "1"),
    ("LISTEN", "127.0.0.1:0"),
];

/// The most memory that a process (its id, or `self`) had resident so far. `None` where the system does not tell: only Linux does.
pub(super) fn peak_mib(process: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kib: f64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

pub(super) fn line(what: String, peak_mib: Option<f64>) -> Line {
    let figure = peak_mib.map_or_else(|| "not measured".to_owned(), |mib| format!("{mib:.0} MiB"));
    Line::new(what, figure).goal(format!("{GOAL_MIB} MiB"), &[peak_mib.map(|mib| mib <= GOAL_MIB)])
}

/// `serve` as it is after each of the questions, and after all of them with the one setting of the C library that docs/OPERATIONS.md
/// names.
pub(super) fn measure(year: &Place) -> Vec<Line> {
    if peak_mib("self").is_none() {
        return vec![line("most memory of `serve` over a year".to_owned(), None)];
    }
    let mut lines = Vec::new();
    let serve = Serve::start(&year.folder(), &[]);
    lines.push(line("most memory of `serve` after its start".to_owned(), serve.peak_mib()));
    for (what, address) in questions(year) {
        serve.ask(&address);
        lines.push(line(format!("most memory of `serve` after {what} as well"), serve.peak_mib()));
    }
    drop(serve);
    let serve = Serve::start(&year.folder(), &[("MALLOC_ARENA_MAX", "1")]);
    for (_, address) in &questions(year) {
        serve.ask(address);
    }
    lines.push(line(
        "most memory of `serve` after all of these, with `MALLOC_ARENA_MAX=1`".to_owned(),
        serve.peak_mib(),
    ));
    lines
}

fn questions(year: &Place) -> [(&'static str, String); 5] {
    let text = |days| (year.until - TimeDelta::days(days)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let window = |days| format!("environment=prod&from={}&to={}", text(days), text(0));
    let series = |step, days| format!("/api/series?metric=ttft_ms&percentile=p50,p95,p99&step={step}&{}", window(days));
    [
        ("a year's summary", format!("/api/summary?{}", window(365))),
        ("30 days by the hour", series("1h", 30)),
        ("a year by the day", series("1d", 365)),
        ("a page 500,000 rows deep", "/api/latency?limit=100&skip=500000".to_owned()),
        ("an export of 60 days, packed by gzip,", format!("/api/export?{}", window(60))),
    ]
}

/// The program, until this is dropped.
struct Serve {
    child: Child,
    address: String,
}

impl Serve {
    fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-monitor"));
        command.arg("serve").current_dir(folder).env_clear().envs(HARMLESS).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("serve starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = log.find_map(|line| {
            let address = line.split_once("listening on http://").map(|(_, address)| address);
            let address = address.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
            said.push(line);
            address
        });
        // A pipe that nobody empties would hold it up.
        thread::spawn(move || log.for_each(drop));
        let Some(address) = address else { panic!("serve did not start:\n{}", said.join("\n")) };
        Self { child, address }
    }

    fn peak_mib(&self) -> Option<f64> {
        peak_mib(&self.child.id().to_string())
    }

    /// Reads an answer to its end and keeps nothing of it.
    fn ask(&self, path: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("serve listens");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).expect("serve takes requests");
        let (mut answer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
        let mut last = Vec::new();
        loop {
            let len = stream.read(&mut piece).expect("a whole answer");
            let Some(read) = piece.get(..len).filter(|read| !read.is_empty()) else { break };
            if answer.len() < 4096 {
                answer.extend_from_slice(read);
            }
            last.extend_from_slice(read);
            last.drain(..last.len().saturating_sub(5));
        }
        let head = String::from_utf8_lossy(&answer);
        let head = head.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let is_packed = head.contains("content-encoding: gzip") || !path.starts_with("/api/export");
        let is_whole = last.ends_with(b"0\r\n\r\n") || !head.contains("transfer-encoding: chunked");
        assert!(is_packed && is_whole, "{path}: not packed, or cut: {head}");
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
