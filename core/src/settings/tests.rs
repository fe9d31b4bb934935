use secrecy::ExposeSecret;

use super::*;
use crate::{
    provider::Provider,
    store::{AppendMode, Encryption},
};

fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_vars(&pairs.iter().copied().collect(), Host::Local)
}

fn problems(pairs: &[(&str, &str)]) -> String {
    settings(pairs).expect_err("these settings are unusable").to_string()
}

#[test]
fn with_nothing_set_the_predecessors_defaults_hold() {
    let settings = settings(&[]).expect("defaults are usable");
    assert_eq!(settings.monitoring.mode, Mode::Simple);
    let names: Vec<_> = settings.environments().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["dev", "test", "qa", "prod"]);
    let [dev] = settings.monitoring.measured.as_slice() else { panic!("simple mode measures one environment") };
    assert_eq!(dev.usage.url.as_str(), "http://localhost:8001/api/llm-usage");
    let derived: Vec<_> =
        settings.monitoring.derived.iter().map(|v| format!("{} {}", v.environment, v.fraction)).collect();
    assert_eq!(derived, ["test 0.05", "qa 0.10", "prod 0.15"]);
    assert_eq!((settings.monitoring.interval.as_secs(), settings.monitoring.timeout.as_secs()), (60, 30));
    assert_eq!(settings.serving.listen, "127.0.0.1:8000");
    assert_eq!(settings.serving.cors, Cors::Loopback);
}

#[test]
fn every_problem_is_named_at_once_with_variable_value_and_what_is_accepted() {
    let text = problems(&[
        ("MULTI_ENV_MODE", "both"),
        ("MONITOR_INTERVAL", "1m"),
        ("ENVIRONMENTS", "dev,dev"),
        ("LISTEN", "8000"),
        ("MODEL_PROVIDERS", "x=mistral"),
        ("STORE", "s3"),
    ]);
    for expected in [
        "MULTI_ENV_MODE=\"both\": expected simple or full",
        "MONITOR_INTERVAL=\"1m\": expected whole seconds",
        "ENVIRONMENTS=\"dev,dev\": expected unique names",
        "LISTEN=\"8000\": expected HOST:PORT",
        "MODEL_PROVIDERS=\"x=mistral\": expected pattern=provider",
        "RECORDS_BUCKET is not set",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert_eq!(text.lines().count(), 6);
}

#[test]
fn an_unusable_environment_and_a_missing_key_hide_no_other_problem() {
    let text = problems(&[
        ("ENVIRONMENT", "staging"),
        ("DEV_USAGE_ENDPOINT", "ftp://usage/"),
        ("OPENAI_BASE_URL", "api.openai.com"),
        ("ANTHROPIC_API_KEY", "two\nlines"),
    ]);
    for expected in [
        "ENVIRONMENT=\"staging\": expected the environment to measure, one of dev, test, qa, prod",
        "DEV_USAGE_ENDPOINT=\"ftp://usage/\": expected an http",
        "OPENAI_BASE_URL=\"api.openai.com\": expected an http",
        "ANTHROPIC_API_KEY=\"***\"",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn a_variation_of_no_environment_is_refused() {
    assert!(problems(&[("ENVIRONMENT_VARIATIONS", "tets:0.05")]).contains("ENVIRONMENT_VARIATIONS=\"tets:0.05\""));
    let settings = settings(&[("ENVIRONMENTS", "dev,eu"), ("ENVIRONMENT_VARIATIONS", "eu:0.2")]).expect("usable");
    let derived: Vec<_> =
        settings.monitoring.derived.iter().map(|v| format!("{} {}", v.environment, v.fraction)).collect();
    assert_eq!(derived, ["eu 0.2"]);
}

#[test]
fn full_mode_needs_a_usage_endpoint_for_each_environment() {
    let text = problems(&[("MULTI_ENV_MODE", "FULL"), ("QA_USAGE_ENDPOINT", "http://qa/usage")]);
    assert!(
        text.contains("TEST_USAGE_ENDPOINT is not set") && text.contains("PROD_USAGE_ENDPOINT is not set"),
        "{text}"
    );
    assert!(!text.contains("QA_") && !text.contains("DEV_"), "{text}");
}

#[test]
fn an_environments_own_key_and_base_url_win_over_the_plain_ones() {
    let settings = settings(&[
        ("ENVIRONMENTS", "dev,prod-eu"),
        ("ENVIRONMENT", "Prod-EU"),
        ("PROD_EU_USAGE_ENDPOINT", "http://usage/"),
        ("PROD_EU_OPENAI_API_KEY", "own"),
        ("OPENAI_API_KEY", "plain"),
        ("OPENAI_API_BASE", "http://gateway/v1"),
        ("ANTHROPIC_API_KEY", ""),
    ])
    .expect("usable");
    let [prod] = settings.monitoring.measured.as_slice() else { panic!("one environment is measured") };
    let openai = prod.accesses.get(&Provider::OpenAi).expect("a key is set");
    assert_eq!(openai.api_key.as_ref().map(ExposeSecret::expose_secret), Some("own"));
    assert_eq!(openai.base_url.as_str(), "http://gateway/v1");
    assert!(!prod.accesses.contains_key(&Provider::Anthropic), "an empty key is no key");
    assert!(prod.accesses.contains_key(&Provider::Ollama), "Ollama needs no key");
}

#[test]
fn an_environment_called_azure_does_not_take_azures_key_for_openais() {
    let settings = settings(&[
        ("ENVIRONMENTS", "azure"),
        ("ENVIRONMENT", "azure"),
        ("AZURE_USAGE_ENDPOINT", "http://usage/"),
        ("AZURE_OPENAI_API_KEY", "azures"),
        ("OPENAI_API_KEY", "plain"),
    ])
    .expect("usable");
    let [azure] = settings.monitoring.measured.as_slice() else { panic!("one environment is measured") };
    let openai = azure.accesses.get(&Provider::OpenAi).expect("a key is set");
    assert_eq!(openai.api_key.as_ref().map(ExposeSecret::expose_secret), Some("plain"));
}

#[test]
fn no_secret_shows_in_a_problem_or_in_debug() {
    let text = problems(&[
        ("OPENAI_API_KEY", "sk-geheim\u{e9}"),
        ("DEV_USAGE_ENDPOINT", "htp://user:geheim@host/"),
        ("API_TOKEN", "geheim\u{1}"),
    ]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("geheim"), "{text}");
    let vars: Vars = [("OPENAI_API_KEY", "sk-geheim"), ("API_TOKEN", "geheim")].into_iter().collect();
    let settings = Settings::from_vars(&vars, Host::Local).expect("usable");
    assert!(!format!("{vars:?} {settings:?}").contains("geheim"));
}

#[test]
fn a_real_variable_wins_over_the_file() {
    let process: Vars = [("MONITOR_INTERVAL", "5")].into_iter().collect();
    let (file, _) = dotenv::parse("MONITOR_INTERVAL=9\nLLM_API_TIMEOUT=2.5", &process);
    let settings = Settings::from_vars(&process.or(file), Host::Local).expect("usable");
    assert_eq!(settings.monitoring.interval.as_secs(), 5);
    assert_eq!(settings.monitoring.timeout.as_millis(), 2500);
}

#[test]
fn output_limits_may_differ_by_model() {
    let settings = settings(&[("PROBE_MAX_OUTPUT_TOKENS", "64, o4-*=1024")]).expect("usable");
    let limits = settings.probing.max_output_tokens;
    assert_eq!((limits.of("gpt-4o"), limits.of("o4-mini")), (64, 1024));
    assert!(problems(&[("PROBE_MAX_OUTPUT_TOKENS", "0")]).contains("PROBE_MAX_OUTPUT_TOKENS=\"0\""));
}

#[test]
fn an_s3_store_is_set_by_our_variables_and_the_aws_sdks_own() {
    let pairs = [
        ("STORE", "s3"),
        ("RECORDS_BUCKET", "latency"),
        ("RECORDS_PREFIX", "/team/a/"),
        ("RECORDS_APPEND", "objects"),
        ("RECORDS_SSE", "aws:kms"),
        ("RECORDS_KMS_KEY_ID", "alias/records"),
        ("PROBE_LOCATION", "home"),
        ("AWS_ENDPOINT_URL", "http://other:1"),
        ("AWS_ENDPOINT_URL_S3", "http://minio:9000"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let found = settings(&pairs).expect("these settings are usable");
    let StoreSettings::S3(s3) = found.storing.store else { panic!("the store is S3") };
    assert_eq!((&*s3.bucket, &*s3.prefix, &*s3.writer), ("latency", "team/a", "home"));
    assert_eq!(s3.append, AppendMode::Objects);
    assert_eq!(s3.encryption, Some(Encryption::Kms { key_id: Some("alias/records".to_owned()) }));
    assert_eq!(s3.access.endpoint.as_ref().map(url::Url::as_str), Some("http://minio:9000/"));
    assert_eq!(s3.access.region.as_deref(), Some("eu-west-1"));
    assert_eq!(s3.access.keys.as_ref().map(|keys| keys.secret.expose_secret()), Some("secret"));
    assert!(!format!("{s3:?}").contains("secret\""), "{s3:?}");
}

#[test]
fn unusable_s3_settings_are_named() {
    let text = problems(&[
        ("STORE", "s3"),
        ("RECORDS_BUCKET", "latency"),
        ("RECORDS_APPEND", "cas"),
        ("RECORDS_SSE", "AES256"),
        ("RECORDS_KMS_KEY_ID", "alias/records"),
        ("AWS_ENDPOINT_URL_S3", "minio:9000"),
        ("AWS_ACCESS_KEY_ID", "id"),
    ]);
    for expected in [
        "RECORDS_APPEND=\"cas\": expected auto, swap or objects",
        "RECORDS_KMS_KEY_ID=\"alias/records\": expected nothing, or RECORDS_SSE=aws:kms beside it",
        "AWS_ENDPOINT_URL_S3=\"minio:9000\": expected an http:// or https:// URL",
        "AWS_SECRET_ACCESS_KEY is not set: expected the secret that belongs to AWS_ACCESS_KEY_ID",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn days_move_and_are_kept_for_ever_unless_set_otherwise() {
    let options = |pairs: &[(&str, &str)]| {
        let options = settings(pairs).expect("usable").storing.file_options;
        (options.rotate, options.retention_days)
    };
    assert_eq!(options(&[]), (true, None));
    assert_eq!(options(&[("LATENCY_DATA_ROTATE", "off")]), (false, None));
    assert_eq!(options(&[("RETENTION_DAYS", "30")]), (true, Some(30)));
    let text = problems(&[("LATENCY_DATA_ROTATE", "off"), ("RETENTION_DAYS", "30")]);
    assert!(text.contains("RETENTION_DAYS=\"30\": expected nothing with LATENCY_DATA_ROTATE=off"), "{text}");
    let text = problems(&[("LATENCY_DATA_ROTATE", "yes"), ("RETENTION_DAYS", "0")]);
    assert!(text.contains("LATENCY_DATA_ROTATE=\"yes\": expected on or off"), "{text}");
    assert!(text.contains("RETENTION_DAYS=\"0\": expected whole days, 1 to 36500"), "{text}");
    assert_eq!(settings(&[("MEMORY_LIMIT_MB", "256")]).expect("usable").storing.memory_limit_mb, 256);
    let text = problems(&[("MEMORY_LIMIT_MB", "64MB")]);
    assert!(text.contains("MEMORY_LIMIT_MB=\"64MB\": expected whole megabytes (MiB), 8 to 65536"), "{text}");
    let text = problems(&[("STORE", "s3"), ("RECORDS_BUCKET", "latency"), ("RETENTION_DAYS", "30")]);
    assert!(text.contains("RETENTION_DAYS=\"30\": expected nothing with STORE=s3"), "{text}");
}
