//! Probes of `https` endpoints.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use llm_monitor_core::{
    probe::Prober,
    provider::Provider,
    record::{ErrorKind, Record},
    tls::client_config_with_roots,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{
    probing::{due_now, target},
    scripted::{Step, end, event, finish, play, read_request, response, stream_head, text, usage},
};

/// A private certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        roots
    }

    /// Its certificate, as a file has it.
    pub(crate) fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(self.0.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// What a server called `name` needs.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("defaults")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Serves a usage request with a report of one model and every other with a stream of two tokens, on the port that it gives back.
pub(crate) async fn serve_tls(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                let script = if read_request(&mut tls).await.starts_with("GET /usage") {
                    vec![response(
                        "200 OK",
                        "content-type: application/json\r\nconnection: close\r\n",
                        r#"[{"llmCode":"gpt-of-the-usage-endpoint"}]"#,
                    )]
                } else {
                    vec![stream_head(), text("Hello"), text("!"), finish("stop"), usage(2), event("[DONE]"), end()]
                };
                let _ = play(&mut tls, script).await;
            });
        }
    });
    port
}

/// Serves one connection and probes it as `https://localhost`, trusting `roots`.
async fn probe_tls(acceptor: TlsAcceptor, roots: RootCertStore) -> Record {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.expect("a connection");
        if let Ok(mut tls) = acceptor.accept(tcp).await {
            read_request(&mut tls).await;
            let script =
                vec![stream_head(), text("Hello"), text("!"), finish("stop"), usage(2), event("[DONE]"), end()];
            // The client leaves when it is done.
            let _ = play(&mut tls, script).await;
        }
    });
    let prober = Prober::with_tls("here", client_config_with_roots(roots).expect("a configuration"));
    let record = prober.probe(&target(Provider::OpenAi, &format!("https://localhost:{port}/v1")), &due_now()).await;
    server.await.expect("the server's end");
    record
}

#[tokio::test]
async fn every_phase_of_a_connection_is_told_apart() {
    let authority = Authority::new();
    let record = probe_tls(authority.acceptor("localhost"), authority.roots()).await;
    assert!(record.is_success(), "{record:?}");
    let (dns, tls) = (record.dns_ms.expect("measured"), record.tls_ms.expect("measured"));
    let (connect, ttfb) = (record.connect_ms.expect("measured"), record.ttfb_ms.expect("measured"));
    assert!(dns > 0.0 && tls > 0.0 && dns + tls <= connect && connect <= ttfb, "{record:?}");
    assert_eq!(record.output_tokens, Some(2));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let record = probe_tls(Authority::new().acceptor("localhost"), Authority::new().roots()).await;
    assert_eq!(record.error_kind(), Some(ErrorKind::Tls), "{record:?}");
    assert!(record.error_message().is_some_and(|message| message.contains("certificate")), "{record:?}");
    assert!(record.tls_ms.is_some());
    assert_eq!((record.connect_ms, record.http_status), (None, None));
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::new();
    let record = probe_tls(authority.acceptor("other.example"), authority.roots()).await;
    assert_eq!(record.error_kind(), Some(ErrorKind::Tls), "{record:?}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let prober = Prober::with_tls("here", client_config_with_roots(Authority::new().roots()).expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.expect("a connection");
        let _ = play(&mut tcp, vec![Step::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), Step::Stall]).await;
    });
    let record = prober.probe(&target(Provider::OpenAi, &format!("https://{address}/v1")), &due_now()).await;
    assert_eq!(record.error_kind(), Some(ErrorKind::Tls), "{record:?}");
    assert!(record.error_message().is_some_and(|message| message.contains("TLS handshake failed")), "{record:?}");
    server.await.expect("the server's end");
}
