//! `tollgate reload` and `tollgate upgrade`: tell the running daemon, and wait for what comes of it.

use super::wire::Wire;
use super::{GREETING, place};
use crate::app::exit::Failure;
use crate::config;
use anyhow::{Context, anyhow};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long an upgrade may take, from the first word to the last.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two questions to a daemon that is busy.
const PAUSE: Duration = Duration::from_millis(100);

/// What the daemon is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Reload,
    Upgrade,
}

/// Checks the configuration, then tells the daemon that runs with it. One line of what came of it.
///
/// # Errors
/// The configuration is at fault, no daemon runs, or it could not do what it was told; it serves on
/// as before then.
pub fn ask(command: Command, file: Option<&Path>) -> Result<String, Failure> {
    // Under systemd the daemon checks it alone: only it can read the credentials that were loaded for it.
    let folder = match place::made() {
        Some(folder) => folder,
        None => place::runtime_dir(&config::load(file)?).context(
            "no running daemon can be found without a runtime folder; set server.runtime_dir",
        )?,
    };
    let socket = place::socket(&folder);
    let until = Instant::now() + PATIENCE;
    let word = match command {
        Command::Reload => "reload",
        Command::Upgrade => "upgrade",
    };
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let file = file.map_or(String::new(), |file| format!(" {}", file.display()));
    let word = format!("{word}{file}");
    loop {
        let answer = converse(&socket, &word)?;
        match answer.split_once(' ') {
            Some(("done", what)) => return Ok(what.to_owned()),
            Some(("failed", why)) => return Err(anyhow!("{why}").into()),
            // A successor took over meanwhile, or is about to: it is asked next.
            _ if Instant::now() < until => thread::park_timeout(PAUSE),
            _ => {
                return Err(anyhow!(
                    "the daemon was busy for {} s; try again",
                    PATIENCE.as_secs()
                )
                .into());
            }
        }
    }
}

fn converse(socket: &Path, word: &str) -> anyhow::Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| {
        format!(
            "no daemon answers at {}: is it running, with the same server.runtime_dir? That of the \
             system is reached as root",
            socket.display()
        )
    })?;
    let wire = Wire::new(stream, PATIENCE)?;
    wire.say(&format!("{GREETING} {word}"))?;
    match wire.hear() {
        Ok(answer) => Ok(answer),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok("busy".to_owned()),
        Err(error) => Err(error).context("the daemon did not answer"),
    }
}
