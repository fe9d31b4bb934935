//! What a month in AWS comes to. Pure: numbers in, numbers out.

use super::prices;

const DAYS: f64 = 30.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
const HOURS_PER_DAY: f64 = 24.0;
const BYTES_PER_GB: f64 = 1e9;

/// Beside the probes in a cycle: the usage endpoints and the store.
const OVERHEAD_SECONDS: f64 = 1.0;
/// Records and usage of each cycle; a catalog every five.
const PUTS_PER_CYCLE: f64 = 2.2;
/// Records and usage, before they are put.
const GETS_PER_CYCLE: f64 = 2.0;
/// Measured over made-up histories and over demos: 230 to 245.
const BYTES_PER_RECORD: f64 = 250.0;
/// How long a replaced version of an object is kept (`OldVersionsDays`).
const OLD_VERSIONS_DAYS: f64 = 7.0;
const LOG_BYTES_PER_CYCLE: f64 = 2_000.0;
const LOG_BYTES_PER_REQUEST: f64 = 500.0;
const ALARM_METRICS: f64 = 7.0;
/// In `functions/monitor`'s `metrics.rs`.
const CUSTOM_METRICS: f64 = 6.0;
const API_SECONDS: f64 = 0.05;
const API_GB: f64 = 0.25;

/// What is monitored, and what is assumed of it.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// A model in an environment.
    pub(super) pairs: u64,
    pub(super) environments: u64,
    pub(super) interval_seconds: u64,
    pub(super) max_concurrent: u64,
    pub(super) probe_seconds: f64,
    pub(super) monitor_memory_mb: u64,
    pub(super) api_requests: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) input_usd_per_token: f64,
    pub(super) output_usd_per_token: f64,
}

/// US dollars a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Month {
    pub(super) monitor: f64,
    pub(super) requests: f64,
    pub(super) storage: f64,
    pub(super) operation: f64,
    pub(super) api: f64,
    pub(super) tokens: f64,
}

impl Month {
    /// All but the tokens.
    pub(super) fn cloud(&self) -> f64 {
        self.monitor + self.requests + self.storage + self.operation + self.api
    }
}

impl Load {
    /// How long a cycle is assumed to take: probes in waves of as many as run at once.
    pub(super) fn cycle_seconds(&self) -> f64 {
        OVERHEAD_SECONDS + self.pairs.div_ceil(self.max_concurrent.max(1)) as f64 * self.probe_seconds
    }

    pub(super) fn month(&self) -> Month {
        let cycles_per_day = SECONDS_PER_DAY / self.interval_seconds.max(1) as f64;
        let cycles = DAYS * cycles_per_day;
        let gb = self.monitor_memory_mb as f64 / 1024.0;
        let writes = cycles * self.environments.min(self.pairs) as f64;
        let api_requests = self.api_requests as f64;
        let tokens_usd =
            self.input_tokens as f64 * self.input_usd_per_token + self.output_tokens as f64 * self.output_usd_per_token;
        Month {
            monitor: cycles * self.cycle_seconds() * gb * prices::LAMBDA_COMPUTE.usd
                + cycles / 1e6 * prices::LAMBDA_REQUESTS.usd
                + cycles / 1e6 * prices::SCHEDULER.usd,
            requests: writes * PUTS_PER_CYCLE / 1e3 * prices::S3_PUT.usd
                + writes * GETS_PER_CYCLE / 1e3 * prices::S3_GET.usd,
            storage: self.stored_gb(cycles_per_day) * prices::S3_STORAGE.usd,
            operation: ALARM_METRICS * prices::ALARMS.usd
                + CUSTOM_METRICS * prices::METRICS.usd
                + cycles * LOG_BYTES_PER_CYCLE / BYTES_PER_GB * prices::LOGS.usd,
            api: api_requests / 1e6 * (prices::HTTP_API.usd + prices::LAMBDA_REQUESTS.usd)
                + api_requests * API_SECONDS * API_GB * prices::LAMBDA_COMPUTE.usd
                + api_requests * LOG_BYTES_PER_REQUEST / BYTES_PER_GB * prices::LOGS.usd,
            tokens: cycles * self.pairs as f64 * tokens_usd,
        }
    }

    /// A month's records, and the replaced versions of hours' objects: one a cycle, half full on average.
    fn stored_gb(&self, cycles_per_day: f64) -> f64 {
        let per_cycle = self.pairs as f64 * BYTES_PER_RECORD;
        let records = per_cycle * cycles_per_day * DAYS;
        let cycles_per_hour = cycles_per_day / HOURS_PER_DAY;
        let old_versions = per_cycle * cycles_per_hour / 2.0 * cycles_per_day * OLD_VERSIONS_DAYS;
        (records + old_versions) / BYTES_PER_GB
    }

    /// What the sums rest on, a line each.
    pub(super) fn assumptions(&self) -> Vec<String> {
        vec![
            format!(
                "a cycle every {} s in {} environments; {OVERHEAD_SECONDS} s and {} s for each {} probes at once",
                self.interval_seconds, self.environments, self.probe_seconds, self.max_concurrent
            ),
            format!("{PUTS_PER_CYCLE} PUT and {GETS_PER_CYCLE} GET a cycle and environment"),
            format!("{BYTES_PER_RECORD} bytes a record; replaced versions are kept {OLD_VERSIONS_DAYS} days"),
            format!(
                "{ALARM_METRICS} alarm metrics, {CUSTOM_METRICS} custom metrics, {LOG_BYTES_PER_CYCLE} bytes of log a cycle"
            ),
            format!(
                "{} API requests a month, {} ms each at {} MB",
                self.api_requests,
                API_SECONDS * 1e3,
                API_GB * 1024.0
            ),
            format!(
                "{} tokens in at {:e} and {} out at {:e} dollars each",
                self.input_tokens, self.input_usd_per_token, self.output_tokens, self.output_usd_per_token
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: u64) -> Load {
        Load {
            pairs,
            environments: 4,
            interval_seconds: 60,
            max_concurrent: 64,
            probe_seconds: 3.0,
            monitor_memory_mb: 512,
            api_requests: 0,
            input_tokens: 120,
            output_tokens: 128,
            input_usd_per_token: 1.5e-7,
            output_usd_per_token: 6e-7,
        }
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.005, "{found} for {expected}");
    }

    #[test]
    fn ten_pairs_come_to_what_paper_says() {
        let month = load(10).month();
        // 43,200 cycles of 4 s at half a GB; as many requests and schedules.
        near(month.monitor, 43_200.0 * 4.0 * 0.5 * 0.000_013_333_4 + 0.008_64 + 0.0432);
        // 172,800 appends.
        near(month.requests, 380.16 * 0.005 + 345.6 * 0.000_4);
        // 0.108 GB of records and 0.756 GB of old versions.
        near(month.storage, 0.864 * 0.023);
        near(month.operation, 0.7 + 1.8 + 0.0432);
        near(month.api, 0.0);
        near(month.tokens, 40.953_6);
        near(month.cloud(), month.monitor + month.requests + month.storage + month.operation);
    }

    #[test]
    fn tokens_and_storage_grow_with_the_pairs_and_a_longer_interval_costs_less() {
        let (ten, thousand) = (load(10).month(), load(1_000).month());
        near(thousand.tokens, ten.tokens * 100.0);
        near(thousand.storage, ten.storage * 100.0);
        near(thousand.requests, ten.requests);
        let every_five = Load { interval_seconds: 300, ..load(10) }.month();
        near(every_five.tokens, ten.tokens / 5.0);
        assert!(every_five.cloud() < ten.cloud());
    }
}
