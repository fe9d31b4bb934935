use std::path::PathBuf;

use super::{
    Host, aws,
    vars::{Source, whole},
};
use crate::store::{AppendMode, Encryption, FileOptions, S3Options};

/// Where records go.
#[derive(Debug, Clone)]
pub struct Storing {
    /// `STORE`, default `file` locally and `s3` in Lambda.
    pub store: StoreSettings,
    /// What the local file does with finished days: `LATENCY_DATA_ROTATE`, default `on`, and `RETENTION_DAYS`, default:
    /// keep for ever.
    pub file_options: FileOptions,
    /// `MEMORY_LIMIT_MB`, default 64: how much of the history may be held in memory, in MiB.
    pub memory_limit_mb: u32,
}

/// A store and where it is.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// A local CSV file.
    File {
        /// `LATENCY_DATA_CSV`, default `latency_data.csv`.
        path: PathBuf,
    },
    /// CSV objects in S3 or anything that speaks its protocol: `RECORDS_BUCKET`, `RECORDS_PREFIX` (default none),
    /// `RECORDS_APPEND` (default `auto`), `RECORDS_SSE`, `RECORDS_KMS_KEY_ID` (default: as the bucket has it), and the AWS
    /// SDK's own `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_PROFILE`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, which may stand in `.env` too.
    S3(Box<S3Options>),
}

/// `location` becomes part of the names of the objects written.
pub(super) fn read(source: &mut Source<'_>, host: Host, location: &str) -> Storing {
    let is_s3 = source.parse("STORE", host == Host::Lambda, "file or s3", |text| match text {
        "file" => Some(false),
        "s3" => Some(true),
        _ => None,
    });
    let path = PathBuf::from(source.get("LATENCY_DATA_CSV").unwrap_or("latency_data.csv"));
    let s3 = is_s3.then(|| s3(source, location)).flatten();
    let file_options = file_options(source, is_s3);
    let memory_limit_mb = source.parse("MEMORY_LIMIT_MB", 64, "whole megabytes (MiB), 8 to 65536", |text| {
        u32::try_from(whole(text, 8..=65_536)?).ok()
    });
    Storing {
        file_options,
        memory_limit_mb,
        store: s3.map_or(StoreSettings::File { path }, |options| StoreSettings::S3(Box::new(options))),
    }
}

fn file_options(source: &mut Source<'_>, is_s3: bool) -> FileOptions {
    let rotate = source.parse("LATENCY_DATA_ROTATE", true, "on or off", |text| match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    });
    let expected = if is_s3 {
        "nothing with STORE=s3: there an expiration rule of the bucket itself deletes (docs/DEPLOY.md)"
    } else if !rotate {
        "nothing with LATENCY_DATA_ROTATE=off: only days that have files of their own can be deleted"
    } else {
        "whole days, 1 to 36500, or nothing to keep records for ever"
    };
    let retention_days = source.parse("RETENTION_DAYS", None, expected, |text| {
        let days = whole(text, 1..=36_500).filter(|_| !is_s3 && rotate)?;
        u32::try_from(days).ok().map(Some)
    });
    FileOptions { rotate, retention_days, ..FileOptions::default() }
}

fn s3(source: &mut Source<'_>, location: &str) -> Option<S3Options> {
    let bucket = source.get("RECORDS_BUCKET");
    if bucket.is_none() {
        source.refuse("RECORDS_BUCKET", None, "the bucket's name (STORE=s3 needs it)");
    }
    let append = source.parse("RECORDS_APPEND", AppendMode::Auto, "auto, swap or objects", |text| match text {
        "auto" => Some(AppendMode::Auto),
        "swap" => Some(AppendMode::Swap),
        "objects" => Some(AppendMode::Objects),
        _ => None,
    });
    let (encryption, access) = (encryption(source), aws::access(source, "AWS_ENDPOINT_URL_S3"));
    Some(S3Options {
        prefix: source.get("RECORDS_PREFIX").unwrap_or_default().trim_matches('/').to_owned(),
        writer: location.to_owned(),
        append,
        encryption,
        access,
        ..S3Options::new(bucket?)
    })
}

fn encryption(source: &mut Source<'_>) -> Option<Encryption> {
    let key_id = source.get("RECORDS_KMS_KEY_ID").map(str::to_owned);
    let has_key = key_id.is_some();
    let encryption = source.parse("RECORDS_SSE", None, "AES256 or aws:kms", |text| match text {
        "AES256" => Some(Some(Encryption::Managed)),
        "aws:kms" => Some(Some(Encryption::Kms { key_id })),
        _ => None,
    });
    if has_key && !matches!(encryption, Some(Encryption::Kms { .. })) {
        let key_id = source.get("RECORDS_KMS_KEY_ID");
        source.refuse("RECORDS_KMS_KEY_ID", key_id, "nothing, or RECORDS_SSE=aws:kms beside it");
    }
    encryption
}
