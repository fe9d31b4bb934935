//! An S3 server in this process: `s3s-fs`, which by itself checks a condition and then writes without one, behind a lock.

use std::{fmt, net::SocketAddr, path::Path};

use hyper_util::rt::TokioIo;
use s3s::{
    S3, S3Request, S3Response, S3Result,
    auth::SimpleAuth,
    dto::{
        DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
        ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
    },
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::RwLock, task::JoinHandle};

pub(crate) const BUCKET: &str = "records";
pub(crate) const KEY_ID: &str = "test-key";
pub(crate) const SECRET: &str = "test-secret-that-no-message-shows";

/// How a server differs from S3, as servers in the field do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quirks {
    /// Writes whatever the condition.
    pub(crate) ignores_if_match: bool,
    /// Writes whether there is such an object or not.
    pub(crate) ignores_if_none_match: bool,
    /// `If-Match` holds for ETags without quotes only.
    pub(crate) wants_bare_etags: bool,
    /// Listings tell no ETags.
    pub(crate) lists_no_etags: bool,
}

/// A server with one empty bucket, until it is dropped.
pub(crate) struct InProcess {
    pub(crate) address: SocketAddr,
    root: TempDir,
    accepting: JoinHandle<()>,
}

impl InProcess {
    pub(crate) async fn start() -> Self {
        Self::start_with(Quirks::default()).await
    }

    pub(crate) async fn start_with(quirks: Quirks) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let files = FileSystem::new(root.path()).expect("a file system");
        let mut builder = S3ServiceBuilder::new(Locked { files, lock: RwLock::default(), quirks });
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                // A connection that breaks off is the client's affair.
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, root, accepting }
    }

    /// The bucket as a folder: every object is a file in it.
    pub(crate) fn bucket(&self) -> std::path::PathBuf {
        self.root.path().join(BUCKET)
    }

    /// All keys, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect(&self.bucket(), "", &mut keys);
        keys.sort();
        keys
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn collect(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), keys);
        } else {
            keys.push(name);
        }
    }
}

struct Locked {
    files: FileSystem,
    /// Makes checking a condition and writing one step, and what is read of an object go with its ETag.
    lock: RwLock<()>,
    quirks: Quirks,
}

#[async_trait::async_trait]
impl S3 for Locked {
    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let _lock = self.lock.write().await;
        if self.quirks.ignores_if_match {
            request.input.if_match = None;
        }
        if self.quirks.ignores_if_none_match {
            request.input.if_none_match = None;
        }
        let is_quoted = request.headers.get("if-match").is_some_and(|etag| etag.as_bytes().starts_with(b"\""));
        if self.quirks.wants_bare_etags && is_quoted {
            return Err(s3s::s3_error!(PreconditionFailed));
        }
        self.files.put_object(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let _lock = self.lock.read().await;
        self.files.get_object(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _lock = self.lock.read().await;
        self.files.head_object(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _lock = self.lock.write().await;
        self.files.delete_object(request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _lock = self.lock.write().await;
        let mut response = self.files.list_objects_v2(request).await?;
        if self.quirks.lists_no_etags {
            response.output.contents.iter_mut().flatten().for_each(|object| object.e_tag = None);
        }
        Ok(response)
    }
}
