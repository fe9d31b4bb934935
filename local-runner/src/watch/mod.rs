//! `watch`: the matrix of models and environments, live in the terminal, from a running server's API.

mod answers;
mod board;
mod client;
mod draw;
mod line;
mod screen;
mod state;

use std::{convert::Infallible, pin::pin, process::ExitCode, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use clap::value_parser;
use llm_monitor_core::settings::Vars;
use secrecy::SecretString;
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use self::{
    answers::Snapshot,
    board::Board,
    client::{AskError, Client},
    draw::Scene,
    screen::Screen,
};
use crate::{signals, wiring::StartError};

/// The server cannot be asked.
const UNREACHABLE: u8 = 2;
/// Between drawings, so that ages go on and a new size of the window is met.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server: `llm-monitor serve`, or the address of the API function
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000", value_parser = base_url)]
    url: Url,
    /// Print the matrix once and exit
    #[arg(long)]
    once: bool,
    /// How far back the figures look: 30m, 1h, 7d, …
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = span)]
    window: Span,
    /// Seconds between questions
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// For a server that wants its API_TOKEN [default: the variable API_TOKEN, which other users of this machine cannot see]
    #[arg(long, value_name = "TOKEN", value_parser = secret)]
    token: Option<SecretString>,
}

/// A length of time, and the text it was given as.
#[derive(Debug, Clone)]
struct Span {
    text: String,
    length: TimeDelta,
}

/// What has become known so far.
#[derive(Debug, Default)]
struct Known {
    answers: Option<(Snapshot, Instant)>,
    silence: Option<(DateTime<Utc>, AskError)>,
}

/// `vars`: those of the process and the `.env` file.
pub(crate) async fn run(vars: &Vars, args: Args) -> Result<ExitCode, StartError> {
    let stop = signals::stop_on_signal()?;
    let token = args.token.or_else(|| vars.get("API_TOKEN").map(SecretString::from));
    let client = Client::new(args.url, token);
    let url = client.shown_url();
    let screen = Screen::new(args.once, vars.get("TERM"), vars.get("NO_COLOR"));
    let mut known = Known::default();
    let draw = |known: &Known| screen.draw(&draw::render(&known.scene(&url, &args.window.text), screen.room()));
    if screen.is_live() {
        draw(&known);
    }
    let mut redraw = tokio::time::interval(REDRAWN_EVERY);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut question = pin!(client.snapshot(args.window.length));
        let answer = loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(known.exit_code()),
                answer = &mut question => break answer,
                _ = redraw.tick(), if screen.is_live() => draw(&known),
            }
        };
        known.take(answer);
        draw(&known);
        if args.once {
            return Ok(known.exit_code());
        }
        let next = Instant::now() + Duration::from_secs(args.interval);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(known.exit_code()),
                () = tokio::time::sleep_until(next) => break,
                _ = redraw.tick(), if screen.is_live() => draw(&known),
            }
        }
    }
}

impl Known {
    fn take(&mut self, answer: Result<Snapshot, AskError>) {
        match answer {
            Ok(snapshot) => *self = Self { answers: Some((snapshot, Instant::now())), silence: None },
            Err(error) => {
                let since = self.silence.as_ref().map_or_else(Utc::now, |(since, _)| *since);
                self.silence = Some((since, error));
            }
        }
    }

    fn scene<'a>(&'a self, url: &'a str, window: &'a str) -> Scene<'a> {
        let elapsed = |since: &Instant| TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX);
        Scene {
            url,
            window,
            known: self.answers.as_ref().map(|(snapshot, at)| (snapshot, elapsed(at))),
            silence: self.silence.as_ref().map(|(since, error)| (*since, error)),
            now: Utc::now(),
        }
    }

    /// 0: all is known to work; 1: it is not; 2: the server cannot be asked.
    fn exit_code(&self) -> ExitCode {
        match (&self.answers, &self.silence) {
            (_, Some(_)) | (None, None) => ExitCode::from(UNREACHABLE),
            (Some((snapshot, _)), None) if Board::new(snapshot, TimeDelta::zero(), false).is_well() => {
                ExitCode::SUCCESS
            }
            (Some(_), None) => ExitCode::from(1),
        }
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let mut url: Url = text.parse().map_err(|error| format!("{error}; expected a URL like http://127.0.0.1:8000"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("expected a URL that begins with http:// or https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("expected a URL without user name and password; a token goes into API_TOKEN".to_owned());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn span(text: &str) -> Result<Span, String> {
    let expected = || "expected a whole number and a unit from 1m to 366d, like 30m, 1h or 7d".to_owned();
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(expected)?;
    let minutes = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(expected()),
    };
    let number: i64 = digits.parse().map_err(|_| expected())?;
    let length =
        number.checked_mul(minutes).filter(|minutes| (1..=366 * 24 * 60).contains(minutes)).ok_or_else(expected)?;
    Ok(Span {
        text: format!("{number} {}", if unit == "m" { "min" } else { unit }),
        length: TimeDelta::minutes(length),
    })
}

// The type is clap's: a parser may fail.
#[allow(clippy::unnecessary_wraps)]
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_number_and_a_unit() {
        let minutes = |text| span(text).map(|span| span.length.num_minutes()).ok();
        assert_eq!(["30m", "1h", "7d"].map(minutes), [Some(30), Some(60), Some(7 * 24 * 60)]);
        for wrong in ["", "h", "0h", "-1h", "1", "1w", "367d", "1.5h", "9999999999999999999d", "1é"] {
            assert_eq!(minutes(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_server_is_named_by_a_url_without_secrets() {
        assert_eq!(base_url("https://h/stage?key=1#x").map(String::from), Ok("https://h/stage".to_owned()));
        for wrong in ["127.0.0.1:8000", "ftp://h", "http://user:pass@h/", "unix:/run/x"] {
            assert!(base_url(wrong).is_err(), "{wrong:?}");
        }
    }
}
