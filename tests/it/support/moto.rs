//! An independent S3 server: moto, which checks signatures. Or the one that `S3_TEST_ENDPOINT` names.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use llm_monitor_core::aws::{AwsAccess, AwsKeys};

/// How to reach a server, and an empty bucket there.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) access: AwsAccess,
    pub(crate) bucket: String,
    /// Ends when its standard input does: with this process.
    _process: Option<Child>,
}

/// The server that `S3_TEST_ENDPOINT` names (with `S3_TEST_BUCKET`, default `llm-monitor-test`, and the AWS SDK's own
/// variables), else moto, started once for all tests.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| named().unwrap_or_else(start))
}

fn named() -> Option<Server> {
    let endpoint = std::env::var("S3_TEST_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty())?;
    let endpoint = Some(endpoint.parse().expect("S3_TEST_ENDPOINT is a URL"));
    let bucket = std::env::var("S3_TEST_BUCKET").unwrap_or_else(|_| "llm-monitor-test".to_owned());
    Some(Server { access: AwsAccess { endpoint, ..AwsAccess::default() }, bucket, _process: None })
}

fn start() -> Server {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let services = Command::new("bash").arg(tests.join("services.sh")).stderr(Stdio::inherit()).output();
    let services = services.expect("bash runs tests/services.sh");
    assert!(
        services.status.success(),
        "tests/services.sh could not install moto: python3 with venv and PyPI are needed"
    );
    let venv = String::from_utf8(services.stdout).expect("a path");
    let python = tests.join("..").join(venv.trim()).join("bin/python");
    let mut process = Command::new(&python)
        .arg(tests.join("moto/serve.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be started: {error}", python.display()));
    let mut ready = String::new();
    BufReader::new(process.stdout.take().expect("piped")).read_line(&mut ready).expect("moto says where it is");
    let ready: serde_json::Value = serde_json::from_str(&ready).expect("moto started and printed JSON");
    let field = |name: &str| ready[name].as_str().expect("a text").to_owned();
    let keys = AwsKeys { id: field("access_key_id"), secret: field("secret_access_key").into(), session_token: None };
    let access = AwsAccess {
        endpoint: Some(field("endpoint").parse().expect("a URL")),
        region: Some("us-east-1".to_owned()),
        profile: None,
        keys: Some(keys),
    };
    Server { access, bucket: field("bucket"), _process: Some(process) }
}
