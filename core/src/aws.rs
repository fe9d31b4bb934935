//! Reaching AWS, and what speaks as it does: region, endpoint and credentials by the AWS SDK's own variables and files.

use std::fmt;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider,
};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::redact;

/// Signed into requests where the user names none; servers that are not AWS's take any.
pub(crate) const REGION_OF_OTHER_SERVERS: &str = "us-east-1";

/// How to reach a service. What is `None` comes from where the AWS SDK looks by itself: the process's variables, the shared
/// configuration files, the role of the container, the machine or the function.
#[derive(Clone, Default)]
pub struct AwsAccess {
    /// A server other than AWS's own; buckets are then addressed by path.
    pub endpoint: Option<Url>,
    /// Default `us-east-1` where an endpoint is set.
    pub region: Option<String>,
    /// A profile in the shared configuration files.
    pub profile: Option<String>,
    /// Keys of one's own.
    pub keys: Option<AwsKeys>,
}

impl fmt::Debug for AwsAccess {
    /// Without the credentials that a URL may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsAccess")
            .field("endpoint", &self.endpoint.as_ref().map(redact::url))
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("keys", &self.keys)
            .finish()
    }
}

/// Access keys.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
    /// Of temporary keys.
    pub session_token: Option<SecretString>,
}

/// The SDK's own sources, with `access` before them.
pub(crate) fn loader(access: &AwsAccess) -> ConfigLoader {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(endpoint) = &access.endpoint {
        loader = loader.endpoint_url(endpoint.as_str());
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = region_of(access) {
        loader = loader.region(region);
    }
    if let Some(keys) = &access.keys {
        let token = keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let secret = keys.secret.expose_secret();
        loader = loader.credentials_provider(Credentials::new(keys.id.clone(), secret, token, None, "settings"));
    }
    loader
}

/// Where to look for the region; `None`: wherever the SDK does.
fn region_of(access: &AwsAccess) -> Option<RegionProviderChain> {
    if let Some(region) = &access.region {
        return Some(RegionProviderChain::first_try(Region::new(region.clone())));
    }
    // A server of one's own need not have one. The SDK would ask the machine's metadata service, and wait for it in vain.
    access.endpoint.as_ref().map(|_| {
        let mut of_profile = ProfileFileRegionProvider::builder();
        if let Some(profile) = &access.profile {
            of_profile = of_profile.profile_name(profile);
        }
        RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(of_profile.build())
            .or_else(Region::from_static(REGION_OF_OTHER_SERVERS))
    })
}
