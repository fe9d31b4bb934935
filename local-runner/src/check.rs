//! `check`: what would be monitored, what not and why, and what a day of it costs.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures_util::{StreamExt, stream};
use llm_monitor_core::{
    catalog::{Catalog, Plan, Target},
    cycle::Measured,
    parts,
    probe::{Prober, Schedule},
    record::{CycleId, Record},
    redact,
    settings::{Mode, Settings, StoreSettings, Vars},
    store::FileStore,
    usage::UsageClient,
};
use rust_decimal::Decimal;

use crate::{
    cli::CheckArgs,
    output::{records_table, say, table},
    wiring::{self, StartError},
};

/// A token is about four characters of English.
const CHARS_PER_TOKEN: u64 = 4;
/// The nonce before the prompt, and the message's own framing.
const PROMPT_OVERHEAD_TOKENS: u64 = 20;
const SECONDS_PER_DAY: u64 = 86_400;

pub(crate) async fn run(vars: &Vars, args: &CheckArgs) -> Result<ExitCode, StartError> {
    let settings = wiring::settings(vars)?;
    let client = parts::usage_client(&settings);
    let mut is_well = describe(&settings);

    let measured = settings.measured();
    let mut targets = Vec::new();
    for one in &measured {
        let catalog = fetch(&client, one).await;
        is_well &= catalog.problems.is_empty() && catalog.models.iter().all(|model| model.not_monitored.is_none());
        print_catalog(&one.plan, &catalog);
        targets.extend(one.plan.targets(&catalog));
    }
    print_forecast(&settings, &targets);

    if args.probe {
        say(format!("\nSending {} probes …", targets.len()));
        let records = probe_all(&settings, targets).await;
        is_well &= records.iter().all(Record::is_success);
        say(records_table(&records).to_string());
        for record in &records {
            if let Some(message) = record.error_message() {
                say(format!("{} {}: {message}", record.environment, record.model_name));
            }
        }
    } else {
        say("No probe was sent; `llm-monitor check --probe` sends one to each model.");
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// `false`: the store cannot be written.
fn describe(settings: &Settings) -> bool {
    let monitoring = &settings.monitoring;
    let names = |names: Vec<String>| names.join(", ");
    let measured = names(monitoring.measured.iter().map(|one| one.environment.to_string()).collect());
    let derived = names(monitoring.derived.iter().map(|one| one.environment.to_string()).collect());
    say("Settings are usable.");
    match monitoring.mode {
        Mode::Full => say(format!("  mode       full: measures {measured}")),
        Mode::Simple => say(format!("  mode       simple: measures {measured}; derives {derived} (simulated=true)")),
    }
    say(format!(
        "  interval   {} s, probe time limit {} s",
        monitoring.interval.as_secs(),
        monitoring.timeout.as_secs_f64()
    ));
    say(format!("  location   {}", monitoring.location));
    let mut is_well = true;
    match &settings.storing.store {
        StoreSettings::File { path } => {
            say(format!("  store      {}", path.display()));
            if let Err(error) = FileStore::check_place(path) {
                is_well = false;
                say(format!("  problem: {error}"));
            }
        }
        StoreSettings::S3(s3) => say(format!("  store      s3://{}/{}", s3.bucket, s3.prefix)),
    }
    say(format!("  listen     {}", settings.serving.listen));
    is_well
}

async fn fetch(client: &UsageClient, measured: &Measured) -> Catalog {
    let (url, token) = (&measured.usage_url, measured.usage_token.as_ref());
    match client.fetch(url, token, Utc::now().date_naive()).await {
        Ok(report) => measured.plan.from_report(&report, Utc::now()),
        Err(error) => measured.plan.built_in(error.to_string()),
    }
}

fn print_catalog(plan: &Plan, catalog: &Catalog) {
    say(format!("\n{}", plan.environment));
    for (provider, access) in &plan.accesses {
        say(format!("  {provider} at {}", redact::url(&access.base_url)));
    }
    if catalog.fetched_at.is_none() {
        say("  The usage endpoint could not be used; until it can, the built-in catalog (no prices) is monitored:");
    }
    for problem in &catalog.problems {
        say(format!("  problem: {problem}"));
    }
    let mut models = table(&["model", "provider", "$ per 1,000 in", "out", "monitored"], 2);
    if let Some(column) = models.column_mut(4) {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    let per_thousand = |rate: Decimal| (rate * Decimal::ONE_THOUSAND).normalize().to_string();
    for model in &catalog.models {
        models.add_row([
            model.name.clone(),
            model.provider.clone().unwrap_or_default(),
            model.prices.map(|prices| per_thousand(prices.input_usd_per_token)).unwrap_or_default(),
            model.prices.map(|prices| per_thousand(prices.output_usd_per_token)).unwrap_or_default(),
            model.not_monitored.as_ref().map_or_else(|| "yes".to_owned(), |reason| format!("no: {reason}")),
        ]);
    }
    say(models.to_string());
}

/// One probe of each target; nothing is stored.
async fn probe_all(settings: &Settings, targets: Vec<Target>) -> Vec<Record> {
    let prober = Prober::new(settings.monitoring.location.clone());
    let schedule = Schedule { cycle_id: CycleId::at(Utc::now()), due: Instant::now(), stop_by: None };
    let probes = targets.iter().map(|target| prober.probe(target, &schedule));
    stream::iter(probes).buffer_unordered(settings.probing.max_concurrent).collect().await
}

/// The most that a day of monitoring can cost at these rates and this interval.
#[derive(Debug, PartialEq, Eq)]
struct Forecast {
    probes_per_day: u64,
    usd_per_day: Decimal,
    without_price: usize,
}

fn forecast(targets: &[Target], interval: Duration) -> Forecast {
    let cycles = SECONDS_PER_DAY.div_ceil(interval.as_secs().max(1));
    let one_cycle = targets.iter().filter_map(|target| {
        let input_tokens = target.prompt.chars().count() as u64 / CHARS_PER_TOKEN + PROMPT_OVERHEAD_TOKENS;
        Some(target.prices?.cost(input_tokens, u64::from(target.max_output_tokens)))
    });
    Forecast {
        probes_per_day: cycles * targets.len() as u64,
        usd_per_day: one_cycle.sum::<Decimal>() * Decimal::from(cycles),
        without_price: targets.iter().filter(|target| target.prices.is_none()).count(),
    }
}

fn print_forecast(settings: &Settings, targets: &[Target]) {
    let forecast = forecast(targets, settings.monitoring.interval);
    let month = (forecast.usd_per_day * Decimal::from(30)).round_dp(2);
    say(format!(
        "\nA day of monitoring: {} probes ({} models every {} s), at most ${} ({month} in 30 days), if every answer uses all of \
         PROBE_MAX_OUTPUT_TOKENS.",
        forecast.probes_per_day,
        targets.len(),
        settings.monitoring.interval.as_secs(),
        forecast.usd_per_day.round_dp(4).normalize(),
    ));
    if forecast.without_price > 0 {
        say(format!(
            "{} of the models have no known price: what they cost is not in that sum.",
            forecast.without_price
        ));
    }
}
