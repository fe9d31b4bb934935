//! What commands print: tables and JSON on standard output.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use llm_monitor_core::record::{Environment, Record};

/// Writes `text` and a line feed to standard output. A reader that went away (`| head`) is no error.
pub(crate) fn say(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.as_ref());
    let _ = out.flush();
}

/// Writes `text` and a line feed to standard error. That it cannot be written there (a log on a full disk) is no error.
pub(crate) fn tell(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}

/// Whether a person looks at standard output.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// An empty table in the house's style. Columns from `first_number` on hold numbers, which stand to the right.
pub(crate) fn table(header: &[&str], first_number: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(first_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Every record of a cycle, a row each.
pub(crate) fn records_table(records: &[Record]) -> Table {
    let header =
        ["environment", "model", "provider", "result", "TTFT", "latency", "per token", "tokens in", "out", "cost $"];
    let mut table = table(&header, 4);
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|record| (record.model_name.clone(), record.environment.clone()));
    for record in sorted {
        let environment = record.environment.to_string() + if record.simulated { " (simulated)" } else { "" };
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        table.add_row([
            environment,
            record.model_name.clone(),
            record.provider.clone().unwrap_or_default(),
            result_word(record),
            record.ttft_ms.map(duration).unwrap_or_default(),
            record.latency_ms.map(duration).unwrap_or_default(),
            record.tpot_ms.map(duration).unwrap_or_default(),
            number(record.input_tokens),
            number(record.output_tokens),
            record.cost.map(|cost| cost.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

fn result_word(record: &Record) -> String {
    if record.is_success() {
        return "ok".to_owned();
    }
    let kind = record.error_kind().map_or("error", |kind| kind.as_str());
    record.http_status.map_or_else(|| kind.to_owned(), |status| format!("{kind} ({status})"))
}

/// The newest record of each model in each environment: TTFT / end to end.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    environments: Vec<Environment>,
    newest: BTreeMap<(String, Environment), Record>,
}

impl Matrix {
    pub(crate) fn new(environments: Vec<Environment>) -> Self {
        Self { environments, newest: BTreeMap::new() }
    }

    pub(crate) fn take(&mut self, record: &Record) {
        self.newest.insert((record.model_name.clone(), record.environment.clone()), record.clone());
    }

    pub(crate) fn render(&self) -> Table {
        let header: Vec<&str> =
            std::iter::once("model").chain(self.environments.iter().map(Environment::as_str)).collect();
        let mut table = table(&header, 1);
        let mut models: Vec<&String> = self.newest.keys().map(|(model, _)| model).collect();
        models.dedup();
        for model in models {
            let cells = self.environments.iter().map(|environment| {
                let record = self.newest.get(&(model.clone(), environment.clone()));
                record.map(cell).unwrap_or_default()
            });
            table.add_row(std::iter::once(model.clone()).chain(cells));
        }
        table
    }
}

fn cell(record: &Record) -> String {
    match (record.ttft_ms, record.latency_ms) {
        (Some(ttft_ms), Some(latency_ms)) if record.is_success() => {
            format!("{} / {}", duration(ttft_ms), duration(latency_ms))
        }
        _ => result_word(record),
    }
}

/// Milliseconds for a person: `7.31 ms`, `412 ms`, `1.87 s`.
pub(crate) fn duration(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.2} s", ms / 1000.0)
    }
}

/// A size for a person: `512 B`, `1.4 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_about_three_digits_and_its_unit() {
        assert_eq!([7.312, 412.4, 1873.0].map(duration), ["7.31 ms", "412 ms", "1.87 s"]);
    }
}
