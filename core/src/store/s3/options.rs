use std::time::Duration;

use crate::aws::AwsAccess;

/// Where in S3, and how.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// All keys begin with it; empty for none. Slashes at its ends do not matter.
    pub prefix: String,
    /// Part of the names of the objects that this process writes, so that writers don't contend: where it probes from, and
    /// its shard's number where it is one of several.
    pub writer: String,
    /// How rows are appended.
    pub append: AppendMode,
    /// How objects are encrypted; `None` leaves it to the bucket.
    pub encryption: Option<Encryption>,
    /// How to reach the server, as far as it is not left to the AWS SDK's own sources.
    pub access: AwsAccess,
    /// How long one append may take, retries included.
    pub append_budget: Duration,
}

impl S3Options {
    /// How long an append may take where nothing else is said: well below the minute between two cycles.
    pub const APPEND_BUDGET: Duration = Duration::from_secs(20);

    /// A bucket, the rest by default.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            writer: "local".to_owned(),
            append: AppendMode::Auto,
            encryption: None,
            access: AwsAccess::default(),
            append_budget: Self::APPEND_BUDGET,
        }
    }
}

/// How rows are appended to objects, which S3 can only replace as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendMode {
    /// As [`Swap`](Self::Swap) where the server proves that it honours conditions, else as [`Objects`](Self::Objects).
    Auto,
    /// One object an hour, by compare-and-swap; the server is trusted to honour `If-Match` and `If-None-Match`.
    Swap,
    /// One object for each cycle.
    Objects,
}

/// Server-side encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys that the server manages (`AES256`).
    Managed,
    /// With a key of a key management service (`aws:kms`).
    Kms {
        /// The key's id, ARN or alias; `None`: the account's default key.
        key_id: Option<String>,
    },
}
