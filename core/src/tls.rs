//! TLS for every outgoing connection: the platform's trusted roots, rustls, HTTP/1.1.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, ring},
};
use tokio::sync::OnceCell;

/// TLS cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// Neither the platform nor `SSL_CERT_FILE` gives one. Holds what went wrong first, in brackets, where something did: a file that is
    /// not there, say.
    #[error("no trusted root certificate found{0}; install the system's CA certificates or set SSL_CERT_FILE")]
    NoRoots(String),
    /// The TLS library refuses its own defaults.
    #[error("TLS could not be set up: {0}")]
    Unusable(String),
}

/// The platform's trusted roots for all who share it: read when one of them first needs TLS, and only once.
#[derive(Debug, Clone, Default)]
pub struct SharedTls(Arc<OnceCell<Arc<ClientConfig>>>);

impl SharedTls {
    /// As if `config` had been read.
    pub fn of(config: Arc<ClientConfig>) -> Self {
        Self(Arc::new(OnceCell::new_with(Some(config))))
    }

    /// The configuration of [`client_config`].
    ///
    /// # Errors
    /// Its own; the next call tries again.
    pub async fn get(&self) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let load = || async {
            let loaded = tokio::task::spawn_blocking(client_config).await;
            loaded.map_err(|error| TlsSetupError::Unusable(error.to_string()))?
        };
        self.0.get_or_try_init(load).await.cloned()
    }
}

/// A configuration that trusts the platform's roots (or, instead, those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, which are looked for in the
/// process's environment alone). Reads files, which takes
/// some milliseconds: do it once, and not while something is measured.
///
/// # Errors
/// Where no root certificate is found.
pub fn client_config() -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        return Err(TlsSetupError::NoRoots(
            loaded.errors.first().map(|error| format!(" ({error})")).unwrap_or_default(),
        ));
    }
    client_config_with_roots(roots)
}

/// A configuration that trusts `roots` alone.
///
/// # Errors
/// When the TLS library refuses its defaults, which it does not.
pub fn client_config_with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError::Unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed handshake is shorter: measured connections could not be compared with each other.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
