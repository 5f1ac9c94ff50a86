//! The command line: one subcommand, one file.

mod witness;

pub use witness::WitnessCommand;
