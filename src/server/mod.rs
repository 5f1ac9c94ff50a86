//! HTTP: routes, typed in, one domain call, typed out.

pub mod page;
