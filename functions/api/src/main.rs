//! AWS Lambda: the HTTP API, over the store that the monitor writes.

mod handler;
mod stage;

use std::process::ExitCode;

use lambda_http::{Adapter, lambda_runtime::Runtime, service_fn};
use llm_monitor_function_runtime::{InvocationLayer, start};

use handler::Handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let run = async |handler: Handler| {
        let handler = &handler;
        Runtime::new(Adapter::from(service_fn(|request| handler.handle(request)))).layer(InvocationLayer).run().await
    };
    start(Handler::new, run).await
}
