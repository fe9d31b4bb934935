//! `llm-monitor mock-history`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use chrono::{DateTime, Days, DurationRound, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::{Args as ClapArgs, value_parser};
use llm_monitor_core::record::Environment;

use super::{Layout, Plan, write};
use crate::{
    output::{bytes, say},
    progress,
};

const EXAMPLES: &str = "\
Reads no settings, and writes over nothing.

Examples:
  llm-monitor mock-history --days 7 --models 5
      A week of five models in four environments, as latency_data.csv: `llm-monitor serve` shows it.
  llm-monitor mock-history --days 30 --models 10 --layout days --out history
      The same as finished days and an active file: LATENCY_DATA_CSV=history/latency_data.csv llm-monitor serve
  llm-monitor mock-history --days 1 --models 3 --until now";

/// Make up a past: records of models, environments and days that never were, for trying things out
///
/// Latencies have a daily rhythm, drift and incidents. The same seed and span give the same file.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many days
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = value_parser!(u32).range(1..=3_660))]
    days: u32,
    /// How many models, in each environment
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=100_000))]
    models: u32,
    /// Environments
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "dev,test,qa,prod")]
    environments: Vec<Environment>,
    /// Seconds between cycles
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u32).range(1..=86_400))]
    interval: u32,
    /// The last day (UTC), which is whole, or `now` [default: yesterday]
    #[arg(long, value_name = "DATE")]
    until: Option<Until>,
    /// Another seed makes up another past
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How it is laid out in files
    #[arg(long, value_enum, default_value_t = Layout::Csv)]
    layout: Layout,
    /// The file, or the folder for `days` and `s3` [default: latency_data.csv, or mock-history]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy)]
enum Until {
    Now,
    Day(NaiveDate),
}

impl std::str::FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Now);
        }
        text.parse().map(Self::Day).map_err(|_| "expected a date like 2026-11-24, or now")
    }
}

impl Args {
    fn plan(&self, now: DateTime<Utc>) -> Result<Plan> {
        let today = now.date_naive();
        let day_after = |day: NaiveDate| day.checked_add_days(Days::new(1));
        let to = match self.until {
            Some(Until::Now) => Some(now.duration_trunc(TimeDelta::minutes(1))?),
            Some(Until::Day(day)) => day_after(day).map(|day| day.and_time(NaiveTime::MIN).and_utc()),
            None => Some(today.and_time(NaiveTime::MIN).and_utc()),
        };
        let Some(to) = to.filter(|to| to.timestamp() > 0) else { bail!("--until: a day from 1970 on") };
        let plan = Plan::of_days(self.days, self.models as usize, to);
        let mut environments = self.environments.clone();
        environments.sort();
        environments.dedup();
        if environments.len() < self.environments.len() {
            bail!("--environments: each name once");
        }
        Ok(Plan {
            interval: TimeDelta::seconds(self.interval.into()),
            environments: self.environments.clone(),
            seed: self.seed,
            ..plan
        })
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let plan = args.plan(Utc::now())?;
    let default = if args.layout == Layout::Csv { "latency_data.csv" } else { "mock-history" };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(default));
    let bar = progress::rows(Some(plan.rows()));
    let written = write(&plan, args.layout, &out, |rows| bar.inc(rows))?;
    bar.finish_and_clear();
    say(format!(
        "{} rows ({}) from {} to {} in {}{}",
        written.rows,
        bytes(written.bytes),
        plan.from.format("%Y-%m-%d %H:%M"),
        plan.to.format("%Y-%m-%d %H:%M"),
        out.display(),
        if written.files == 1 { String::new() } else { format!(", {} files", written.files) },
    ));
    Ok(ExitCode::SUCCESS)
}
