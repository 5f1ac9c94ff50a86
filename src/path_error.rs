//! An error of the file system, with the path that it is about.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that cannot be read or written.
///
/// The message holds the cause, so the cause is no source of its own: a chain that is printed would have it twice.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct PathError {
    pub path: PathBuf,
    pub cause: io::Error,
}

impl PathError {
    /// The path, for the error that follows.
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |cause| Self { path: path.to_owned(), cause }
    }
}
