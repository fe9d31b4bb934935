use url::Url;

use super::{
    prefix,
    urls::http_url,
    vars::{Source, items},
};
use crate::{
    catalog::{Accesses, ProviderRule},
    provider::{Access, Provider, Variables},
    record::Environment,
};

/// The providers that `environment` can reach: those that have a key (Ollama needs none) and a base URL.
pub(super) fn accesses(source: &mut Source<'_>, environment: &Environment) -> Accesses {
    let reached = |provider: Provider| Some((provider, access(source, environment, &provider.wire().variables())?));
    Provider::ALL.into_iter().filter_map(reached).collect()
}

fn access(source: &mut Source<'_>, environment: &Environment, names: &Variables) -> Option<Access> {
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
    let api_version = names.api_version.and_then(|name| own_or_plain(source, environment, name));
    let api_version = api_version.and_then(|name| source.get(&name)).map(str::to_owned);
    Some(Access { base_url: base_url?, api_key, api_version })
}

/// `PROD_OPENAI_API_KEY` where it is set, else `OPENAI_API_KEY` where that is.
fn own_or_plain(source: &Source<'_>, environment: &Environment, plain: &str) -> Option<String> {
    let own = format!("{}_{plain}", prefix(environment));
    // An environment called `azure` must not take Azure's plain variables for its own OpenAI ones.
    let is_plain = Provider::ALL.into_iter().map(|provider| provider.wire().variables()).any(|names| {
        names.key == Some(&own) || names.api_version == Some(&own) || names.base_url.contains(&own.as_str())
    });
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
