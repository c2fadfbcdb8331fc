//! The control socket, by which commands and successors reach the running daemon.

pub mod ask;
pub mod place;
pub mod wire;

use rustix::net::sockopt::socket_peercred;
use rustix::process::{geteuid, getpid};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::Wire;

/// What every conversation begins with; the number is the version of what follows.
pub const GREETING: &str = "tollgate control 1";
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long no further client is waited for after one that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of an order: a line for whoever gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done(String),
    Failed(String),
    /// Not now; it is worth asking again in a moment.
    Busy,
}

/// What the daemon is told to do.
#[derive(Debug)]
pub enum Order {
    Reload(oneshot::Sender<Answer>),
    Upgrade(oneshot::Sender<Answer>),
    /// A process that was started by somebody else wants to take over.
    HandOver(Wire),
}

/// Answers on the control socket in a thread of its own, from when it is opened until the process
/// ends or a successor's socket takes its place. `config` is the file that the daemon runs with:
/// whoever names another one means another daemon.
///
/// # Errors
/// The folder or the socket cannot be used.
pub fn serve(folder: &Path, config: Option<&Path>, orders: mpsc::Sender<Order>) -> io::Result<()> {
    let path = place::socket(folder);
    // Renamed into its place, so that there is one at every moment.
    let fresh = PathBuf::from(format!("{}.{}", path.display(), getpid().as_raw_nonzero()));
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, &path)?;
    let config = config.and_then(|config| std::path::absolute(config).ok());
    thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else {
                    // Too many files are open, perhaps.
                    thread::park_timeout(PAUSE);
                    continue;
                };
                let (config, orders) = (config.clone(), orders.clone());
                // One that says nothing must not keep others waiting.
                let _ = thread::Builder::new()
                    .name("control".to_owned())
                    .spawn(move || converse(client, config.as_deref(), &orders));
            }
        })?;
    Ok(())
}

fn converse(client: UnixStream, config: Option<&Path>, orders: &mpsc::Sender<Order>) {
    if !is_trusted(&client) {
        return;
    }
    let Ok(wire) = Wire::new(client, PATIENCE) else {
        return;
    };
    let Ok(line) = wire.hear() else { return };
    let Some(command) = line.strip_prefix(GREETING).map(str::trim) else {
        let _ =
            wire.say("failed this daemon does not understand you: it speaks `tollgate control 1`");
        return;
    };
    let (command, file) = command.split_once(' ').unwrap_or((command, ""));
    if let Some(config) = config
        && !file.is_empty()
        && !is_same(Path::new(file), config)
    {
        let config = config.display();
        let _ = wire.say(&format!(
            "failed the daemon here runs with {config}; name that file, or the one whose \
             server.runtime_dir is the right one"
        ));
        return;
    }
    let (reply, answer) = oneshot::channel();
    let order = match command {
        "reload" => Order::Reload(reply),
        "upgrade" => Order::Upgrade(reply),
        "handover" => {
            let _ = orders.blocking_send(Order::HandOver(wire));
            return;
        }
        other => {
            let _ = wire.say(&format!("failed there is no order {other:?}"));
            return;
        }
    };
    if orders.blocking_send(order).is_err() {
        return;
    }
    let line = match answer.blocking_recv() {
        Ok(Answer::Done(what)) => format!("done {what}"),
        Ok(Answer::Failed(why)) => format!("failed {why}"),
        Ok(Answer::Busy) | Err(_) => "busy".to_owned(),
    };
    let _ = wire.say(&line);
}

/// Whether two paths are one, or lead to one file now: links may have been changed since the start.
fn is_same(one: &Path, other: &Path) -> bool {
    let end = |path: &Path| path.canonicalize().ok();
    one == other || end(one).is_some_and(|end_of_one| Some(end_of_one) == end(other))
}

/// The folder keeps others out already; this holds where it does not.
fn is_trusted(client: &UnixStream) -> bool {
    socket_peercred(client).is_ok_and(|peer| peer.uid.is_root() || peer.uid == geteuid())
}
