//! A function that panics when its event says so: what the tests show a panic's end by.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use llm_monitor_function_runtime::{Error, InvocationLayer, start};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> ExitCode {
    start(
        async |_| Ok(()),
        async |()| {
            let handle = async |event: LambdaEvent<Value>| {
                assert!(event.payload.get("panic").is_none(), "as the event says");
                Ok::<_, Error>(json!({}))
            };
            Runtime::new(service_fn(handle)).layer(InvocationLayer).run().await
        },
    )
    .await
}
