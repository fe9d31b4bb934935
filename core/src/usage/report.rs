use rust_decimal::Decimal;
use serde_json::{Map, Number, Value};

use super::UsageError;

/// Longest `llmCode` taken, in bytes.
const MAX_CODE_LEN: usize = 200;
/// Most entries taken from one report: each is a paid probe in every cycle.
const MAX_ENTRIES: usize = 10_000;

/// A usage report: the entries that could be used, and what was wrong with the others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// In the endpoint's order; no `llmCode` twice.
    pub entries: Vec<UsageEntry>,
    /// One line for each skipped entry.
    pub skipped: Vec<String>,
}

/// One model's use. What the endpoint does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsageEntry {
    /// The model's name.
    pub llm_code: String,
    /// Today's cost, US dollars.
    pub cost_usd: Option<f64>,
    /// Today's prompt tokens.
    pub input_tokens: Option<f64>,
    /// Today's generated tokens.
    pub output_tokens: Option<f64>,
    /// Today's prompts.
    pub prompts: Option<f64>,
    /// US dollars per prompt token, exact.
    pub input_rate_usd: Option<Decimal>,
    /// US dollars per generated token, exact.
    pub output_rate_usd: Option<Decimal>,
    /// This month's average of a day, US dollars.
    pub month_cost_usd: Option<f64>,
    /// This month's average of a day.
    pub month_input_tokens: Option<f64>,
    /// This month's average of a day.
    pub month_output_tokens: Option<f64>,
    /// This month's average of a day.
    pub month_prompts: Option<f64>,
}

/// Reads a usage endpoint's answer. One bad entry is skipped and costs no other.
///
/// # Errors
/// The text is not JSON, or not an array.
pub fn parse(body: &[u8]) -> Result<Report, UsageError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| UsageError::NotJson { line: error.line(), column: error.column() })?;
    let Value::Array(values) = value else {
        return Err(UsageError::NotAnArray { found: kind_of(&value) });
    };
    let mut report = Report::default();
    let mut seen = std::collections::HashSet::new();
    for (index, value) in values.iter().enumerate() {
        if index >= MAX_ENTRIES {
            report.skipped.push(format!("entries {MAX_ENTRIES} and up: more than {MAX_ENTRIES} models"));
            break;
        }
        match entry(value) {
            Ok(entry) if !seen.insert(entry.llm_code.clone()) => {
                report.skipped.push(format!("entry {index}: llmCode {:?} stands there twice", entry.llm_code));
            }
            Ok(entry) => report.entries.push(entry),
            Err(problem) => report.skipped.push(format!("entry {index}: {problem}")),
        }
    }
    Ok(report)
}

fn entry(value: &Value) -> Result<UsageEntry, String> {
    let Value::Object(fields) = value else {
        return Err(format!("expected an object, found {}", kind_of(value)));
    };
    let llm_code = match fields.get("llmCode") {
        Some(Value::String(code)) => code.trim(),
        Some(other) => return Err(format!("llmCode: expected a string, found {}", kind_of(other))),
        None => return Err("no llmCode".to_owned()),
    };
    if llm_code.is_empty() || llm_code.len() > MAX_CODE_LEN || llm_code.chars().any(char::is_control) {
        return Err(format!("llmCode: expected 1 to {MAX_CODE_LEN} bytes without control characters"));
    }
    let number = |name| amount(fields, name).map(|n| n.and_then(Number::as_f64));
    let rate = |name| amount(fields, name)?.map(|n| exact(n, name)).transpose();
    let context = |problem: String| format!("{llm_code:?}: {problem}");
    Ok(UsageEntry {
        llm_code: llm_code.to_owned(),
        cost_usd: number("cost").map_err(context)?,
        input_tokens: number("inputTokens").map_err(context)?,
        output_tokens: number("outputTokens").map_err(context)?,
        prompts: number("promptCount").map_err(context)?,
        input_rate_usd: rate("inputTokenRate").map_err(context)?,
        output_rate_usd: rate("outputTokenRate").map_err(context)?,
        month_cost_usd: number("averageCostForMonth").map_err(context)?,
        month_input_tokens: number("averageInputTokensForMonth").map_err(context)?,
        month_output_tokens: number("averageOutputTokensForMonth").map_err(context)?,
        month_prompts: number("averagePromptCountForMonth").map_err(context)?,
    })
}

/// A number that is not negative; absent and null are `None`.
fn amount<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a Number>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match number.as_f64() {
            Some(n) if n.is_finite() && n >= 0.0 => Ok(Some(number)),
            _ => Err(format!("{name}: expected a number of 0 or more, found {number}")),
        },
        Some(other) => Err(format!("{name}: expected a number, found {}", kind_of(other))),
    }
}

/// The decimal that the JSON text meant: `1.5e-7` and not the binary fraction nearest to it.
fn exact(number: &Number, name: &str) -> Result<Decimal, String> {
    let text = number.to_string();
    let decimal =
        if text.contains(['e', 'E']) { Decimal::from_scientific(&text) } else { Decimal::from_str_exact(&text) };
    match decimal {
        // A rate above 1,000 dollars a token is a unit mistaken, and would overflow a cost.
        Ok(rate) if rate <= Decimal::ONE_THOUSAND => Ok(rate.normalize()),
        _ => Err(format!("{name}: expected US dollars per token, 0 to 1000, found {text}")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_contracts_example_with_exact_rates() {
        let body = br#"[{"llmCode":"gpt-4o-mini","cost":1.545,"inputTokens":5722364,"outputTokens":1144472,
            "promptCount":11444,"inputTokenRate":1.5e-7,"outputTokenRate":6e-7,"averageCostForMonth":1.545,
            "averageInputTokensForMonth":5722364,"averageOutputTokensForMonth":1144472,
            "averagePromptCountForMonth":11444,"unknown":{"kept":"out"}}]"#;
        let report = parse(body).expect("a report");
        assert_eq!(report.skipped, Vec::<String>::new());
        let entry = report.entries.first().expect("one entry");
        assert_eq!(entry.input_rate_usd.map(|rate| rate.to_string()).as_deref(), Some("0.00000015"));
        assert_eq!(entry.output_rate_usd.map(|rate| rate.to_string()).as_deref(), Some("0.0000006"));
        assert_eq!((entry.prompts, entry.cost_usd), (Some(11444.0), Some(1.545)));
    }

    #[test]
    fn one_bad_entry_is_skipped_and_costs_no_other() {
        let body = br#"[{"cost":1}, {"llmCode":"a","inputTokenRate":-1}, {"llmCode":"b","inputTokenRate":"1e-7"}, 7,
            {"llmCode":"c"}, {"llmCode":"c"}, {"llmCode":"d","outputTokenRate":null}, {"llmCode":"e","inputTokenRate":1e300},
            {"llmCode":"f","cost":true}, {"llmCode":" "}]"#;
        let report = parse(body).expect("a report");
        let codes: Vec<_> = report.entries.iter().map(|entry| entry.llm_code.as_str()).collect();
        assert_eq!(codes, ["c", "d"]);
        assert_eq!(report.skipped.len(), 8, "{:?}", report.skipped);
        assert!(report.skipped.iter().any(|line| line.contains("inputTokenRate") && line.contains("-1")));
        assert!(report.entries.iter().all(|entry| entry.input_rate_usd.is_none()), "absent is not 0");
    }

    #[test]
    fn what_is_no_array_is_refused_with_what_was_found() {
        assert!(matches!(parse(b"<html>"), Err(UsageError::NotJson { line: 1, column: 1 })));
        assert!(matches!(parse(b"{}"), Err(UsageError::NotAnArray { found: "an object" })));
        assert!(parse(b"[1e999]").is_err());
    }
}
