//! AWS Lambda: one monitoring cycle per scheduled event.

mod event;
mod handler;
mod metrics;
mod time_left;

use std::process::ExitCode;

use lambda_runtime::{Runtime, service_fn};
use llm_monitor_function_runtime::{InvocationLayer, start};

use handler::Handler;

#[tokio::main]
async fn main() -> ExitCode {
    let run = async |handler: Handler| {
        let handler = &handler;
        Runtime::new(service_fn(|event| handler.handle(event))).layer(InvocationLayer).run().await
    };
    start(Handler::new, run).await
}
