//! Secrets by reference in the local runner, whose AWS variables may stand in `.env` alone.

use llm_monitor_core::record::Environment;
use secrecy::ExposeSecret as _;

use crate::support::{
    cloud::{mock, quick},
    monitor::Setup,
    moto,
};

/// A `.env` file that reads OpenAI's key from moto's Parameter Store; the process itself has no AWS variable. `None` where the tests
/// run against another server, which need not have one.
fn env_file() -> Option<String> {
    let server = moto::server();
    let (keys, endpoint) = (server.access.keys.as_ref()?, server.access.endpoint.as_ref()?);
    Some(format!(
        "OPENAI_API_KEY_PARAMETER=/llm-monitor/test/openai\nAWS_ENDPOINT_URL_SSM={endpoint}\nAWS_REGION=us-east-1\n\
         AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n",
        keys.id,
        keys.secret.expose_secret()
    ))
}

fn setup(env_file: &str) -> (Setup, llm_monitor::mock::MockServer) {
    let mock = mock([("gpt-4o-mini", quick())]);
    let mut variables = mock.settings(&[Environment::dev()]);
    variables.retain(|(name, _)| !name.ends_with("API_KEY"));
    let setup = Setup::new().with(variables);
    std::fs::write(setup.folder().join(".env"), env_file).expect("written");
    (setup, mock)
}

#[tokio::test]
async fn a_reference_works_with_the_aws_variables_of_the_env_file_alone() {
    let Some(env_file) = env_file() else { return };
    let (setup, mock) = setup(&env_file);
    let ended = setup.run(&["cycle"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(mock.answered(&Environment::dev(), "gpt-4o-mini"), 1);
}

#[tokio::test]
async fn a_reference_without_usable_aws_variables_is_refused_with_one_line() {
    let Some(env_file) = env_file() else { return };
    let without = |name: &str| {
        let kept = env_file.lines().filter(|line| !line.starts_with(name)).flat_map(|line| [line, "\n"]);
        kept.collect::<String>()
    };
    for (file, expected) in [
        (
            without("AWS_SECRET_ACCESS_KEY"),
            "OPENAI_API_KEY_PARAMETER could not be read: AWS_SECRET_ACCESS_KEY is not set: expected the secret",
        ),
        (
            env_file.replace("/llm-monitor/test/openai", "/llm-monitor/test/none"),
            "OPENAI_API_KEY_PARAMETER=\"/llm-monitor/test/none\": expected the name of a parameter that there is in",
        ),
        (
            without("AWS_ENDPOINT_URL_SSM") + "AWS_ENDPOINT_URL=http://user:geheim@127.0.0.1:1/\n",
            "OPENAI_API_KEY_PARAMETER could not be read: http://127.0.0.1:1/ cannot be reached",
        ),
    ] {
        let (setup, mock) = setup(&file);
        let ended = setup.run(&["cycle"]).await;
        assert_eq!(ended.code, Some(2), "{}", ended.stdout);
        assert!(ended.stderr.contains(expected), "{expected} is missing in\n{}", ended.stderr);
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
        assert!(mock.requests().is_empty(), "no probe is sent");
    }
}
