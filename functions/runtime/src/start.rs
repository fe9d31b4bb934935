use std::{future::Future, panic::PanicHookInfo, process::ExitCode};

use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use llm_monitor_core::{
    parameters::Parameters,
    settings::Vars,
    telemetry::{self, LogFormat},
};
use serde_json::json;

/// Why a function cannot start or go on, in words for a person.
pub type Error = lambda_runtime::Error;

const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";

/// Runs a function: logs, panics into the log, then `init` once, then `run` with what it made.
///
/// What `init` refuses is logged and reported to Lambda, which shows it as the answer to whoever invoked the function.
pub async fn start<T, I, R>(init: impl FnOnce(Parameters) -> I, run: impl FnOnce(T) -> R) -> ExitCode
where
    I: Future<Output = Result<T, Error>>,
    R: Future<Output = Result<(), Error>>,
{
    let vars = Vars::from_process();
    telemetry::init(LogFormat::Json, vars.get("RUST_LOG").unwrap_or("info"));
    std::panic::set_hook(Box::new(log_panic));
    if vars.get("AWS_LAMBDA_RUNTIME_API").is_none() {
        eprintln!(
            "This is an AWS Lambda function: deploy it, or try it with `cargo lambda watch` (see docs/DEPLOY.md)."
        );
        return ExitCode::from(2);
    }
    let ended = match init(Parameters::new(vars)).await {
        Ok(parts) => run(parts).await,
        Err(error) => {
            report(&error).await;
            Err(error)
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn report(error: &Error) {
    let body = json!({"errorType": "Runtime.InitError", "errorMessage": error.to_string()}).to_string();
    let request = build_request()
        .method("POST")
        .uri(INIT_ERROR)
        .header("lambda-runtime-function-error-type", "Runtime.InitError")
        .body(Body::from(body));
    let Ok(request) = request else { return };
    if let Err(error) = PooledClient::builder().build().call(request).await {
        tracing::error!(%error, "Lambda could not be told: {error}");
    }
}

/// One line, as everything else: by default a panic prints several, which a log of lines takes apart.
fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("no message");
    tracing::error!(place, "panicked at {place}: {message}");
}
