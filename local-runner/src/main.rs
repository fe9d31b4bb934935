//! The `llm-monitor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    llm_monitor::run()
}
