//! `cost`: what a month in AWS costs, from named prices.

mod estimate;
mod prices;

use std::process::ExitCode;

use clap::value_parser;

use self::estimate::{Load, Month};
use crate::output::{say, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Models times environments; give it again for another column
    #[arg(long, value_name = "N", default_values_t = [10, 100, 1_000], value_parser = value_parser!(u64).range(1..=1_000_000))]
    pairs: Vec<u64>,
    /// Environments that the pairs are in
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u64).range(1..))]
    environments: u64,
    /// Seconds between cycles
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Probes at once (MAX_CONCURRENT_PROBES)
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u64).range(1..))]
    concurrent: u64,
    /// How long one probe takes
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    probe_seconds: f64,
    /// Memory of the monitor function (MonitorMemory)
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = value_parser!(u64).range(128..=10_240))]
    memory: u64,
    /// Requests to the API in a month
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    api_requests: u64,
    /// Tokens of one prompt
    #[arg(long, value_name = "N", default_value_t = 120)]
    input_tokens: u64,
    /// Tokens of one answer
    #[arg(long, value_name = "N", default_value_t = 128)]
    output_tokens: u64,
    /// Dollars for one token of a prompt
    #[arg(long, value_name = "USD", default_value_t = 1.5e-7)]
    input_rate: f64,
    /// Dollars for one token of an answer
    #[arg(long, value_name = "USD", default_value_t = 6e-7)]
    output_rate: f64,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
}

impl Args {
    fn load(&self, pairs: u64) -> Load {
        Load {
            pairs,
            environments: self.environments,
            interval_seconds: self.interval,
            max_concurrent: self.concurrent,
            probe_seconds: self.probe_seconds,
            monitor_memory_mb: self.memory,
            api_requests: self.api_requests,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            input_usd_per_token: self.input_rate,
            output_usd_per_token: self.output_rate,
        }
    }
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let loads: Vec<Load> = args.pairs.iter().map(|pairs| args.load(*pairs)).collect();
    let mut header = vec!["US dollars a month of 30 days".to_owned()];
    header.extend(loads.iter().map(|load| format!("{} pairs", load.pairs)));
    let rows = rows(&loads);
    if args.markdown {
        say(markdown(&header, &rows));
    } else {
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut printed = table(&header, 1);
        for row in &rows {
            printed.add_row(row);
        }
        say(printed.to_string());
    }
    say("\nAssumed:");
    for line in loads.first().map(Load::assumptions).unwrap_or_default() {
        say(format!("- {line}"));
    }
    for load in loads.iter().filter(|load| load.cycle_seconds() > load.interval_seconds as f64) {
        let (pairs, seconds) = (load.pairs, load.cycle_seconds());
        say(format!(
            "- {pairs} pairs take {seconds} s, longer than the interval: raise --concurrent, or split into shards"
        ));
    }
    say(format!("\nPrices ({}, {}):", prices::REGION, prices::DATE));
    for price in prices::ALL {
        say(format!("- {}: {} a {} ({})", price.name, price.usd, price.unit, price.source));
    }
    ExitCode::SUCCESS
}

fn rows(loads: &[Load]) -> Vec<Vec<String>> {
    let months: Vec<Month> = loads.iter().map(Load::month).collect();
    let row = |name: &str, of: fn(&Month) -> f64| {
        let numbers = months.iter().map(|month| format!("{:.2}", of(month)));
        std::iter::once(name.to_owned()).chain(numbers).collect()
    };
    vec![
        row("compute: monitor, scheduler", |month| month.monitor),
        row("requests: S3", |month| month.requests),
        row("storage: S3, with 7 days of old versions", |month| month.storage),
        row("operation: alarms, metrics, logs", |month| month.operation),
        row("API: gateway, compute, logs", |month| month.api),
        row("sum", Month::cloud),
        row("tokens of the probes", |month| month.tokens),
    ]
}

fn markdown(header: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    let rule = format!("| --- |{}", " ---: |".repeat(header.len().saturating_sub(1)));
    let mut lines = vec![line(header), rule];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.join("\n")
}
