//! What AWS asks for, as it lists it.

/// A list price.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    pub(super) name: &'static str,
    pub(super) usd: f64,
    pub(super) unit: &'static str,
    pub(super) source: &'static str,
}

/// When the prices below were looked up. They change, and differ by region.
pub(super) const DATE: &str = "2026-11-24";
pub(super) const REGION: &str = "us-east-1, list prices, without free tiers";

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const S3: &str = "https://aws.amazon.com/s3/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const API_GATEWAY: &str = "https://aws.amazon.com/api-gateway/pricing/";
const EVENTBRIDGE: &str = "https://aws.amazon.com/eventbridge/pricing/";

pub(super) const LAMBDA_COMPUTE: Price =
    Price { name: "Lambda compute (arm64)", usd: 0.000_013_333_4, unit: "GB-second", source: LAMBDA };
pub(super) const LAMBDA_REQUESTS: Price = Price { name: "Lambda requests", usd: 0.20, unit: "million", source: LAMBDA };
pub(super) const S3_PUT: Price = Price { name: "S3 PUT, LIST", usd: 0.005, unit: "1,000", source: S3 };
pub(super) const S3_GET: Price = Price { name: "S3 GET", usd: 0.000_4, unit: "1,000", source: S3 };
pub(super) const S3_STORAGE: Price = Price { name: "S3 storage", usd: 0.023, unit: "GB and month", source: S3 };
pub(super) const SCHEDULER: Price =
    Price { name: "EventBridge Scheduler", usd: 1.00, unit: "million invocations", source: EVENTBRIDGE };
pub(super) const LOGS: Price = Price { name: "CloudWatch Logs", usd: 0.50, unit: "GB", source: CLOUDWATCH };
pub(super) const ALARMS: Price =
    Price { name: "CloudWatch alarms", usd: 0.10, unit: "metric and month", source: CLOUDWATCH };
pub(super) const METRICS: Price =
    Price { name: "CloudWatch custom metrics", usd: 0.30, unit: "metric and month", source: CLOUDWATCH };
pub(super) const HTTP_API: Price = Price { name: "HTTP API", usd: 1.00, unit: "million requests", source: API_GATEWAY };

pub(super) const ALL: [Price; 10] =
    [LAMBDA_COMPUTE, LAMBDA_REQUESTS, S3_PUT, S3_GET, S3_STORAGE, SCHEDULER, LOGS, ALARMS, METRICS, HTTP_API];
