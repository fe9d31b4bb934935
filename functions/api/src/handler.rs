use std::convert::Infallible;

use axum::{Router, response::Response};
use lambda_http::{Error, Request, Service};
use llm_monitor_core::{
    http::router,
    parameters::Parameters,
    parts::{self, PartsError},
    settings::{Host, Settings},
};
use tokio::sync::Mutex;
use tracing::warn;

use crate::stage;

/// Answers requests. One per process.
#[derive(Debug)]
pub(crate) struct Handler {
    parameters: Parameters,
    router: Mutex<Router>,
}

impl Handler {
    /// Checks the settings; the store's client is made by the first request.
    pub(crate) async fn new(parameters: Parameters) -> Result<Self, Error> {
        let settings = Settings::from_vars(&parameters.resolve().await?, Host::Lambda)?;
        let router = Mutex::new(make_router(&settings).await?);
        Ok(Self { parameters, router })
    }

    pub(crate) async fn handle(&self, request: Request) -> Result<Response, Infallible> {
        let mut router = self.router().await;
        router.call(stage::strip(request)).await
    }

    async fn router(&self) -> Router {
        let mut router = self.router.lock().await;
        if let Some(vars) = self.parameters.changed().await {
            match remade(&vars).await {
                Ok(new) => *router = new,
                Err(error) => warn!(%error, "a changed secret cannot be used: {error}; the old ones are used"),
            }
        }
        router.clone()
    }
}

async fn remade(vars: &llm_monitor_core::settings::Vars) -> Result<Router, Error> {
    Ok(make_router(&Settings::from_vars(vars, Host::Lambda)?).await?)
}

async fn make_router(settings: &Settings) -> Result<Router, PartsError> {
    let store = parts::open_store(settings).await?;
    Ok(router(parts::api(settings, store, None)))
}
