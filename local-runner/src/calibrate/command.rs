//! `llm-monitor calibrate`.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args as ClapArgs;
use llm_monitor_core::probe::Prober;
use url::Url;

use super::{
    clock::Anchor,
    figures::Spread,
    level::{self, Level, Load},
    server::{END, REPORT, Sent},
};

/// The hidden subcommand under which this program is its own counterpart.
const SERVER_SUBCOMMAND: &str = "calibrate-server";

/// Up to this concurrency `--max-ttft-error-ms` holds; beyond it, five times as much.
const JUDGED_CONCURRENCY: usize = 64;

/// The two clocks may move this much against each other before the figures are doubted.
const MAX_DRIFT: Duration = Duration::from_micros(20);

const EXAMPLES: &str = "\
How it is measured: a second process streams chat completions on an exact schedule and logs the instant of every write; the \
probes that monitor real models measure it. The error is what a record says minus what the log says: it holds the way through the \
kernel, the wake-up and all of the monitor's own work. Percentiles are of the error's size.

Examples:
  llm-monitor calibrate
      On the machine that will monitor, while it is as busy as it will be. Takes about a minute.
  llm-monitor calibrate --concurrency 20 --samples 1000
      The concurrency of your own cycles.
  llm-monitor calibrate --json | jq '.levels[].ttft.p99_ms'

Exit code: 0 good, 1 an error above its bound or a failed probe, 2 it could not run.";

/// Measure how wrong this monitor's own latency figures are, on this machine.
///
/// Prints the error of time to first token (TTFT), time per output token (TPOT) and end-to-end latency at each concurrency.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many probes run at once
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,8,64,256",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: Vec<u16>,
    /// Probes at each concurrency, at least
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
    /// Fail when the TTFT error's p99 is above this many milliseconds (five times that above 64 probes at once)
    #[arg(long, value_name = "MS", default_value_t = 2.0)]
    max_ttft_error_ms: f64,
    /// The worst case: all streams receive each chunk in the same instant
    #[arg(long)]
    same_instant: bool,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Measures and prints. `Ok` with code 1 when a bound is exceeded.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    ensure!(args.max_ttft_error_ms > 0.0, "--max-ttft-error-ms is above 0, not {}", args.max_ttft_error_ms);
    let mut server = Server::start()?;
    let prober = Arc::new(Prober::new("calibrate"));
    // What happens once only (the first connection, the first timer) is not what is measured.
    let warm_up = Load { concurrency: 4, samples: 4, same_instant: false };
    level::probe(&prober, &server.base_url, warm_up).await;
    server.log()?;
    let mut levels = Vec::with_capacity(args.concurrency.len());
    if !args.json {
        print(&heading())?;
    }
    for concurrency in &args.concurrency {
        let concurrency = usize::from(*concurrency);
        let load = Load { concurrency, samples: args.samples as usize, same_instant: args.same_instant };
        let level = measure(&prober, &mut server, load, args.max_ttft_error_ms).await?;
        if !args.json {
            print(&rows(&level))?;
        }
        levels.push(level);
    }
    let is_good = levels.iter().all(Level::is_good);
    if args.json {
        let json = serde_json::json!({"good": is_good, "levels": levels});
        print(&format!("{}\n", serde_json::to_string_pretty(&json)?))?;
    } else {
        print(&verdict(&levels))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(prober: &Arc<Prober>, server: &mut Server, load: Load, max_ttft_error_ms: f64) -> Result<Level> {
    let anchor = Anchor::now();
    let probed = level::probe(prober, &server.base_url, load).await;
    let drift = anchor.drift();
    ensure!(drift <= MAX_DRIFT, "the system's clock was set by {drift:?} while it was read: run this again");
    let bound = if load.concurrency <= JUDGED_CONCURRENCY { 1.0 } else { 5.0 } * max_ttft_error_ms;
    Ok(Level::of(load, &probed, &server.log()?, anchor, bound))
}

/// The other process. It ends when its standard input does, however this one ends.
#[derive(Debug)]
struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    base_url: Url,
}

impl Server {
    fn start() -> Result<Self> {
        let program = env::current_exe().context("cannot find this program to run it a second time")?;
        let mut child = Command::new(program)
            .arg(SERVER_SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the calibration server")?;
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().context("the calibration server has no output")?);
        let mut port = String::new();
        output.read_line(&mut port)?;
        let port: u16 = port.trim().parse().context("the calibration server did not say its port")?;
        let base_url = Url::parse(&format!("http://127.0.0.1:{port}/v1"))?;
        Ok(Self { child, input, output, base_url })
    }

    /// What was sent since the last call.
    fn log(&mut self) -> Result<Vec<Sent>> {
        let input = self.input.as_mut().context("the calibration server has no input")?;
        writeln!(input, "{REPORT}").and_then(|()| input.flush()).context("the calibration server is gone")?;
        let mut sent = Vec::new();
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 && line.trim_end() != END {
            sent.push(serde_json::from_str(&line).context("the calibration server's log")?);
            line.clear();
        }
        Ok(sent)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input.take();
        // It has nothing left to do; if it is gone already, the better.
        let _ = self.child.wait();
    }
}

fn heading() -> String {
    let columns = ["p50", "p90", "p99", "max", "bias"].map(|column| format!("{column:>9}")).concat();
    format!("{:>12}  {:<22}{columns}   (milliseconds)\n", "concurrency", "error of")
}

fn rows(level: &Level) -> String {
    let spreads = [
        ("TTFT", level.ttft),
        ("TPOT", level.tpot),
        ("end to end", level.latency),
        ("(server's lateness)", level.server_lateness),
        ("(server's write call)", level.server_write),
    ];
    let row = |(row, (name, spread)): (usize, (&str, Option<Spread>))| {
        let concurrency = if row == 0 { level.concurrency.to_string() } else { String::new() };
        let figures = spread.map_or_else(|| "        -".to_owned(), |spread| figures(&spread));
        format!("{concurrency:>12}  {name:<22}{figures}\n")
    };
    spreads.into_iter().enumerate().map(row).collect()
}

fn figures(spread: &Spread) -> String {
    let figures = [spread.p50_ms, spread.p90_ms, spread.p99_ms, spread.max_ms, spread.bias_ms];
    figures.map(|figure| format!("{figure:>9.3}")).concat()
}

fn verdict(levels: &[Level]) -> String {
    let problems: String = levels.iter().flat_map(problems).collect();
    if problems.is_empty() { "Good: every TTFT error's p99 is within its bound.\n".to_owned() } else { problems }
}

fn problems(level: &Level) -> impl Iterator<Item = String> {
    let (concurrency, bound) = (level.concurrency, level.max_ttft_error_ms);
    let failed = (level.failed > 0).then(|| {
        let failure = level.failure.as_deref().unwrap_or("it left no record");
        format!("{} of the probes at concurrency {concurrency} failed; the first: {failure}\n", level.failed)
    });
    let wrong = level.ttft.filter(|ttft| ttft.p99_ms > bound).map(|ttft| {
        format!("At concurrency {concurrency} the TTFT error's p99 is {:.3} ms, above {bound} ms.\n", ttft.p99_ms)
    });
    failed.into_iter().chain(wrong)
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to the standard output")
}
