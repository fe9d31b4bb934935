use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_types::service_config::ServiceConfigKey;
use rustls::RootCertStore;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::Reader;
use crate::{
    aws::{self, AwsAccess},
    cause, redact,
    settings::{self, SettingsError, Vars},
    tls::{self, SharedTls},
};

const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// AWS Systems Manager's Parameter Store, with region, endpoint and credentials by the AWS SDK's own variables, which may stand in
/// `.env` too.
///
/// One operation, `GetParameter`, once for each name: so an answer or a refusal is of that name, also where AWS answers by another
/// (a version, an ARN, a secret of Secrets Manager). A request signed here costs nothing to compile or to start beside a client of all of the
/// service's operations.
#[derive(Debug)]
pub struct ParameterStore {
    access: Result<AwsAccess, SettingsError>,
    config: OnceCell<SdkConfig>,
    tls: SharedTls,
    http: OnceCell<reqwest::Client>,
}

/// What a request came to.
enum Failure {
    /// May be better a moment later.
    Passing(String),
    Lasting(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

impl ParameterStore {
    /// By the AWS SDK's variables among `vars`. Sends nothing; what is wrong with them is told when it is first read.
    pub fn new(vars: &Vars) -> Self {
        Self {
            access: settings::aws_access(vars, "AWS_ENDPOINT_URL_SSM"),
            config: OnceCell::new(),
            tls: SharedTls::default(),
            http: OnceCell::new(),
        }
    }

    async fn config(&self) -> Result<&SdkConfig, &SettingsError> {
        let access = self.access.as_ref()?;
        Ok(self.config.get_or_init(|| aws::loader(access).load()).await)
    }

    /// The endpoint that is set, for this service or for all.
    fn endpoint(&self, config: &SdkConfig) -> Option<String> {
        let set = self.access.as_ref().ok().and_then(|access| access.endpoint.as_ref());
        let key = ServiceConfigKey::builder().service_id("SSM").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        let of_service = || config.service_config()?.load_config(key.ok()?);
        set.map(redact::url).or_else(of_service).or_else(|| config.endpoint_url().map(str::to_owned))
    }

    async fn http(&self, is_https: bool) -> Result<&reqwest::Client, Failure> {
        let make = || async {
            let tls =
                if is_https { self.tls.get().await } else { tls::client_config_with_roots(RootCertStore::empty()) };
            let tls = tls.map_err(|error| error.to_string())?;
            reqwest::Client::builder()
                .tls_backend_preconfigured((*tls).clone())
                .timeout(TIMEOUT)
                .build()
                .map_err(|error| error.to_string())
        };
        self.http.get_or_try_init(make).await.map_err(Failure::Lasting)
    }

    /// The value of `name`; `None` where there is no such parameter.
    async fn ask(&self, name: &str) -> Result<Option<SecretString>, Failure> {
        let config = self.config().await.map_err(|error| Failure::Lasting(error.to_string()))?;
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(Failure::Lasting("no region is set; set AWS_REGION".to_owned()));
        };
        let endpoint = self.endpoint(config).unwrap_or_else(|| own_endpoint(&region));
        let body = json!({"Name": name, "WithDecryption": true}).to_string();
        let request = signed(config, &endpoint, &region, body).await?;
        let response = self.http(endpoint.starts_with("https:")).await?.execute(request).await;
        let response = response.map_err(|error| Failure::Passing(explain(&endpoint, &error)))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| Failure::Passing(explain(&endpoint, &error)))?;
        if status.is_success() {
            let answer: Result<Answer, _> = serde_json::from_slice(&body);
            let answer = answer.map_err(|_| Failure::Lasting(format!("{} gave no usable answer", shown(&endpoint))))?;
            return Ok(Some(answer.parameter.value.into()));
        }
        let refusal: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |field: &str| refusal.get(field).and_then(Value::as_str);
        let kind = text("__type").unwrap_or_default().rsplit('#').next().unwrap_or_default();
        let message = text("message").or_else(|| text("Message")).unwrap_or_default();
        if kind.starts_with("Parameter") && kind.ends_with("NotFound") {
            return Ok(None);
        }
        let problem = format!("{name}: {} answered HTTP {} {kind} {}", shown(&endpoint), status.as_u16(), message);
        let passes = status.is_server_error() || kind.starts_with("Throttling") || status.as_u16() == 429;
        let problem = problem.trim_end().to_owned();
        Err(if passes { Failure::Passing(problem) } else { Failure::Lasting(problem) })
    }

    async fn ask_patiently(&self, name: &str) -> Result<Option<SecretString>, String> {
        let mut backoff = FIRST_BACKOFF;
        for _ in 1..ATTEMPTS {
            match self.ask(name).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Lasting(problem)) => return Err(problem),
                Err(Failure::Passing(_)) => tokio::time::sleep(backoff.mul_f64(0.5 + fastrand::f64())).await,
            }
            backoff *= 3;
        }
        self.ask(name).await.map_err(|(Failure::Passing(problem) | Failure::Lasting(problem))| problem)
    }
}

#[async_trait]
impl Reader for ParameterStore {
    async fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, SecretString>, String> {
        let read =
            names.iter().map(|name| async move { Ok::<_, String>((name.clone(), self.ask_patiently(name).await?)) });
        let values = futures_util::future::try_join_all(read).await?;
        Ok(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    async fn place(&self) -> String {
        let place = self.config().await.ok().and_then(|config| {
            let endpoint = self.endpoint(config).map(|endpoint| shown(&endpoint));
            endpoint.or_else(|| config.region().map(ToString::to_string))
        });
        format!("the Parameter Store of {}", place.unwrap_or_default())
    }
}

fn own_endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://ssm.{region}.{suffix}")
}

/// A `GetParameter` with `body`, signed.
async fn signed(config: &SdkConfig, endpoint: &str, region: &str, body: String) -> Result<reqwest::Request, Failure> {
    let Some(credentials) = config.credentials_provider() else {
        return Err(Failure::Lasting("there are no AWS credentials".to_owned()));
    };
    let credentials = credentials
        .provide_credentials()
        .await
        .map_err(|error| Failure::Lasting(cause::innermost(&error).to_string()))?;
    let identity = credentials.into();
    let lasting = |error: &dyn std::error::Error| Failure::Lasting(format!("the request cannot be signed: {error}"));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ssm")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| lasting(&error))?
        .into();
    let uri = format!("{}/", endpoint.trim_end_matches('/'));
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AmazonSSM.GetParameter")];
    let signable =
        SignableRequest::new("POST", uri.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
    let (instructions, _) =
        sign(signable.map_err(|error| lasting(&error))?, &params).map_err(|error| lasting(&error))?.into_parts();
    let mut request = http::Request::post(&uri);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(body).map_err(|error| lasting(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    request.try_into().map_err(|error: reqwest::Error| lasting(&error))
}

fn shown(endpoint: &str) -> String {
    endpoint.parse().map_or_else(|_| "the endpoint".to_owned(), |url| redact::url(&url))
}

fn explain(endpoint: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("{} did not answer within {} s", shown(endpoint), TIMEOUT.as_secs());
    }
    format!("{} cannot be reached: {}", shown(endpoint), cause::innermost(error))
}
