//! Arguments that several subcommands take.

pub(super) mod inputs;
pub(super) mod member_args;
pub(super) mod passphrase;
pub(super) mod remote;
pub(super) mod time_args;
pub(super) mod trust;
