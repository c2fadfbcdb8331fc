//! The door: arguments in, exit code out.

use clap::Parser;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use tollgate::app::command::{Arguments, Command};
use tollgate::app::daemon::control::ask;
use tollgate::app::daemon::handover::launch;
use tollgate::app::daemon::run;
use tollgate::app::{check, completions, demo, exit, mock, notes, prices, reap};

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
        Command::Run { config, upgrade } => run::run(config.as_deref(), upgrade),
        Command::Reload { config } => tell(ask::Command::Reload, config.as_deref()),
        Command::Upgrade { config } => tell(ask::Command::Upgrade, config.as_deref()),
        Command::Launch { config } => {
            Ok(launch::launch(config.as_deref()).map_err(anyhow::Error::from)?)
        }
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
        Command::Completions { shell } => {
            Ok(completions::write(shell, &mut std::io::stdout().lock())?)
        }
        Command::Manual { folder } => Ok(completions::write_manual(&folder)?),
        Command::Reap => Ok(reap::reap()?),
    }
}

fn tell(command: ask::Command, config: Option<&Path>) -> Result<(), exit::Failure> {
    println!("{}", ask::ask(command, config)?);
    Ok(())
}
