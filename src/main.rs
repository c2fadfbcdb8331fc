//! The door: arguments in, exit code out.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tollgate::app::command::{Arguments, Command};
use tollgate::app::{check, demo, exit, mock, notes, prices, run};
use tollgate::config;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    notes::to_stderr();
    // One provider of cryptography for listeners, providers and look-ups alike. An error only says
    // that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn execute(command: Command) -> Result<(), exit::Failure> {
    match command {
        Command::Run { config } => Ok(run::run(&config::load(config.as_deref())?)?),
        Command::Check { config } => {
            println!("{}", check::check(config.as_deref())?);
            Ok(())
        }
        Command::Prices {
            model,
            provider,
            config,
        } => {
            let options = prices::Options {
                model,
                provider,
                config,
            };
            // Whoever reads only the first lines closes the pipe.
            let _ = writeln!(std::io::stdout(), "{}", prices::list(&options)?);
            Ok(())
        }
        Command::Mock { listen, script } => Ok(mock::run(&mock::Options { listen, script })?),
        Command::Demo { once, listen } => Ok(demo::run(&demo::Options { listen, once })?),
    }
}
