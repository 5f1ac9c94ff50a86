//! Pages: HTML, from templates beside them.

pub mod home;
#[cfg(feature = "browser")]
pub(super) mod saved;
pub(super) mod verdicts;
