use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::{Report, UsageEntry};

/// Header of `usage/environment=E/date=D.csv`, without a line end. Rates are US dollars per token.
pub const KEPT_HEADER: &str = "fetched_at,llm_code,cost,input_tokens,output_tokens,prompt_count,input_token_rate,\
output_token_rate,average_cost_for_month,average_input_tokens_for_month,average_output_tokens_for_month,\
average_prompt_count_for_month";

/// What is kept of one environment's usage already, so that only what changed is written.
#[derive(Debug, Default)]
pub struct Kept {
    day: NaiveDate,
    /// By `llm_code`: its newest row, without the time.
    rows: HashMap<String, String>,
}

impl Kept {
    /// What the usage file of `day` holds (`None`: there is none). Rows that cannot be read are as good as absent.
    pub fn from_csv(day: NaiveDate, csv_text: Option<&[u8]>) -> Self {
        let mut kept = Self { day, rows: HashMap::new() };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv_text.unwrap_or_default());
        for record in reader.records().flatten() {
            let Some(code) = record.get(1) else { continue };
            kept.rows.insert(code.to_owned(), record.iter().skip(1).collect::<Vec<_>>().join(","));
        }
        kept
    }

    /// The day it is about.
    pub fn day(&self) -> NaiveDate {
        self.day
    }

    /// The rows of `report` that differ from what is kept, as CSV; empty if none does.
    pub fn changed_rows(&self, report: &Report, fetched_at: DateTime<Utc>) -> Vec<u8> {
        let time = fetched_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for entry in &report.entries {
            let fields = fields(entry);
            if self.rows.get(&entry.llm_code) != Some(&fields.join(",")) {
                // Writing to memory cannot fail.
                let _ = writer.write_record(std::iter::once(&time).chain(&fields));
            }
        }
        writer.into_inner().unwrap_or_default()
    }

    /// Takes note that `report` has been kept.
    pub fn remember(&mut self, report: &Report) {
        self.rows.extend(report.entries.iter().map(|entry| (entry.llm_code.clone(), fields(entry).join(","))));
    }
}

fn fields(entry: &UsageEntry) -> Vec<String> {
    let text = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
    let rate = |rate: Option<rust_decimal::Decimal>| rate.map(|r| r.to_string()).unwrap_or_default();
    vec![
        entry.llm_code.clone(),
        text(entry.cost_usd),
        text(entry.input_tokens),
        text(entry.output_tokens),
        text(entry.prompts),
        rate(entry.input_rate_usd),
        rate(entry.output_rate_usd),
        text(entry.month_cost_usd),
        text(entry.month_input_tokens),
        text(entry.month_output_tokens),
        text(entry.month_prompts),
    ]
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};

    #[test]
    fn only_what_changed_is_written_also_after_a_restart() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date");
        let report =
            parse(br#"[{"llmCode":"a,\"b","cost":1.5,"inputTokenRate":1.5e-7},{"llmCode":"c"}]"#).expect("a report");
        let first = Kept::default().changed_rows(&report, DateTime::UNIX_EPOCH);
        assert_eq!(String::from_utf8_lossy(&first).lines().count(), 2);

        let file = [KEPT_HEADER.as_bytes(), b"\n", &first].concat();
        let mut kept = Kept::from_csv(day, Some(&file));
        assert!(kept.changed_rows(&report, DateTime::UNIX_EPOCH).is_empty());

        let later =
            parse(br#"[{"llmCode":"a,\"b","cost":2,"inputTokenRate":1.5e-7},{"llmCode":"c"}]"#).expect("a report");
        let changed = String::from_utf8(kept.changed_rows(&later, DateTime::UNIX_EPOCH)).expect("text");
        assert_eq!(changed, "1970-01-01T00:00:00.000Z,\"a,\"\"b\",2,,,,0.00000015,,,,,\n");
        kept.remember(&later);
        assert!(kept.changed_rows(&later, DateTime::UNIX_EPOCH).is_empty());
    }
}
