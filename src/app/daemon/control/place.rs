//! The folder of a running daemon, where others find it.

use crate::config::Config;
use rustix::process::{geteuid, getuid};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The socket in it.
const SOCKET: &str = "control.sock";
/// Where root's daemon is.
const OF_SYSTEM: &str = "/run/tollgate";

/// The folder that belongs to `config`: what systemd made (`$RUNTIME_DIRECTORY`), else
/// `server.runtime_dir`, else root's or the user's own. `None` where a user has none.
pub fn runtime_dir(config: &Config) -> Option<PathBuf> {
    let own = || match getuid().is_root() {
        true => Some(PathBuf::from(OF_SYSTEM)),
        false => Some(named_by("XDG_RUNTIME_DIR")?.join("tollgate")),
    };
    made()
        .or_else(|| config.server.runtime_dir.clone())
        .or_else(own)
}

/// The folder that systemd made for the daemon, or for a command that it runs beside the daemon.
pub fn made() -> Option<PathBuf> {
    named_by("RUNTIME_DIRECTORY")
}

fn named_by(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.filter(|path| path.is_absolute())
}

/// The control socket in `folder`.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// The folder as a daemon's own. `None` where it cannot be used, or is another daemon's: then only
/// signals reach this one, which is said in the notes. `takes_over` is whether that other one is to
/// be followed.
pub fn claim(config: &Config, takes_over: bool) -> Option<PathBuf> {
    const LOST: &str = "`tollgate reload` and `tollgate upgrade` cannot reach this daemon";
    let Some(folder) = runtime_dir(config) else {
        tracing::warn!("{LOST}: it has no runtime folder (server.runtime_dir)");
        return None;
    };
    let shown = folder.display();
    if let Err(error) = prepare(&folder) {
        tracing::warn!(%error, "{LOST}: {shown} cannot be used (server.runtime_dir)");
        return None;
    }
    if !takes_over && UnixStream::connect(socket(&folder)).is_ok() {
        tracing::warn!("{LOST}: another one is in {shown}; give each its own server.runtime_dir");
        return None;
    }
    Some(folder)
}

/// Makes `folder`, for nobody but this user.
///
/// # Errors
/// It cannot be made, or others could put a socket of theirs into it.
fn prepare(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let found = std::fs::metadata(folder)?;
    let own = found.uid() == geteuid().as_raw();
    if !own || found.mode() & 0o022 != 0 {
        let what = "it belongs to another user, or others may write into it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}
