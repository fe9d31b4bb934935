//! AWS Lambda: the HTTP API, over the store that the monitor writes.

use lambda_http::{Error, run};
use llm_monitor_core::{
    http::router,
    parts,
    settings::{Host, Settings, Vars},
    telemetry::{self, LogFormat},
};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let vars = Vars::from_process();
    telemetry::init(LogFormat::Json, vars.get("RUST_LOG").unwrap_or("info"));
    let settings = Settings::from_vars(&vars, Host::Lambda)?;
    let store = parts::open_store(&settings).await?;
    run(router(parts::api(&settings, store, None))).await
}
