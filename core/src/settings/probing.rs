use std::sync::Arc;

use super::{
    providers,
    vars::{Source, items, whole},
};
use crate::{
    catalog::{OutputLimits, ProviderRule},
    probe::DEFAULT_PROMPT,
};

const DEFAULT_MAX_OUTPUT_TOKENS: u32 = 128;
const MAX_OUTPUT_TOKENS: u64 = 100_000;

/// What one probe sends, and how many run at once.
#[derive(Debug, Clone)]
pub struct Probing {
    /// `PROBE_PROMPT`, default a fixed text of about 120 tokens.
    pub prompt: Arc<str>,
    /// `PROBE_MAX_OUTPUT_TOKENS`, default 128, with overrides by model: `128,o4-*=1024`.
    pub max_output_tokens: OutputLimits,
    /// `MAX_CONCURRENT_PROBES`, default 64, in one cycle.
    pub max_concurrent: usize,
    /// `MODEL_PROVIDERS`: before the built-in rules, first match wins.
    pub provider_rules: Vec<ProviderRule>,
}

pub(super) fn read(source: &mut Source<'_>) -> Probing {
    Probing {
        prompt: Arc::from(source.get("PROBE_PROMPT").unwrap_or(DEFAULT_PROMPT)),
        max_output_tokens: source.parse(
            "PROBE_MAX_OUTPUT_TOKENS",
            OutputLimits { default: DEFAULT_MAX_OUTPUT_TOKENS, by_model: Vec::new() },
            "a whole number, 1 to 100000, and if wanted others by model, like 128,o4-*=1024",
            output_limits,
        ),
        max_concurrent: source.parse("MAX_CONCURRENT_PROBES", 64, "a whole number, 1 to 4096", |text| {
            whole(text, 1..=4096).map(|n| n as usize)
        }),
        provider_rules: providers::rules(source),
    }
}

fn output_limits(text: &str) -> Option<OutputLimits> {
    let mut limits = OutputLimits { default: DEFAULT_MAX_OUTPUT_TOKENS, by_model: Vec::new() };
    for item in items(text) {
        let (pattern, number) = item.rsplit_once('=').map_or((None, item), |(p, n)| (Some(p.trim()), n.trim()));
        let tokens = u32::try_from(whole(number, 1..=MAX_OUTPUT_TOKENS)?).ok()?;
        match pattern {
            None => limits.default = tokens,
            Some("") => return None,
            Some(pattern) => limits.by_model.push((pattern.to_owned(), tokens)),
        }
    }
    Some(limits)
}
