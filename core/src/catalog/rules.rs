use crate::provider::Provider;

/// A line of `MODEL_PROVIDERS`: models whose name fits `pattern` are served by `provider`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRule {
    /// A name in which `*` stands for any characters.
    pub pattern: String,
    /// Who serves them.
    pub provider: Provider,
}

/// The most tokens a probe may generate, by model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLimits {
    /// For models that no pattern fits.
    pub default: u32,
    /// Pattern and limit; the first that fits wins.
    pub by_model: Vec<(String, u32)>,
}

impl OutputLimits {
    /// The limit of `model`.
    pub fn of(&self, model: &str) -> u32 {
        self.by_model.iter().find(|(pattern, _)| fits(pattern, model)).map_or(self.default, |(_, limit)| *limit)
    }
}

/// Who serves `model`: the first of `rules` that fits, else by its name. `None` where nothing tells.
pub(super) fn provider_of(model: &str, rules: &[ProviderRule]) -> Option<Provider> {
    let set = rules.iter().find(|rule| fits(&rule.pattern, model)).map(|rule| rule.provider);
    set.or_else(|| Provider::ALL.into_iter().find(|provider| provider.wire().serves(model)))
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("gpt-4", "gpt-4", true),
            ("gpt-4", "gpt-4o", false),
            ("mistral-*", "mistral-large", true),
            ("*-mini", "o4-mini", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_models_name_tells_its_provider_unless_a_rule_does() {
        let rules = [ProviderRule { pattern: "claude-via-*".to_owned(), provider: Provider::OpenAi }];
        let of = |model| provider_of(model, &rules);
        assert_eq!(of("o4-mini"), Some(Provider::OpenAi));
        assert_eq!(of("chatgpt-4o-latest"), Some(Provider::OpenAi));
        assert_eq!(of("claude-3-opus-20240229"), Some(Provider::Anthropic));
        assert_eq!(of("claude-via-gateway"), Some(Provider::OpenAi));
        assert_eq!(of("gemini-2.5-pro"), Some(Provider::Gemini));
        assert_eq!(of("ollama-llama3"), Some(Provider::Ollama));
        assert_eq!((of("olmo"), of("mistral-large"), of("ollama-")), (None, None, None));
    }
}
