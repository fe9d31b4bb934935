//! Making the client: endpoint, region and credentials by the AWS SDK's own variables.

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_types::service_config::ServiceConfigKey;
use url::Url;

use super::failure::{Failure, Server};
use crate::{
    aws::{self, AwsAccess, REGION_OF_OTHER_SERVERS},
    redact,
};

/// How long one try of a request may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries of one request by the SDK, which waits longer from one to the next.
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// A client, and what is said of its server in messages.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) server: Server,
}

impl Connection {
    /// Reads the SDK's sources. Sends nothing but what finding the region may take.
    pub(super) async fn new(access: &AwsAccess) -> Result<Self, Failure> {
        let config = load(access).await;
        let endpoint = endpoint(&config)?;
        let region = match (config.region(), &endpoint) {
            (Some(region), _) => region.clone(),
            (None, Some(_)) => Region::from_static(REGION_OF_OTHER_SERVERS),
            (None, None) => {
                let problem = "no region is set; set AWS_REGION to the bucket's (and AWS_ENDPOINT_URL_S3 where the \
                               server is not AWS's)";
                return Err(Failure::Lasting(problem.to_owned()));
            }
        };
        let server = Server {
            address: endpoint.clone().unwrap_or_else(|| format!("AWS in {region}")),
            region: region.to_string(),
            patience: ATTEMPT_TIMEOUT,
        };
        let mut builder =
            aws_sdk_s3::config::Builder::from(&config).region(region).force_path_style(endpoint.is_some());
        builder.set_endpoint_url(endpoint);
        Ok(Self { client: Client::from_conf(builder.build()), server })
    }
}

async fn load(access: &AwsAccess) -> SdkConfig {
    // Not the SDK's adaptive mode: it measures how often this client sends, which is seldom, and after one SlowDown lets it
    // send about once in two seconds (measured: the next two appends took 2 s instead of 0.15 s).
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF);
    // What the stalled-stream protection is for, the time-out of each try does.
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    aws::loader(access)
        .retry_config(retries)
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .load()
        .await
}

/// The endpoint that the SDK would use, where it is not AWS's own: set here, for S3 alone, or for all services. Without user
/// name, password and query, which mean nothing there and would show in the SDK's errors.
fn endpoint(config: &SdkConfig) -> Result<Option<String>, Failure> {
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let for_s3 = || config.service_config()?.load_config(key.ok()?);
    let is_set_here = config.get_origin("endpoint_url").is_client_config();
    let for_all = config.endpoint_url().map(str::to_owned);
    let endpoint = if is_set_here { for_all } else { for_s3().or(for_all) };
    let Some(endpoint) = endpoint else { return Ok(None) };
    let url: Url = endpoint.parse().map_err(|_| {
        Failure::Lasting(
            "the endpoint is no URL; check AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and endpoint_url".to_owned(),
        )
    })?;
    Ok(Some(redact::url(&url)))
}
