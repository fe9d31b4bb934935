//! Single requests on one bucket, each answered by what it means.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, http::HttpResponse, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::{BoxError, SdkError},
    operation::put_object::PutObjectError,
    primitives::{ByteStream, DateTime},
    types::ServerSideEncryption,
};
use bytes::{Bytes, BytesMut};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::{
    client::Connection,
    failure::{Failed, Failure, Server, meaning},
    large::{MAX_OBJECT_BYTES, check},
    options::Encryption,
};
use crate::aws::AwsAccess;

// The SDK's futures are large: each is boxed, so that those around them stay small.

/// One bucket; the client is made by the first request.
#[derive(Debug)]
pub(super) struct Bucket {
    name: String,
    access: AwsAccess,
    encryption: Option<Encryption>,
    connection: OnceCell<Connection>,
    permits: Semaphore,
}

/// Requests under way at once, whoever makes them.
const MAX_REQUESTS: usize = 32;

/// An object as it was read.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) version: Version,
}

/// What tells one content of a key from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// As the server gave it, quotes included; some servers leave it out.
    pub(super) etag: Option<String>,
    pub(super) size_bytes: u64,
    /// Seconds of the Unix epoch.
    pub(super) modified: i64,
}

impl Version {
    /// The identity of a segment that was listed so. Objects only grow, so size and time tell what an ETag would.
    pub(super) fn identity(&self) -> String {
        match &self.etag {
            Some(etag) => bare(etag).to_owned(),
            None => format!("{}-{}", self.size_bytes, self.modified),
        }
    }

    /// Whether a segment that was listed as `identity` is this one.
    pub(super) fn is(&self, identity: &str) -> bool {
        self.identity() == identity || Self { etag: None, ..self.clone() }.identity() == identity
    }
}

/// An ETag without its quotes and without the mark of a weak one.
fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// On what a write depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// On nothing.
    Always,
    /// There is no such object yet.
    IsNew,
    /// The object is the one with this ETag, in quotes as the standard has it.
    Is(String),
    /// The same without quotes, for servers that take no others.
    IsBare(String),
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Version)>,
    /// Common starts up to the delimiter.
    pub(super) folders: Vec<String>,
    /// Continues the listing.
    pub(super) next: Option<String>,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing<'a> {
    pub(super) prefix: &'a str,
    pub(super) start_after: Option<&'a str>,
    pub(super) delimiter: Option<&'a str>,
    pub(super) next: Option<String>,
}

impl Bucket {
    pub(super) fn new(name: String, access: AwsAccess, encryption: Option<Encryption>) -> Self {
        Self { name, access, encryption, connection: OnceCell::new(), permits: Semaphore::new(MAX_REQUESTS) }
    }

    /// For messages: `s3://bucket/key`.
    pub(super) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Where the server is, once that is known.
    pub(super) fn address(&self) -> Option<&str> {
        self.connection.get().map(|connection| connection.server.address.as_str())
    }

    /// The client, when it is this request's turn; and the turn, which ends when it is dropped.
    async fn connection(&self) -> Result<(&Connection, Option<SemaphorePermit<'_>>), Failure> {
        // The semaphore is never closed; a permit is only ever waited for.
        let turn = self.permits.acquire().await.ok();
        Ok((self.connection.get_or_try_init(|| Box::pin(Connection::new(&self.access))).await?, turn))
    }

    /// `None` where there is no such object. It is held whole, so one of more than `at_most_bytes` is refused.
    pub(super) async fn get(&self, key: &str, at_most_bytes: u64) -> Result<Option<Object>, Failure> {
        let (Connection { client, server }, _turn) = self.connection().await?;
        let answer = match Box::pin(client.get_object().bucket(&self.name).key(key).send()).await {
            Ok(answer) => answer,
            Err(error) => {
                return match meaning(&error, server) {
                    Failure::Missing => Ok(None),
                    failure => Err(failure),
                };
            }
        };
        let (etag, modified) = (answer.e_tag, answer.last_modified);
        let announced = answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or_default();
        check(announced, at_most_bytes)?;
        // What is announced need not be what comes.
        let mut body = BytesMut::with_capacity(announced.min(MAX_OBJECT_BYTES) as usize);
        let mut chunks = answer.body;
        while let Some(chunk) = chunks.next().await {
            let cut_off = |_| Failure::Passing(format!("the answer from {} was cut off", server.address));
            body.extend_from_slice(&chunk.map_err(cut_off)?);
            check(body.len() as u64, at_most_bytes)?;
        }
        let version = version(etag, body.len() as u64, modified);
        Ok(Some(Object { body: body.freeze(), version }))
    }

    pub(super) async fn has(&self, key: &str) -> Result<bool, Failure> {
        let (Connection { client, server }, _turn) = self.connection().await?;
        let answer = Box::pin(client.head_object().bucket(&self.name).key(key).send()).await;
        match answer.map_err(|error| meaning(&error, server)) {
            Ok(_) => Ok(true),
            Err(Failure::Missing) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The new ETag, where the server says it.
    pub(super) async fn put(&self, key: &str, body: Bytes, condition: &Condition) -> Result<Option<String>, Failed> {
        let sure = |failure| Failed { failure, is_unsure: false };
        let (Connection { client, server }, _turn) = self.connection().await.map_err(sure)?;
        let (if_match, if_none_match) = match condition {
            Condition::Always => (None, None),
            Condition::IsNew => (None, Some("*".to_owned())),
            Condition::Is(etag) => (Some(format!("\"{}\"", bare(etag))), None),
            Condition::IsBare(etag) => (Some(bare(etag).to_owned()), None),
        };
        let (encryption, key_id) = match &self.encryption {
            None => (None, None),
            Some(Encryption::Managed) => (Some(ServerSideEncryption::Aes256), None),
            Some(Encryption::Kms { key_id }) => (Some(ServerSideEncryption::AwsKms), key_id.clone()),
        };
        let tries = Tries::default();
        let request = client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(ByteStream::from(body))
            .content_type(content_type(key))
            .set_if_match(if_match)
            .set_if_none_match(if_none_match)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .customize()
            .interceptor(tries.clone());
        match Box::pin(request.send()).await {
            Ok(answer) => Ok(answer.e_tag),
            Err(error) => Err(failed_put(&error, server, tries.count())),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Failure> {
        let (Connection { client, server }, _turn) = self.connection().await?;
        let answer = Box::pin(client.delete_object().bucket(&self.name).key(key).send()).await;
        answer.map(drop).map_err(|error| meaning(&error, server))
    }

    pub(super) async fn list(&self, listing: Listing<'_>) -> Result<Page, Failure> {
        let (Connection { client, server }, _turn) = self.connection().await?;
        let is_first = listing.next.is_none();
        let request = client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(listing.prefix)
            .set_delimiter(listing.delimiter.map(str::to_owned))
            .set_start_after(listing.start_after.filter(|_| is_first).map(str::to_owned))
            .set_continuation_token(listing.next);
        let answer = Box::pin(request.send()).await.map_err(|error| match meaning(&error, server) {
            // A listing of nothing is no failure, so it is the bucket that is missing.
            Failure::Missing => Failure::Lasting("there is no such bucket; check RECORDS_BUCKET".to_owned()),
            failure => failure,
        })?;
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated.unwrap_or(true));
        let objects = answer.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let size_bytes = u64::try_from(object.size.unwrap_or_default()).unwrap_or_default();
            Some((object.key?, version(object.e_tag, size_bytes, object.last_modified)))
        });
        let folders = answer.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
        Ok(Page { objects: objects.collect(), folders: folders.collect(), next })
    }
}

fn version(etag: Option<String>, size_bytes: u64, modified: Option<DateTime>) -> Version {
    let etag = etag.filter(|etag| !bare(etag).is_empty());
    Version { etag, size_bytes, modified: modified.map(|time| time.secs()).unwrap_or_default() }
}

fn content_type(key: &str) -> &'static str {
    match key.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        _ => "text/csv; charset=utf-8",
    }
}

fn failed_put(error: &SdkError<PutObjectError, HttpResponse>, server: &Server, tries: u32) -> Failed {
    let was_answered = error.raw_response().is_some();
    let was_sent = match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(dispatch) => !dispatch.is_user(),
        _ => true,
    };
    let failure = meaning(error, server);
    // An answer that came is about the last try; an earlier one may have been carried out and its answer lost. A server
    // that fails in the middle (5xx) may have written too.
    let is_unsure = was_sent && (!was_answered || tries > 1 || matches!(failure, Failure::Passing(_)));
    Failed { failure, is_unsure }
}

/// Counts how often the SDK tried a request.
#[derive(Debug, Clone, Default)]
struct Tries(Arc<AtomicU32>);

impl Tries {
    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Tries {
    fn name(&self) -> &'static str {
        "Tries"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
