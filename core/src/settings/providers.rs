use url::Url;

use super::{
    prefix,
    urls::http_url,
    vars::{Source, items},
};
use crate::{
    catalog::{Accesses, ProviderRule},
    provider::{Access, Provider},
    record::Environment,
};

/// The newest stable version of Azure's chat completions.
const AZURE_API_VERSION: &str = "2024-10-21";

/// One provider's variables, as its own SDK names them, newest name first.
struct Names {
    provider: Provider,
    key: Option<&'static str>,
    base_url: &'static [&'static str],
    default_base_url: Option<&'static str>,
}

const PROVIDERS: [Names; 5] = [
    Names {
        provider: Provider::OpenAi,
        key: Some("OPENAI_API_KEY"),
        base_url: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        default_base_url: Some("https://api.openai.com/v1"),
    },
    Names {
        provider: Provider::Azure,
        key: Some("AZURE_OPENAI_API_KEY"),
        base_url: &["AZURE_OPENAI_ENDPOINT"],
        default_base_url: None,
    },
    Names {
        provider: Provider::Anthropic,
        key: Some("ANTHROPIC_API_KEY"),
        base_url: &["ANTHROPIC_BASE_URL"],
        default_base_url: Some("https://api.anthropic.com"),
    },
    Names {
        provider: Provider::Gemini,
        key: Some("GEMINI_API_KEY"),
        base_url: &["GEMINI_BASE_URL"],
        default_base_url: Some("https://generativelanguage.googleapis.com"),
    },
    Names {
        provider: Provider::Ollama,
        key: None,
        base_url: &["OLLAMA_BASE_URL"],
        default_base_url: Some("http://localhost:11434"),
    },
];

/// The providers that `environment` can reach: those that have a key (Ollama needs none) and a base URL.
pub(super) fn accesses(source: &mut Source<'_>, environment: &Environment) -> Accesses {
    PROVIDERS.iter().filter_map(|names| Some((names.provider, access(source, environment, names)?))).collect()
}

fn access(source: &mut Source<'_>, environment: &Environment, names: &Names) -> Option<Access> {
    // Both are read before either can end this, so that the problems of both are reported.
    let set = names.base_url.iter().find_map(|name| own_or_plain(source, environment, name));
    let base_url = match set {
        Some(name) => http_url(source, &name),
        None => names.default_base_url.and_then(|url| Url::parse(url).ok()),
    };
    let api_key = match names.key {
        Some(key) => {
            let name = own_or_plain(source, environment, key)?;
            Some(source.secret(&name)?)
        }
        None => None,
    };
    let api_version = (names.provider == Provider::Azure).then(|| {
        let name = own_or_plain(source, environment, "AZURE_OPENAI_API_VERSION");
        name.and_then(|name| source.get(&name)).unwrap_or(AZURE_API_VERSION).to_owned()
    });
    Some(Access { base_url: base_url?, api_key, api_version })
}

/// `PROD_OPENAI_API_KEY` where it is set, else `OPENAI_API_KEY` where that is.
fn own_or_plain(source: &Source<'_>, environment: &Environment, plain: &str) -> Option<String> {
    let own = format!("{}_{plain}", prefix(environment));
    // An environment called `azure` must not take Azure's plain variables for its own OpenAI ones.
    let is_plain = PROVIDERS.iter().any(|names| names.key == Some(&own) || names.base_url.contains(&own.as_str()));
    [own, plain.to_owned()]
        .into_iter()
        .enumerate()
        .find(|(i, name)| !(*i == 0 && is_plain) && source.get(name).is_some())
        .map(|(_, name)| name)
}

/// `MODEL_PROVIDERS`: `pattern=provider` pairs, first match wins.
pub(super) fn rules(source: &mut Source<'_>) -> Vec<ProviderRule> {
    let expected = "pattern=provider pairs, comma-separated, like mistral-*=openai,*=openai \
                    (providers: openai, azure, anthropic, gemini, ollama)";
    source.parse("MODEL_PROVIDERS", Vec::new(), expected, |text| {
        items(text)
            .map(|item| {
                let (pattern, provider) = item.rsplit_once('=')?;
                let (pattern, provider) = (pattern.trim(), provider.trim().parse().ok()?);
                (!pattern.is_empty()).then(|| ProviderRule { pattern: pattern.to_owned(), provider })
            })
            .collect()
    })
}
