use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use rust_decimal::Decimal;

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
        let mut newest: HashMap<String, (DateTime<Utc>, String)> = HashMap::new();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv_text.unwrap_or_default());
        for record in reader.records().flatten() {
            let (Some(fetched_at), Some(code)) = (time(&record), record.get(1)) else { continue };
            if newest.get(code).is_none_or(|(known, _)| *known <= fetched_at) {
                let fields = record.iter().skip(1).collect::<Vec<_>>().join(",");
                newest.insert(code.to_owned(), (fetched_at, fields));
            }
        }
        Self { day, rows: newest.into_iter().map(|(code, (_, fields))| (code, fields)).collect() }
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

/// One row of a usage file: what the endpoint said of a model, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRow {
    /// When it was first heard.
    pub fetched_at: DateTime<Utc>,
    /// What was said.
    pub entry: UsageEntry,
}

/// The rows of a usage file in time's order, and how many could not be read. The file itself is in another one where the rows of
/// two stores were put together, by a restore.
pub fn read_kept(csv_text: &[u8]) -> (Vec<KeptRow>, u64) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv_text);
    let mut skipped = 0;
    let mut rows = Vec::new();
    for record in reader.records() {
        match record.ok().as_ref().and_then(kept_row) {
            Some(row) => rows.push(row),
            None => skipped += 1,
        }
    }
    rows.sort_by_key(|row| row.fetched_at);
    (rows, skipped)
}

fn time(record: &csv::StringRecord) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(record.get(0)?).ok().map(|time| time.to_utc())
}

/// `None` where the time or the model's name is unusable; a number that is no number is as good as absent.
fn kept_row(record: &csv::StringRecord) -> Option<KeptRow> {
    let fetched_at = time(record)?;
    let llm_code = record.get(1).filter(|code| !code.is_empty())?.to_owned();
    let number = |column: usize| -> Option<f64> {
        record.get(column)?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    };
    let rate = |column: usize| -> Option<Decimal> {
        let text = record.get(column)?;
        text.parse().ok().or_else(|| Decimal::from_scientific(text).ok()).filter(|rate| *rate >= Decimal::ZERO)
    };
    let entry = UsageEntry {
        llm_code,
        cost_usd: number(2),
        input_tokens: number(3),
        output_tokens: number(4),
        prompts: number(5),
        input_rate_usd: rate(6),
        output_rate_usd: rate(7),
        month_cost_usd: number(8),
        month_input_tokens: number(9),
        month_output_tokens: number(10),
        month_prompts: number(11),
    };
    Some(KeptRow { fetched_at, entry })
}

fn fields(entry: &UsageEntry) -> Vec<String> {
    let text = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
    let rate = |rate: Option<Decimal>| rate.map(|r| r.to_string()).unwrap_or_default();
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

    /// As a restore leaves it beside what was said meanwhile.
    #[test]
    fn the_newest_is_the_latest_wherever_it_stands_in_the_file() {
        let report = |cost: &str| parse(format!(r#"[{{"llmCode":"a","cost":{cost}}}]"#).as_bytes()).expect("a report");
        let rows = |cost, hour| {
            let time = DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hour);
            Kept::default().changed_rows(&report(cost), time)
        };
        let file = [KEPT_HEADER.as_bytes(), b"\n", &rows("1", 8), &rows("3", 11), &rows("2", 10)].concat();
        let costs: Vec<_> = read_kept(&file).0.iter().map(|row| row.entry.cost_usd).collect();
        assert_eq!(costs, [Some(1.0), Some(2.0), Some(3.0)]);
        let kept = Kept::from_csv(DateTime::UNIX_EPOCH.date_naive(), Some(&file));
        assert!(kept.changed_rows(&report("3"), DateTime::UNIX_EPOCH).is_empty());
        assert!(!kept.changed_rows(&report("2"), DateTime::UNIX_EPOCH).is_empty());
    }

    #[test]
    fn what_is_kept_is_read_back_and_bad_rows_cost_no_other() {
        let report =
            parse(br#"[{"llmCode":"a","cost":1.5,"inputTokens":7,"inputTokenRate":1.5e-7},{"llmCode":"b,c"}]"#)
                .expect("a report");
        let rows = Kept::default().changed_rows(&report, DateTime::UNIX_EPOCH);
        let bad = "yesterday,x,1,,,,,,,,,\n1970-01-01T00:00:00.000Z\n1970-01-01T00:00:00.000Z,d,NaN,-1,,,1e-7,,,,,\n";
        let (read, skipped) = read_kept(&[KEPT_HEADER.as_bytes(), b"\n", &rows, bad.as_bytes()].concat());
        assert_eq!(skipped, 2);
        let entries: Vec<_> = read.iter().map(|row| row.entry.clone()).collect();
        assert_eq!(entries.get(..2), Some(&report.entries[..]));
        let last = entries.last().expect("the third");
        assert_eq!((last.cost_usd, last.input_tokens), (None, None));
        assert_eq!(last.input_rate_usd.map(|rate| rate.to_string()).as_deref(), Some("0.0000001"));
        assert!(read.iter().all(|row| row.fetched_at == DateTime::UNIX_EPOCH));
    }
}
