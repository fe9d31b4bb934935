//! `llm-monitor mock`.

use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use llm_monitor_core::record::Environment;

use super::{DemandedKey, Mock, MockConfig, MockServer};
use crate::signals;

const EXAMPLES: &str = "\
Examples:
  llm-monitor mock
      Port 8001, where the monitor looks for its usage endpoint by default. The lines it prints are the variables to set.
  llm-monitor mock --print-config > mock.json
      The built-in models and environments as a file to start from.
  llm-monitor mock --config mock.json --listen 127.0.0.1:0
      Your own, on a free port.
  curl 'http://127.0.0.1:8001/prod/api/llm-usage?date=2026-11-24'
  curl -N http://127.0.0.1:8001/qa/openai/v1/chat/completions -H 'content-type: application/json' \\
      -d '{\"model\":\"gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'

Paths, for any environment:
  GET  /{environment}/api/llm-usage?date=YYYY-MM-DD       (bare /api/llm-usage is dev)
  POST /{environment}/openai/v1/chat/completions          (bare /v1/chat/completions is dev; serves every model)
  POST /{environment}/azure/openai/deployments/{model}/chat/completions?api-version=...
  POST /{environment}/anthropic/v1/messages
  POST /{environment}/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse
  POST /{environment}/ollama/api/chat

Configuration file (JSON; all but a model's `provider` and a failure's `kind` may be left out): per model `provider`, `served_as`, \
rates, usual use and `behaviour`: ttft_ms, headers_ms, pace_ms, jitter, output_tokens, reasoning_tokens, reasoning_visible, \
chunk_tokens, cached_tokens, load_ms, refuse_stream_options and `failures`, a list of {kind, rate or every} and, where they fit the \
kind, retry_after_s, after_tokens, delay_ms; per environment `time_factor`, `usage_factor`, `failures`, `without` and, by model, \
behaviour that differs. Kinds of failure: rate_limited, server_error, unavailable, overloaded, stall, cut, error_event, empty, \
slow_headers, malformed, html_page.";

/// An embedded usage endpoint and LLM server, to try everything with no key and no internet.
///
/// It speaks the wire formats of OpenAI, Azure, Anthropic, Gemini and Ollama, really streams, and fails on purpose, differently
/// in each environment. The same seed gives the same run.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8001, or what the file says]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Models, environments and failures, instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Draw other delays and failures than the usual ones
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Demand this key of every LLM request; without it any key will do, and none
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Demand this bearer token of every usage request
    #[arg(long, value_name = "TOKEN")]
    usage_token: Option<String>,
    /// Print the configuration as JSON (a key and a token with it), and start nothing
    #[arg(long)]
    print_config: bool,
}

/// Serves until SIGINT (Ctrl-C) or SIGTERM.
pub async fn run(args: Args) -> Result<()> {
    let prints = args.print_config;
    let config = configuration(args)?;
    if prints {
        return print(&format!("{}\n", config.to_json()));
    }
    let stop = signals::stop_on_signal()?;
    let wants_key = config.api_key.is_some();
    let environments = config.environment_names();
    let server = Mock::start(config)?;
    print(&announcement(&server, &environments, wants_key))?;
    stop.cancelled().await;
    server.stop();
    Ok(())
}

fn configuration(args: Args) -> Result<MockConfig> {
    let mut config = match &args.config {
        None => MockConfig::built_in()?,
        Some(path) => {
            let json = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            MockConfig::from_json(&json).with_context(|| format!("in {}", path.display()))?
        }
    };
    config.listen = args.listen.unwrap_or(config.listen);
    config.seed = args.seed.unwrap_or(config.seed);
    config.api_key = args.api_key.map(DemandedKey::new).or(config.api_key);
    config.usage_token = args.usage_token.map(DemandedKey::new).or(config.usage_token);
    Ok(config)
}

fn announcement(server: &MockServer, environments: &[Environment], wants_key: bool) -> String {
    let mut text = format!("Mock usage endpoint and LLM server on http://{} (Ctrl-C stops it).\n", server.addr());
    text.push_str("To monitor it, set these variables (or put them into .env) and run `llm-monitor serve`:\n\n");
    for (name, value) in server.settings(environments) {
        // The key that is demanded is not repeated on the screen.
        let value = if wants_key && name.ends_with("_API_KEY") { "(the key it demands)".to_owned() } else { value };
        for part in [&name, "=", &value, "\n"] {
            text.push_str(part);
        }
    }
    text.push('\n');
    text
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to the standard output")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Program::try_parse_from([&["mock"], words].concat()).unwrap().args
    }

    #[test]
    fn arguments_win_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mock.json");
        fs::write(&path, r#"{"listen":"127.0.0.1:9","seed":5,"models":{"m":{"provider":"openai"}}}"#).unwrap();
        let path = path.to_str().unwrap();
        let config = configuration(args(&["--config", path, "--listen", "127.0.0.1:0"])).unwrap();
        assert_eq!((config.listen.port(), config.seed, config.models.len()), (0, 5, 1));
        let error = configuration(args(&["--config", "/nowhere/mock.json"])).unwrap_err();
        assert!(error.to_string().contains("/nowhere/mock.json"), "{error}");
    }

    #[test]
    fn the_announcement_holds_the_variables_but_not_the_key() {
        let mut config = configuration(args(&["--listen", "127.0.0.1:0", "--api-key", "sk-demanded"])).unwrap();
        assert!(!format!("{config:?}").contains("sk-demanded"));
        let environments = config.environment_names();
        config.models.clear();
        config.environments.clear();
        let server = Mock::start(config).unwrap();
        let text = announcement(&server, &environments, true);
        let address = server.addr();
        for line in [
            "MULTI_ENV_MODE=full".to_owned(),
            "ENVIRONMENTS=dev,test,qa,prod".to_owned(),
            format!("DEV_USAGE_ENDPOINT=http://{address}/dev/api/llm-usage"),
            format!("PROD_OPENAI_BASE_URL=http://{address}/prod/openai/v1"),
            format!("QA_OLLAMA_BASE_URL=http://{address}/qa/ollama"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("sk-demanded"));
    }
}
