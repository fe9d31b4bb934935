//! What was learned of each endpoint, for as long as the process lives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    catalog::Target,
    provider::{Adaptation, Provider, Quirks},
};

/// Quirks by endpoint; what concerns one model only, by model.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<(Provider, String), Endpoint>>);

#[derive(Default)]
struct Endpoint {
    without_stream_options: bool,
    /// Models that want the other name of the token limit.
    other_token_limit: BTreeSet<String>,
    /// Models whose refusal a guess did not mend: their next refusal stands.
    guessed_in_vain: BTreeSet<String>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Memory {
    /// What is known of the target's endpoint.
    pub(super) fn quirks(&self, target: &Target) -> Quirks {
        let endpoints = self.endpoints();
        endpoints.get(&key(target)).map_or_else(Quirks::default, |endpoint| Quirks {
            without_stream_options: endpoint.without_stream_options,
            other_token_limit: endpoint.other_token_limit.contains(&target.provider_model),
        })
    }

    /// Whether `adaptation` is worth a second request.
    pub(super) fn allows(&self, target: &Target, adaptation: Adaptation) -> bool {
        let endpoints = self.endpoints();
        let endpoint = endpoints.get(&key(target));
        adaptation.is_certain || endpoint.is_none_or(|e| !e.guessed_in_vain.contains(&target.provider_model))
    }

    /// The second request, made with `adaptation`, was refused too, or not.
    pub(super) fn learn(&self, target: &Target, adaptation: Adaptation, is_refused_again: bool) {
        let mut endpoints = self.endpoints();
        let endpoint = endpoints.entry(key(target)).or_default();
        if is_refused_again && !adaptation.is_certain {
            endpoint.guessed_in_vain.insert(target.provider_model.clone());
            return;
        }
        endpoint.without_stream_options |= adaptation.quirks.without_stream_options;
        if adaptation.quirks.other_token_limit {
            endpoint.other_token_limit.insert(target.provider_model.clone());
        }
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<(Provider, String), Endpoint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Host, port and path: no user info, no query.
fn key(target: &Target) -> (Provider, String) {
    let url = &target.access.base_url;
    let place = format!("{}:{:?}{}", url.host_str().unwrap_or_default(), url.port_or_known_default(), url.path());
    (target.provider, place)
}
