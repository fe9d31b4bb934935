//! Places in a bucket for the suite of the store's guarantees.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use llm_monitor_core::aws::{AwsAccess, AwsKeys};
use llm_monitor_core::store::{
    S3Options, S3Store, Store,
    contract::{Backend, Place},
};

use super::s3_server::{BUCKET, KEY_ID, SECRET};

/// Every fresh place is a prefix of its own.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    pub(crate) options: S3Options,
    pub(crate) clock: fn() -> DateTime<Utc>,
}

#[derive(Debug)]
struct Prefix(Prefixes);

impl Prefixes {
    /// In the bucket behind `options`, while the suite's hours are open.
    pub(crate) fn new(options: S3Options) -> Self {
        Self { options, clock: during }
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(S3Store::new(self.options.clone()).with_clock(self.clock))
    }
}

/// Before any hour of the suite's cycles is over.
pub(crate) fn during() -> DateTime<Utc> {
    llm_monitor_core::store::contract::due(0).scheduled()
}

/// Long after.
pub(crate) fn long_after() -> DateTime<Utc> {
    during() + chrono::TimeDelta::days(30)
}

#[async_trait]
impl Backend for Prefixes {
    async fn fresh(&self) -> Box<dyn Place> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut place = self.clone();
        // Not the same one when the suite runs again over a bucket that is kept.
        place.options.prefix = format!("{}-{}-{number}", std::process::id(), Utc::now().timestamp_millis());
        Box::new(Prefix(place))
    }
}

#[async_trait]
impl Place for Prefix {
    async fn open(&self) -> Arc<dyn Store> {
        self.0.store()
    }

    async fn open_another(&self) -> Option<Arc<dyn Store>> {
        Some(self.0.store())
    }
}

/// The bucket of the server, or layer of faults, at `address`.
pub(crate) fn options(address: SocketAddr) -> S3Options {
    let keys = AwsKeys { id: KEY_ID.to_owned(), secret: SECRET.into(), session_token: None };
    let endpoint = format!("http://{address}").parse().expect("a URL");
    S3Options {
        writer: "suite".to_owned(),
        access: AwsAccess { endpoint: Some(endpoint), keys: Some(keys), ..AwsAccess::default() },
        ..S3Options::new(BUCKET)
    }
}

/// A store there, while the suite's hours are open.
pub(crate) fn store(options: S3Options) -> Arc<dyn Store> {
    Prefixes::new(options).store()
}
