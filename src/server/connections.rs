//! The limit of concurrent connections: the files that a process may open, less those of the ledger.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are kept for everything but connections: segments, tiles, tables of the index, those who are asked.
const FILES_KEPT: u64 = 1024;
/// Connections for which there is a use. Each has buffers beside the memory of bodies (`benches/slow_clients.rs`).
const CONNECTIONS_MAX: u64 = 20_000;

/// Lets this process open as many files as it may, and gives how many connections that leaves room for.
///
/// Where only few files are allowed, half of them are connections: an upload by a stranger must not keep the ledger from
/// opening a segment.
pub(crate) fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            limit.current
        }
    };
    // None is without a limit.
    usize::try_from(connections_of(files.unwrap_or(u64::MAX))).unwrap_or(usize::MAX)
}

fn connections_of(files: u64) -> u64 {
    files.saturating_sub(FILES_KEPT).max(files / 2).clamp(1, CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_the_ledger() {
        assert_eq!([256, 1024, 4096, 20_000, u64::MAX].map(connections_of), [128, 512, 3072, 18_976, 20_000]);
    }
}
