//! A bucket as the target: `s3://bucket/prefix`, with endpoint and credentials of the usual variables (`AWS_ENDPOINT_URL`,
//! `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …).
//!
//! There are no locks in a bucket: the manifest is written only over the one that was read. Of two backups at once the second
//! to end is refused, and what it wrote is removed by the next.

use std::sync::{Mutex, PoisonError};

use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion};
use tokio::runtime::{Builder, Runtime};

use super::pieces::PIECE_BYTES;
use crate::client::BucketConnector;

/// Bytes of an answer: a piece; a list of a thousand names is shorter.
const ANSWER_BYTES_MAX: usize = PIECE_BYTES as usize + (1 << 16);
/// What the address of a bucket begins with.
const SCHEME: &str = "s3://";

/// A prefix in a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    store: AmazonS3,
    prefix: Path,
    runtime: Runtime,
    // The manifest that was read: what is put takes its place, and no other's.
    read: Mutex<PutMode>,
}

impl Bucket {
    /// The bucket at an address; `None` when it is none of a bucket.
    pub(super) fn of(address: &str) -> Option<Result<Self, String>> {
        let rest = address.strip_prefix(SCHEME)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self::open(bucket, prefix))
    }

    fn open(bucket: &str, prefix: &str) -> Result<Self, String> {
        let connector = BucketConnector { bytes_max: ANSWER_BYTES_MAX };
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_http_connector(connector);
        // What goes is removed one by one, as every server can.
        let store = builder.with_disable_bulk_delete(true).build().map_err(|error| error.to_string())?;
        let prefix = Path::parse(prefix).map_err(|error| error.to_string())?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        Ok(Self { store, prefix, runtime, read: Mutex::new(PutMode::Create) })
    }

    fn manifest_path(&self) -> Path {
        self.prefix.clone().join("manifest")
    }

    fn piece_path(&self, name: &str) -> Path {
        self.prefix.clone().join("pieces").join(name)
    }

    /// Whether the bucket answers.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.runtime.block_on(async { self.store.list_with_delimiter(Some(&self.prefix)).await.map(drop) })
    }

    pub(super) fn manifest(&self, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = self.runtime.block_on(self.read_object(&self.manifest_path(), bytes_max))?;
        let (mode, bytes) = match read {
            Some((version, bytes)) => (PutMode::Update(version), Some(bytes)),
            None => (PutMode::Create, None),
        };
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = mode;
        Ok(bytes)
    }

    /// An object, with its version; what is longer is cut off, and is not what it should be.
    async fn read_object(&self, path: &Path, bytes_max: u64) -> Result<Option<(UpdateVersion, Vec<u8>)>, Error> {
        let found = match self.store.get(path).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        if found.meta.size > bytes_max {
            return Ok(Some((version, Vec::new())));
        }
        Ok(Some((version, found.bytes().await?.into())))
    }

    pub(super) fn pieces(&self) -> Result<Vec<(String, u64)>, Error> {
        let folder = self.prefix.clone().join("pieces");
        let found = self.store.list(Some(&folder)).try_filter_map(|object| async move {
            Ok(object.location.filename().map(|name| (name.to_owned(), object.size)))
        });
        self.runtime.block_on(found.try_collect())
    }

    pub(super) fn piece(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = self.runtime.block_on(self.read_object(&self.piece_path(name), bytes_max))?;
        Ok(read.map(|(_, bytes)| bytes))
    }

    pub(super) fn put_piece(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let payload = PutPayload::from(bytes.to_vec());
        self.runtime.block_on(async { self.store.put(&self.piece_path(name), payload).await.map(drop) })
    }

    /// Puts the manifest in the place of the one that was read; `false` when another one is there.
    pub(super) fn complete(&self, manifest: &[u8]) -> Result<bool, Error> {
        let mode = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.runtime.block_on(async {
            let payload = PutPayload::from(manifest.to_vec());
            match self.store.put_opts(&self.manifest_path(), payload, mode.into()).await {
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => {
                    // A request that was made again may have met what the first one wrote.
                    let there = self.read_object(&self.manifest_path(), manifest.len() as u64).await?;
                    Ok(there.is_some_and(|(_, there)| there == manifest))
                }
                put => put.map(|_| true),
            }
        })
    }

    pub(super) fn remove_piece(&self, name: &str) -> Result<(), Error> {
        self.runtime.block_on(async { self.store.delete(&self.piece_path(name)).await })
    }
}
