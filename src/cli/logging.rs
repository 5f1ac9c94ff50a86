//! The log of a process that serves: structured, on standard error, `RUST_LOG` decides how much.

use tracing_subscriber::EnvFilter;

use crate::server::config::LogFormat;

/// Starts logging.
pub(super) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => subscriber.json().init(),
        LogFormat::Text => subscriber.init(),
    }
}
