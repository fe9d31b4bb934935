//! What SECURITY.md promises, where the whole program is needed to see it.

use std::{fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use llm_monitor::mock::{Behaviour, Mock, MockConfig, MockServer};
use llm_monitor_core::{
    provider::Provider,
    record::Environment,
    tls::SharedTls,
    tls::client_config_with_roots,
    usage::{UsageClient, UsageError},
};
use rustls::RootCertStore;
use serde_json::Value;

use crate::{
    support::{
        http::client,
        monitor::Setup,
        scripted::{Scripted, Step, response},
        usage::Usage,
    },
    tls::{Authority, serve_tls},
};

fn mock(models: &[&'static str]) -> MockServer {
    let quick = Behaviour { ttft_ms: 1.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models: Vec<_> = models.iter().map(|name| (*name, Provider::OpenAi, quick.clone())).collect();
    Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) }).expect("a mock")
}

fn usage_client() -> UsageClient {
    let roots = client_config_with_roots(RootCertStore::empty()).expect("a configuration");
    UsageClient::new(std::time::Duration::from_secs(10), SharedTls::of(roots))
}

async fn fetched(url: &str) -> Result<usize, UsageError> {
    let report = usage_client().fetch(&url.parse().expect("a URL"), None, chrono::Utc::now().date_naive()).await;
    report.map(|report| report.entries.len())
}

#[tokio::test]
async fn a_page_that_was_rebound_to_this_machine_reads_nothing_of_the_program() {
    let mock = mock(&["gpt-a"]);
    let setup = Setup::new().with(mock.settings(&[Environment::dev()]));
    let ask = async |url: &str, host: &str| {
        client().get(url).header("host", host).send().await.expect("an answer").status().as_u16()
    };
    let serving = setup.serve().await;
    let url = serving.url("/api/latency");
    assert_eq!(ask(&url, "rebound.example:8000").await, 421);
    assert_eq!((ask(&url, "localhost:8000").await, ask(&url, "127.0.0.1").await), (200, 200));
    serving.kill().await;
    let setup = setup.with([("ALLOWED_HOSTS", "monitor.example.com, Other.example.com")]);
    let serving = setup.serve().await;
    let url = serving.url("/api/latency");
    assert_eq!((ask(&url, "other.example.com").await, ask(&url, "rebound.example").await), (200, 421));
    serving.kill().await;
    let serving = setup.with([("ALLOWED_HOSTS", "any")]).serve().await;
    assert_eq!(ask(&serving.url("/api/latency"), "rebound.example").await, 200);
}

#[tokio::test]
async fn a_usage_endpoint_leads_to_no_metadata_address() {
    for to in
        ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[fe80::1]/", "//169.254.170.2/"]
    {
        let moved = response("302 Found", &format!("location: {to}\r\n"), "");
        let server = Scripted::start(vec![moved]).await;
        let refused = fetched(&server.url("/usage")).await;
        assert!(matches!(refused, Err(UsageError::Status { status: 302, .. })), "{to}: {refused:?}");
    }
    for url in ["http://169.254.169.254/usage", "https://[::ffff:169.254.169.254]/usage", "http://0xa9fea9fe/usage"] {
        let refused = fetched(url).await;
        assert!(matches!(refused, Err(UsageError::Forbidden { .. })), "{url}: {refused:?}");
    }
}

fn packed(parts: &[&[u8]]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    for part in parts {
        packer.write_all(part).expect("memory");
    }
    packer.finish().expect("memory")
}

#[tokio::test]
async fn a_packed_bomb_of_a_usage_endpoint_is_not_unpacked() {
    let bomb = packed(&[&vec![b' '; 32 * 1024 * 1024], b"[]"]);
    assert!(bomb.len() < 100 * 1024);
    let head = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let server = Scripted::start(vec![response("200 OK", head, &bomb)]).await;
    assert!(matches!(fetched(&server.url("/usage")).await, Err(UsageError::NotJson { .. })));
    // Nor is one that is small when it is unpacked.
    let small = Scripted::start(vec![response("200 OK", head, packed(&[b"[]"]))]).await;
    assert!(matches!(fetched(&small.url("/usage")).await, Err(UsageError::NotJson { .. })));
    assert!(!server.requests().concat().to_lowercase().contains("accept-encoding: gzip"), "none was asked for");
    let flood = vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), Step::Flood(vec![b' '; 64 * 1024])];
    let server = Scripted::start(flood).await;
    assert!(matches!(fetched(&server.url("/usage")).await, Err(UsageError::TooLarge)));
}

#[tokio::test]
async fn a_packed_bomb_of_an_llm_server_is_not_unpacked() {
    // To whoever unpacks it the last one is too large, and the one before a good answer, as the first is to everyone.
    let good = b"data: {\"choices\":[{\"delta\":{\"content\":\"ok\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let gzip = "content-encoding: gzip\r\n";
    for (body, encoding, kind) in [
        (good.to_vec(), "", Value::Null),
        (packed(&[good]), gzip, Value::from("malformed_response")),
        (packed(&[&vec![b' '; 32 * 1024 * 1024], good]), gzip, Value::from("malformed_response")),
    ] {
        let head = format!("content-type: text/event-stream\r\n{encoding}");
        let server = Scripted::start(vec![response("200 OK", &head, body)]).await;
        let (_usage, address) = Usage::start(r#"[{"llmCode":"gpt-a"}]"#).await;
        let setup = Setup::new().with([
            ("DEV_USAGE_ENDPOINT", format!("http://{address}/usage")),
            ("OPENAI_API_KEY", "sk-x-0123".to_owned()),
            ("OPENAI_BASE_URL", server.url("/v1")),
        ]);
        let ended = setup.run(&["cycle", "--json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stdout));
        assert_eq!(report["records"][0]["error_kind"], kind, "{report}");
        assert!(server.requests().concat().to_lowercase().contains("accept-encoding: identity"));
    }
}

/// Every path below `folder`, relative to it.
fn paths(folder: &Path, below: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(below).expect("a folder") {
        let path = entry.expect("an entry").path();
        found.push(path.strip_prefix(folder).expect("below").display().to_string());
        if path.is_dir() {
            paths(folder, &path, found);
        }
    }
}

#[tokio::test]
async fn models_names_lead_out_of_no_folder_and_to_no_other_path_of_a_server() {
    let names = [
        "../../../evil",
        "..",
        ".",
        "a/../../b",
        "..\\..\\evil",
        "%2e%2e%2fevil",
        "/etc/passwd",
        "a?b=c#d",
        "a\u{0}b",
        "a\r\nhost: evil",
    ];
    let list: Vec<Value> = names.iter().map(|name| serde_json::json!({"llmCode": name})).collect();
    let (_usage, address) = Usage::start(serde_json::to_vec(&list).expect("JSON")).await;
    for provider in ["openai", "gemini", "azure", "anthropic", "ollama"] {
        let server = Scripted::start(vec![response("404 Not Found", "", "{}")]).await;
        let base = server.url("/base");
        let outer = Setup::new();
        let inside = outer.folder().join("inside");
        fs::create_dir(&inside).expect("a folder");
        let csv = inside.join("latency_data.csv").display().to_string();
        let setup = outer.with([
            ("DEV_USAGE_ENDPOINT", format!("http://{address}/usage")),
            ("MODEL_PROVIDERS", format!("*={provider}")),
            ("LATENCY_DATA_CSV", csv),
            ("ENVIRONMENTS", "dev".to_owned()),
            ("OPENAI_API_KEY", "x".to_owned()),
            ("GEMINI_API_KEY", "x".to_owned()),
            ("ANTHROPIC_API_KEY", "x".to_owned()),
            ("AZURE_OPENAI_API_KEY", "x".to_owned()),
            ("OPENAI_BASE_URL", base.clone()),
            ("GEMINI_BASE_URL", base.clone()),
            ("ANTHROPIC_BASE_URL", base.clone()),
            ("AZURE_OPENAI_ENDPOINT", base.clone()),
            ("OLLAMA_BASE_URL", base),
        ]);
        let ended = setup.run(&["cycle"]).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let mut found = Vec::new();
        paths(setup.folder(), setup.folder(), &mut found);
        for path in &found {
            let is_ours = path == "inside" || path.starts_with("inside/latency_data");
            assert!(is_ours && !path.contains("evil") && !path.contains("passwd"), "{path}");
        }
        let requests = server.requests();
        assert!(!requests.is_empty(), "{provider}: {}", ended.stderr);
        for request in requests {
            let line = request.lines().next().unwrap_or_default().to_owned();
            assert!(line.starts_with("POST /base/") && line.ends_with(" HTTP/1.1"), "{line}");
            let path = line.split([' ', '?']).nth(1).unwrap_or_default();
            assert!(!path.split('/').any(|part| part == ".." || part == "."), "{line}");
            assert!(!request.to_lowercase().contains("\r\nhost: evil"), "{request}");
        }
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_ssl_cert_file_and_nothing_turns_verification_off() {
    let authority = Authority::new();
    let port = serve_tls(authority.acceptor("localhost")).await;
    let setup = || {
        Setup::new().with([
            ("DEV_USAGE_ENDPOINT", format!("https://localhost:{port}/usage")),
            ("OPENAI_API_KEY", "sk-x-0123".to_owned()),
            ("OPENAI_BASE_URL", format!("https://localhost:{port}/v1")),
            // What turns verification off elsewhere.
            ("NODE_TLS_REJECT_UNAUTHORIZED", "0".to_owned()),
            ("PYTHONHTTPSVERIFY", "0".to_owned()),
            ("SSL_VERIFY", "false".to_owned()),
            ("INSECURE", "1".to_owned()),
            ("GIT_SSL_NO_VERIFY", "1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    };
    let stranger = Authority::new();
    for (roots, trusted, why) in [
        (Some(authority.pem()), true, ""),
        (Some(stranger.pem()), false, "certificate"),
        (None, false, "/ca.pem'); install the system's CA certificates or set SSL_CERT_FILE"),
    ] {
        let setup = setup();
        let file = setup.folder().join("ca.pem");
        if let Some(roots) = roots {
            fs::write(&file, roots).expect("written");
        }
        let setup = setup.with([("SSL_CERT_FILE", file.display().to_string())]);
        let ended = setup.run(&["cycle", "--json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {}", ended.stderr));
        let records = report["records"].as_array().expect("records");
        let probed = records.iter().find(|record| record["provider"] == "openai").expect("a probe of the server");
        let (code, kind) = if trusted { (0, Value::Null) } else { (1, Value::from("tls")) };
        assert_eq!((ended.code, &probed["error_kind"]), (Some(code), &kind), "{report}");
        assert!(probed["error_message"].as_str().unwrap_or_default().contains(why), "{report}");
        // Named by the usage endpoint alone, which is asked by https as well.
        let is_listed = records.iter().any(|record| record["model_name"] == "gpt-of-the-usage-endpoint");
        assert_eq!(is_listed, trusted, "{report}");
    }
}

/// Every source file of the program.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).expect("UTF-8")));
        }
    }
}

#[test]
fn no_source_turns_verification_off_or_compares_a_secret_in_its_own_time() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in ["core/src", "local-runner/src", "functions"] {
        sources(&root.join(folder), &mut found);
    }
    assert!(found.len() > 100);
    for (path, text) in &found {
        for word in ["danger_accept_invalid", "dangerous()", "ServerCertVerifier", "tls_danger"] {
            assert!(!text.contains(word), "{path} has {word}: certificates are always verified");
        }
        let compared = text.lines().find(|line| {
            line.contains("expose_secret()") && (line.contains("==") || line.contains("!=") || line.contains(".eq("))
        });
        assert_eq!(compared, None, "{path}: secrets are compared by `subtle` alone");
    }
    let auth = fs::read_to_string(root.join("core/src/http/auth.rs")).expect("its source");
    assert!(auth.contains("use subtle::ConstantTimeEq") && auth.matches("ct_eq(").count() >= 2);
    let uses = auth.matches("token.expose_secret()").count();
    assert_eq!(uses, auth.matches("is_same(given.as_bytes(), token.expose_secret().as_bytes())").count());
}

#[tokio::test]
async fn nothing_that_was_sent_comes_back_as_a_page() {
    let mock = mock(&["gpt-a"]);
    let serving = Setup::new().with(mock.settings(&[Environment::dev()])).serve().await;
    let script = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        format!("/{script}"),
        format!("/assets/{script}"),
        format!("/api/latency?limit={script}"),
        format!("/api/latency?model={script}&environment={script}"),
        format!("/api/summary?group_by={script}"),
        format!("/api/models?environment={script}"),
        format!("/badge/dev/{script}?label={script}"),
        format!("/api/export?format={script}"),
        format!("/?{script}"),
    ] {
        let answer = client().get(serving.url(&path)).header("accept", "text/html").send().await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map_or("", |v| v.to_str().expect("ASCII")).to_owned();
        let (kind, policy) = (header("content-type"), header("content-security-policy"));
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-eval"), "{path}: {policy}");
        let body = answer.text().await.expect("text");
        let may_be_run = kind.contains("html") || kind.contains("svg") || kind.contains("xml");
        assert!(!may_be_run || !body.contains("<script>alert"), "{path} as {kind}: {body}");
    }
}
