//! The models of a made-up past: how fast each is, what it costs, who serves it.

use llm_monitor_core::catalog::Prices;
use rust_decimal::Decimal;

/// A kind of model.
#[derive(Debug)]
pub(super) struct Kind {
    name: &'static str,
    pub(super) provider: &'static str,
    /// What the provider says answered.
    served_as: &'static str,
    /// Medians.
    pub(super) ttft_ms: f64,
    pub(super) tpot_ms: f64,
    pub(super) output_tokens: f64,
    /// Share of the output that is reasoning, before the answer.
    pub(super) reasoning_share: f64,
    /// Tokens of the prompt that come from a cache when one does.
    pub(super) cached_tokens: u64,
    pub(super) context_window: u64,
    /// US dollars for 100 million tokens, prompt and answer; `None`: the price is not known.
    usd_per_100m: Option<[i64; 2]>,
}

const KINDS: [Kind; 10] = [
    kind("gpt-4o-mini", "openai", "gpt-4o-mini-2024-07-18", [380.0, 9.5, 110.0], 128_000).priced(15, 60).caching(96),
    kind("claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5-20250929", [920.0, 15.0, 122.0], 200_000)
        .priced(300, 1_500),
    kind("gemini-2.5-flash", "gemini", "gemini-2.5-flash", [420.0, 5.2, 118.0], 1_048_576)
        .priced(30, 250)
        .reasoning(0.45),
    kind("gpt-4o", "azure", "gpt-4o-2024-11-20", [520.0, 14.0, 121.0], 128_000).priced(250, 1_000).caching(64),
    kind("ollama-llama3", "ollama", "llama3:latest", [240.0, 28.0, 96.0], 8_192),
    kind("o4-mini", "openai", "o4-mini-2025-04-16", [2_600.0, 8.0, 128.0], 200_000).priced(110, 440).reasoning(0.7),
    kind("claude-haiku-4-5", "anthropic", "claude-haiku-4-5-20251001", [480.0, 7.5, 119.0], 200_000).priced(100, 500),
    kind("gpt-4.1-mini", "openai", "gpt-4.1-mini-2025-04-14", [410.0, 8.8, 115.0], 1_047_576)
        .priced(40, 160)
        .caching(96),
    kind("gemini-2.5-pro", "gemini", "gemini-2.5-pro", [3_100.0, 7.1, 127.0], 1_048_576)
        .priced(125, 1_000)
        .reasoning(0.6),
    kind("mistral-large", "openai", "mistral-large-2411", [610.0, 17.0, 114.0], 131_072).priced(200, 600),
];

const fn kind(
    name: &'static str,
    provider: &'static str,
    served_as: &'static str,
    [ttft_ms, tpot_ms, output_tokens]: [f64; 3],
    context_window: u64,
) -> Kind {
    Kind {
        name,
        provider,
        served_as,
        ttft_ms,
        tpot_ms,
        output_tokens,
        reasoning_share: 0.0,
        cached_tokens: 0,
        context_window,
        usd_per_100m: None,
    }
}

impl Kind {
    const fn priced(self, input: i64, output: i64) -> Self {
        Self { usd_per_100m: Some([input, output]), ..self }
    }

    const fn caching(self, cached_tokens: u64) -> Self {
        Self { cached_tokens, ..self }
    }

    const fn reasoning(self, reasoning_share: f64) -> Self {
        Self { reasoning_share, ..self }
    }

    pub(super) fn prices(&self) -> Option<Prices> {
        let per_token = |usd: i64| Decimal::new(usd, 8);
        let [input, output] = self.usd_per_100m?;
        Some(Prices { input_usd_per_token: per_token(input), output_usd_per_token: per_token(output) })
    }

    pub(super) fn is_cloud(&self) -> bool {
        self.provider != "ollama"
    }
}

/// One model: its kind and its names. When the kinds are used up they come again with a number behind their names.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) kind: &'static Kind,
    pub(super) name: String,
    pub(super) served_as: String,
}

impl Model {
    pub(super) fn nth(index: usize) -> Self {
        let (round, at) = (index / KINDS.len() + 1, index % KINDS.len());
        #[expect(clippy::indexing_slicing, reason = "a remainder is smaller than the divisor")]
        let kind = &KINDS[at];
        let named = |name: &str| if round == 1 { name.to_owned() } else { format!("{name}-{round}") };
        Self { kind, name: named(kind.name), served_as: named(kind.served_as) }
    }
}
