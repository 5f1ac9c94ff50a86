//! The `affiant` command.

use std::process::ExitCode;

use clap::Parser as _;

/// Every request builds and drops some hundred small values on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    // clap's own exit code for a wrong command line is 2, which here means INDETERMINATE.
    let cli = match affiant::cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(affiant::cli::COULD_NOT_RUN) } else { ExitCode::SUCCESS };
        }
    };
    match cli.run().await {
        Ok(code) => code,
        Err(error) => {
            // Whoever reads no further, as `head` does, needs no message.
            let unread = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
            if !error.chain().filter_map(|cause| cause.downcast_ref()).any(unread) {
                eprintln!("affiant: {error:#}");
            }
            ExitCode::from(affiant::cli::COULD_NOT_RUN)
        }
    }
}
