//! A rollup as CSV: a row for each hour, model, provider and kind (measured or derived), below a row that says what records it
//! was made of. Any engine can read it; ours takes only what is asked for.

use std::{collections::HashMap, fmt::Write as _, str::FromStr as _};

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;

use super::{
    bins,
    build::{Key, Making},
    cell::{Counts, Last, Phases},
    day::{DayCounts, DayRead, DayValues, Hour, HourValues, SeriesName, next_serial},
};
use crate::record::{Environment, ErrorKind, Metric};

/// Changes whenever a column or its meaning does: what was written under another is made anew.
const VERSION: &str = "2";

/// The columns before the durations'.
const COLUMNS: [&str; 27] = [
    "hour",
    "model_name",
    "provider",
    "simulated",
    "count",
    "successes",
    "failures",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "reasoning_tokens",
    "cost",
    "priced",
    "unpriced",
    "phased",
    "phase_dns_ms",
    "phase_tcp_ms",
    "phase_tls_ms",
    "phase_waiting_ms",
    "phase_first_token_ms",
    "phase_streaming_ms",
    "last_timestamp",
    "last_status",
    "last_latency_ms",
    "last_ttft_ms",
    "last_error_kind",
    "last_error_message",
];

/// What a duration has, each after its name and `_`.
const OF_DURATION: [&str; 4] = ["min", "max", "sum", "sketch"];

/// The columns behind them, filled in the first row alone.
const ABOUT: [&str; 4] = ["rollup_version", "sources", "environments", "crc32"];

/// Writes an environment's day. `sources` tells which segments it is made of, `everyone` which environments have rows there.
pub(super) fn write<'m>(
    sources: &str,
    everyone: &[Environment],
    hours: impl Iterator<Item = (&'m Key, &'m Making)>,
) -> Result<Vec<u8>, csv::Error> {
    let mut header: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    for metric in Metric::ALL {
        header.extend(OF_DURATION.map(|what| format!("{metric}_{what}")));
    }
    header.extend(ABOUT.map(str::to_owned));
    // The hours first, as the row above them tells their checksum.
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut row = Vec::new();
    for (key, making) in hours {
        row.clear();
        row.extend(counts_cells(key, &making.counts));
        for values in &making.durations {
            row.extend(if values.bins.is_empty() {
                [const { String::new() }; OF_DURATION.len()]
            } else {
                let mut sketch = String::new();
                bins::write(&values.bins, &mut sketch);
                [micros(values.min), micros(values.max), micros(values.sum), sketch]
            });
        }
        row.extend([const { String::new() }; ABOUT.len()]);
        writer.write_record(&row)?;
    }
    let body = finished(writer)?;
    let names: Vec<&str> = everyone.iter().map(Environment::as_str).collect();
    let names = names.join(" ");
    let checksum = checksum(header.iter().map(String::as_bytes), sources, &names, &body);
    let mut row = vec![String::new(); header.len() - ABOUT.len()];
    row.extend([VERSION.to_owned(), sources.to_owned(), names, checksum]);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header)?;
    writer.write_record(&row)?;
    let mut text = finished(writer)?;
    text.extend_from_slice(&body);
    Ok(text)
}

fn finished(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// Over everything that the text says. Against damage, which else could read like fewer probes or other figures.
pub(super) fn checksum<'h>(
    header: impl Iterator<Item = &'h [u8]>,
    sources: &str,
    environments: &str,
    body: &[u8],
) -> String {
    let mut checksum = crc32fast::Hasher::new();
    for name in header {
        checksum.update(name);
        checksum.update(b",");
    }
    for text in [sources.as_bytes(), b",", environments.as_bytes(), b"\n", body] {
        checksum.update(text);
    }
    format!("{:08x}", checksum.finalize())
}

/// Milliseconds to the microsecond.
fn micros(ms: f64) -> String {
    ((ms * 1_000.0).round() / 1_000.0).to_string()
}

fn counts_cells((hour, name): &Key, counts: &Counts) -> [String; COLUMNS.len()] {
    fn some<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let mut failures = String::new();
    for (kind, count) in &counts.failures {
        let space = if failures.is_empty() { "" } else { " " };
        // Writing to memory does not fail.
        let _ = write!(failures, "{space}{}:{count}", kind.map_or("unknown", ErrorKind::as_str));
    }
    let [input, output, cached, reasoning] = counts.tokens.map(some);
    let phases = &counts.phases;
    let last = counts.last.as_ref();
    let status = |last: &Last| if last.is_success { "success" } else { "error" };
    [
        DateTime::from_timestamp(*hour, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true),
        name.model_name.clone(),
        some(name.provider.as_ref()),
        name.simulated.to_string(),
        counts.count.to_string(),
        counts.successes.to_string(),
        failures,
        input,
        output,
        cached,
        reasoning,
        some(counts.cost_usd),
        counts.priced.to_string(),
        counts.unpriced.to_string(),
        phases.count.to_string(),
        micros(phases.dns_ms),
        micros(phases.tcp_ms),
        micros(phases.tls_ms),
        micros(phases.waiting_ms),
        micros(phases.first_token_ms),
        micros(phases.streaming_ms),
        some(last.map(|last| last.timestamp.to_rfc3339_opts(SecondsFormat::Millis, true))),
        some(last.map(status)),
        some(last.and_then(|last| last.latency_ms).map(micros)),
        some(last.and_then(|last| last.ttft_ms).map(micros)),
        some(last.and_then(|last| last.error_kind).map(ErrorKind::as_str)),
        some(last.and_then(|last| last.error_message.clone())),
    ]
}

/// Where the columns lie that are read.
struct Places {
    counts: [usize; COLUMNS.len()],
    durations: Vec<(Metric, [usize; OF_DURATION.len()])>,
    about: [usize; ABOUT.len()],
}

impl Places {
    fn of(header: &csv::ByteRecord, metrics: &[Metric]) -> Option<Self> {
        let by_name: HashMap<&[u8], usize> = header.iter().enumerate().map(|(at, name)| (name, at)).collect();
        let place = |name: &str| by_name.get(name.as_bytes()).copied();
        let of_metric = |metric: Metric| {
            let places = OF_DURATION.map(|what| place(&format!("{metric}_{what}")));
            Some((metric, all(places)?))
        };
        Some(Self {
            counts: all(COLUMNS.map(place))?,
            durations: metrics.iter().map(|metric| of_metric(*metric)).collect::<Option<_>>()?,
            about: all(ABOUT.map(place))?,
        })
    }
}

fn all<const N: usize>(places: [Option<usize>; N]) -> Option<[usize; N]> {
    let mut found = [0; N];
    for (found, place) in found.iter_mut().zip(places) {
        *found = place?;
    }
    Some(found)
}

/// The segments that a rollup was made of, and the environments in them; `None` for another version's, and for one that is not
/// as it was written. `reader` stands before the first row.
fn about(text: &[u8], reader: &mut csv::Reader<&[u8]>, places: &Places) -> Option<(String, Vec<Environment>)> {
    let header = reader.byte_headers().ok()?.clone();
    let mut row = csv::ByteRecord::new();
    reader.read_byte_record(&mut row).ok().filter(|is_there| *is_there)?;
    let [version, sources, environments, told] =
        places.about.map(|at| row.get(at).and_then(|cell| str::from_utf8(cell).ok()));
    let (sources, environments) = (sources?, environments?);
    (version? == VERSION).then_some(())?;
    let body = text.get(usize::try_from(reader.position().byte()).ok()?..)?;
    (told? == checksum(header.iter(), sources, environments, body)).then_some(())?;
    let environments = environments.split_ascii_whitespace().map(|name| name.parse().ok());
    Some((sources.to_owned(), environments.collect::<Option<_>>()?))
}

/// Whether `text` is a rollup of today's version and as it was written. One that is not costs time alone: whoever needs it makes
/// it anew.
pub fn is_intact_rollup(text: &[u8]) -> bool {
    read_about(text).is_some()
}

/// What a rollup was made of, and the environments in that; `None` for what [`write`] did not write.
pub(super) fn read_about(text: &[u8]) -> Option<(String, Vec<Environment>)> {
    let mut reader = csv::Reader::from_reader(text);
    let places = Places::of(reader.byte_headers().ok()?, &[])?;
    about(text, &mut reader, &places)
}

/// Reads a day with `metrics`, and what it was made of; `None` for what [`write`] did not write.
pub(super) fn read(text: &[u8], environment: &Environment, metrics: &[Metric]) -> Option<(String, DayRead)> {
    let mut reader = csv::Reader::from_reader(text);
    let places = Places::of(reader.byte_headers().ok()?, metrics)?;
    let (sources, everyone) = about(text, &mut reader, &places)?;
    let mut row = csv::ByteRecord::new();
    let mut numbers: HashMap<SeriesName, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut hours = Vec::new();
    let new_values = |(metric, _): &(Metric, _)| DayValues { metric: *metric, hours: Vec::new(), bins: Vec::new() };
    let mut unpacked = Vec::new();
    let mut values: Vec<DayValues> = places.durations.iter().map(new_values).collect();
    while reader.read_byte_record(&mut row).ok()? {
        let cell = |at: usize| row.get(at).and_then(|cell| str::from_utf8(cell).ok());
        let ((start, name), counts) = read_counts(&places.counts.map(|at| cell(at).unwrap_or_default()))?;
        let number = *numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            names.len() as u32 - 1
        });
        hours.push(Hour { start, name: number, counts });
        for ((_, places), values) in places.durations.iter().zip(&mut values) {
            let [min, max, sum, sketch] = places.map(|at| cell(at).unwrap_or_default());
            unpacked.clear();
            bins::read(sketch, &mut unpacked)?;
            values.push(min, max, sum, &unpacked)?;
        }
    }
    values.iter_mut().for_each(DayValues::shrink);
    let counts = DayCounts { serial: next_serial(), environment: environment.clone(), everyone, names, hours };
    Some((sources, DayRead { counts, values }))
}

impl DayValues {
    fn push(&mut self, min: &str, max: &str, sum: &str, bins: &[bins::Bin]) -> Option<()> {
        if bins.is_empty() {
            self.hours.push(HourValues::default());
            return Some(());
        }
        let count = bins.iter().map(|(_, count)| u64::from(*count)).sum();
        let bins = self.pack(bins.iter().copied());
        let [min, max, sum] = [min.parse().ok()?, max.parse().ok()?, sum.parse().ok()?];
        self.hours.push(HourValues { count, min, max, sum, bins });
        Some(())
    }

    fn shrink(&mut self) {
        self.hours.shrink_to_fit();
        self.bins.shrink_to_fit();
    }
}

#[expect(clippy::option_option, reason = "the outer one: not ours; the inner one: an empty cell")]
fn optional<T: std::str::FromStr>(cell: &str) -> Option<Option<T>> {
    if cell.is_empty() { Some(None) } else { cell.parse().ok().map(Some) }
}

fn text(cell: &str) -> Option<String> {
    (!cell.is_empty()).then(|| cell.to_owned())
}

fn read_counts(cells: &[&str; COLUMNS.len()]) -> Option<(Key, Counts)> {
    let [
        hour,
        model_name,
        provider,
        simulated,
        count,
        successes,
        failures,
        input,
        output,
        cached,
        reasoning,
        cost,
        priced,
        unpriced,
        phased,
        dns,
        tcp,
        tls,
        waiting,
        first_token,
        streaming,
        last_timestamp,
        last_status,
        last_latency,
        last_ttft,
        last_kind,
        last_message,
    ] = *cells;
    let time = |cell: &str| DateTime::parse_from_rfc3339(cell).ok().map(|time| time.with_timezone(&Utc));
    let kind = |word: &str| if word == "unknown" { Some(None) } else { ErrorKind::from_str(word).ok().map(Some) };
    let name =
        SeriesName { model_name: model_name.to_owned(), provider: text(provider), simulated: simulated.parse().ok()? };
    let failures = failures.split_ascii_whitespace().map(|word| {
        let (word, count) = word.split_once(':')?;
        Some((kind(word)?, count.parse().ok()?))
    });
    let last = Last {
        timestamp: time(last_timestamp)?,
        is_success: last_status == "success",
        latency_ms: optional(last_latency)?,
        ttft_ms: optional(last_ttft)?,
        error_kind: if last_kind.is_empty() { None } else { kind(last_kind)? },
        error_message: text(last_message),
        simulated: name.simulated,
        provider: name.provider.clone(),
    };
    let counts = Counts {
        count: count.parse().ok()?,
        successes: successes.parse().ok()?,
        failures: failures.collect::<Option<_>>()?,
        tokens: [optional(input)?, optional(output)?, optional(cached)?, optional(reasoning)?],
        cost_usd: optional::<Decimal>(cost)?,
        priced: priced.parse().ok()?,
        unpriced: unpriced.parse().ok()?,
        phases: Phases {
            count: phased.parse().ok()?,
            dns_ms: dns.parse().ok()?,
            tcp_ms: tcp.parse().ok()?,
            tls_ms: tls.parse().ok()?,
            waiting_ms: waiting.parse().ok()?,
            first_token_ms: first_token.parse().ok()?,
            streaming_ms: streaming.parse().ok()?,
        },
        last: Some(last),
    };
    Some(((time(hour)?.timestamp(), name), counts))
}
