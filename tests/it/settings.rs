//! Unusable settings: exit 2, every problem named, no secret shown.

use llm_monitor_core::{
    provider::{Provider, Variables},
    settings::{Host, Settings, Vars, dotenv},
};

use crate::support::monitor::Setup;

#[tokio::test]
async fn every_unusable_setting_is_named_at_once() {
    let setup = Setup::new().with([
        ("MONITOR_INTERVAL", "soon"),
        ("MULTI_ENV_MODE", "both"),
        ("OPENAI_API_KEY", "sk-geheim\u{e9}"),
    ]);
    for command in ["serve", "cycle", "check"] {
        let ended = setup.run(&[command]).await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        for expected in
            ["MONITOR_INTERVAL=\"soon\": expected whole seconds", "MULTI_ENV_MODE=\"both\"", "OPENAI_API_KEY=\"***\""]
        {
            assert!(ended.stderr.contains(expected), "{command}: {expected} is missing in\n{}", ended.stderr);
        }
        assert!(!ended.stderr.contains("geheim"));
    }
    assert!(!setup.csv_path().exists(), "nothing was written");
}

#[tokio::test]
async fn the_env_file_is_read_and_real_variables_win() {
    let setup = Setup::new().with([("MONITOR_INTERVAL", "7")]);
    std::fs::write(setup.folder().join(".env"), "MONITOR_INTERVAL=bad\nLLM_API_TIMEOUT=never\n").expect("written");
    let ended = setup.run(&["check"]).await;
    assert!(ended.stderr.contains("LLM_API_TIMEOUT=\"never\""), "{}", ended.stderr);
    assert!(!ended.stderr.contains("MONITOR_INTERVAL"), "{}", ended.stderr);
}

#[tokio::test]
async fn an_env_file_that_was_named_must_be_there() {
    let ended = Setup::new().run(&["check", "--env-file", "prod.env"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("cannot read prod.env"), "{}", ended.stderr);
}

/// The variable of a line like `#NAME=value`.
fn documented(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_').then_some((name, value))
}

#[test]
fn every_line_of_the_example_file_is_usable_as_it_stands() {
    let text = include_str!("../../.env.example");
    let uncommented: Vec<&str> =
        text.lines().filter(|line| documented(line).is_some()).filter_map(|line| line.strip_prefix('#')).collect();
    assert!(uncommented.len() > 35, "{} lines", uncommented.len());
    let (vars, bad) = dotenv::parse(&uncommented.join("\n"), &Vars::default());
    assert!(bad.is_empty(), "{bad:?}");
    Settings::from_vars(&vars, Host::Local).expect("the documented values are usable");
}

#[test]
fn every_setting_is_in_the_example_file() {
    let text = include_str!("../../.env.example");
    let names: Vec<&str> = text.lines().filter_map(documented).map(|(name, _)| name).collect();
    for provider in Provider::ALL {
        let Variables { key, base_url, api_version, .. } = provider.wire().variables();
        for variable in key.into_iter().chain(base_url.iter().copied()).chain(api_version) {
            assert!(text.contains(variable), "{variable} of {provider} is missing in .env.example");
        }
    }
    let mut found = 0;
    for file in ["monitoring", "probing", "providers", "serving", "storing"] {
        let path = format!("{}/../core/src/settings/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).expect("the settings' source");
        let quoted = source.split('"').skip(1).step_by(2);
        let variables =
            quoted.filter(|text| text.len() > 4 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        for variable in variables.filter(|name| !name.starts_with("AWS_") && !name.starts_with('_')) {
            found += 1;
            assert!(
                names.contains(&variable) || text.contains(variable),
                "{variable} (settings/{file}.rs) is missing in .env.example"
            );
        }
    }
    assert!(found > 20, "{found} variables in the sources");
}
