use std::convert::Infallible;

use axum::{Router, response::Response};
use lambda_http::{Error, Request, Service};
use llm_monitor_core::{
    http::router,
    parameters::Parameters,
    parts,
    settings::{Host, Settings, Vars},
    store::StoreError,
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

async fn remade(vars: &Vars) -> Result<Router, Error> {
    Ok(make_router(&Settings::from_vars(vars, Host::Lambda)?).await?)
}

async fn make_router(settings: &Settings) -> Result<Router, StoreError> {
    let store = parts::open_store(settings).await?;
    Ok(router(parts::api(settings, store, None)))
}

#[cfg(test)]
#[path = "../../test_secret.rs"]
mod test_secret;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body as AxumBody;
    use lambda_http::{Body, http};

    use super::{test_secret::Secret, *};

    /// The status of a request with `token` that needs no store: whoever may is told that it is a bad one.
    async fn status(handler: &Handler, token: &str) -> u16 {
        let request = http::Request::get("/api/latency?limit=none").header("authorization", format!("Bearer {token}"));
        let answer: Response<AxumBody> =
            handler.handle(request.body(Body::Empty).expect("a request")).await.expect("never fails");
        answer.status().as_u16()
    }

    #[tokio::test]
    async fn a_secret_that_was_changed_holds_and_one_that_cannot_be_used_does_not() {
        let secret = Secret::new("old");
        let vars = [("API_TOKEN_PARAMETER", "/m/token"), ("RECORDS_BUCKET", "records"), ("AWS_REGION", "eu-west-1")];
        let parameters = Parameters::by(vars.into_iter().collect(), secret.clone()).with_max_age(Duration::ZERO);
        let handler = Handler::new(parameters).await.expect("usable settings");
        assert_eq!((status(&handler, "old").await, status(&handler, "new").await), (400, 401));
        secret.change("new");
        assert_eq!((status(&handler, "old").await, status(&handler, "new").await), (401, 400));
        secret.change("unusable\u{7f}");
        assert_eq!((status(&handler, "old").await, status(&handler, "new").await), (401, 400));
    }
}
