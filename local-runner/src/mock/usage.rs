//! The usage endpoint: what each model was used for on a day, and its rates. The same environment and day always get the same
//! numbers.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{Datelike, NaiveDate, Utc, Weekday};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Shared, chance::seeded, config::MockModel};

/// The query of a usage request.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    date: Option<String>,
}

/// One model's entry, in the order real endpoints write it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    llm_code: &'a str,
    cost: f64,
    input_tokens: u64,
    output_tokens: u64,
    prompt_count: u64,
    input_token_rate: f64,
    output_token_rate: f64,
    average_cost_for_month: f64,
    average_input_tokens_for_month: u64,
    average_output_tokens_for_month: u64,
    average_prompt_count_for_month: u64,
}

/// Answers `GET …/api/llm-usage?date=YYYY-MM-DD`.
pub(super) fn answer(shared: &Shared, environment: &str, headers: &HeaderMap, asked: &Asked) -> Response {
    if let Some(token) = &shared.config.usage_token {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if !given.is_some_and(|given| token.is(given)) {
            let problem = json!({"error": "this usage endpoint wants its token: Authorization: Bearer ..."});
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, challenge, axum::Json(problem)).into_response();
        }
    }
    let Some(date) = asked.date.as_deref().map_or_else(|| Some(Utc::now().date_naive()), day) else {
        let given = asked.date.as_deref().unwrap_or_default();
        let problem = json!({"error": format!("date is a day like 2026-11-24, not {given:?}")});
        return (StatusCode::BAD_REQUEST, axum::Json(problem)).into_response();
    };
    let config = &shared.config;
    let differs = config.environments.get(environment);
    let factor = differs.map_or(1.0, |differs| differs.usage_factor);
    let there = |name: &String| differs.is_none_or(|differs| !differs.without.contains(name));
    let entries: Vec<Entry<'_>> = config
        .models
        .iter()
        .filter(|(name, _)| there(name))
        .map(|(name, model)| Day { seed: config.seed, environment, name, model, factor }.entry(date))
        .collect();
    axum::Json(entries).into_response()
}

/// Exactly `YYYY-MM-DD`.
fn day(text: &str) -> Option<NaiveDate> {
    (text.len() == 10).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// What decides a day's numbers.
struct Day<'a> {
    seed: u64,
    environment: &'a str,
    name: &'a str,
    model: &'a MockModel,
    factor: f64,
}

impl<'a> Day<'a> {
    fn entry(&self, date: NaiveDate) -> Entry<'a> {
        let (prompts, input, output) = self.used(date);
        let days = f64::from(date.day());
        let month = (1..=date.day()).filter_map(|day| date.with_day(day)).map(|date| self.used(date));
        let (all_prompts, all_input, all_output) =
            month.fold((0, 0, 0), |(a, b, c), (prompts, input, output)| (a + prompts, b + input, c + output));
        let average = |total: u64| (total as f64 / days).round() as u64;
        Entry {
            llm_code: self.name,
            cost: self.cost(input as f64, output as f64),
            input_tokens: input,
            output_tokens: output,
            prompt_count: prompts,
            input_token_rate: self.model.input_usd_per_token,
            output_token_rate: self.model.output_usd_per_token,
            average_cost_for_month: self.cost(all_input as f64 / days, all_output as f64 / days),
            average_input_tokens_for_month: average(all_input),
            average_output_tokens_for_month: average(all_output),
            average_prompt_count_for_month: average(all_prompts),
        }
    }

    /// Prompts, input tokens and output tokens of one day.
    fn used(&self, date: NaiveDate) -> (u64, u64, u64) {
        let mut rng = seeded(self.seed, &["usage", self.environment, self.name, &date.to_string()]);
        let weekend = if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) { 0.35 } else { 1.0 };
        let mut about = |usual: f64| (usual * (0.85 + 0.3 * rng.f64())).round().max(1.0);
        let prompts = about(self.model.prompts_per_day as f64 * self.factor * weekend);
        let input = about(prompts * self.model.input_tokens_per_prompt as f64);
        let output = about(prompts * self.model.output_tokens_per_prompt as f64);
        (prompts as u64, input as u64, output as u64)
    }

    /// US dollars, to a millionth.
    fn cost(&self, input_tokens: f64, output_tokens: f64) -> f64 {
        let exact = input_tokens * self.model.input_usd_per_token + output_tokens * self.model.output_usd_per_token;
        (exact * 1e6).round() / 1e6
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_day_is_written_in_full_or_not_taken() {
        assert_eq!(day("2026-11-24"), NaiveDate::from_ymd_opt(2026, 11, 24));
        for bad in ["2026-11-4", "2026-13-01", "2026-02-30", "24.11.2026", "today", "", "2026-11-24T00:00:00Z"] {
            assert_eq!(day(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_same_day_has_the_same_numbers_and_another_day_others() {
        let model =
            MockModel { input_usd_per_token: 1e-6, ..MockModel::of(llm_monitor_core::provider::Provider::OpenAi) };
        let entry = |environment, date: &str| {
            Day { seed: 1, environment, name: "m", model: &model, factor: 1.0 }.entry(day(date).unwrap())
        };
        assert_eq!(entry("prod", "2026-11-24"), entry("prod", "2026-11-24"));
        assert_ne!(entry("prod", "2026-11-24"), entry("prod", "2026-11-25"));
        assert_ne!(entry("prod", "2026-11-24"), entry("qa", "2026-11-24"));
        let first = entry("prod", "2026-11-01");
        assert_eq!(first.input_tokens, first.average_input_tokens_for_month, "on the first day the average is the day");
        assert!((first.cost - first.input_tokens as f64 * 1e-6).abs() < 1e-6);
    }
}
