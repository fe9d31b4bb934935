use std::path::PathBuf;

use super::{Host, vars::Source};

/// Where records go.
#[derive(Debug, Clone)]
pub struct Storing {
    /// `STORE`, default `file` locally and `s3` in Lambda.
    pub store: StoreSettings,
}

/// A store and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// A local CSV file.
    File {
        /// `LATENCY_DATA_CSV`, default `latency_data.csv`.
        path: PathBuf,
    },
    /// CSV objects in S3 or anything that speaks its protocol.
    S3 {
        /// `RECORDS_BUCKET`.
        bucket: String,
        /// `RECORDS_PREFIX`, default empty; without slashes at its ends.
        prefix: String,
    },
}

pub(super) fn read(source: &mut Source<'_>, host: Host) -> Storing {
    let is_s3 = source.parse("STORE", host == Host::Lambda, "file or s3", |text| match text {
        "file" => Some(false),
        "s3" => Some(true),
        _ => None,
    });
    let path = PathBuf::from(source.get("LATENCY_DATA_CSV").unwrap_or("latency_data.csv"));
    let prefix = source.get("RECORDS_PREFIX").unwrap_or_default().trim_matches('/').to_owned();
    let bucket = source.get("RECORDS_BUCKET").map(str::to_owned);
    if is_s3 && bucket.is_none() {
        source.refuse("RECORDS_BUCKET", None, "the bucket's name (STORE=s3 needs it)");
    }
    match bucket {
        Some(bucket) if is_s3 => Storing { store: StoreSettings::S3 { bucket, prefix } },
        _ => Storing { store: StoreSettings::File { path } },
    }
}
