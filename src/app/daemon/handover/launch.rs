//! Starts a successor that does not depend on the process that it follows.

use rustix::process::{Pid, Signal, kill_process_group, setsid};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// Tells a successor that its standard input is the socket to its predecessor.
const BY_STDIN: &str = "TOLLGATE_HANDOVER";
/// The file that this process runs, wherever it stands by now.
const RUNNING: &str = "/proc/self/exe";
/// What systemd says to one process alone.
const OF_THIS_PROCESS: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// The binary that this process was started from, by its path: another may stand there by now.
#[derive(Clone, Debug)]
pub struct Binary(PathBuf);

impl Binary {
    /// To be asked at the start, while the path is still right. A path that the process was called by
    /// is kept with its links, which are what an installation changes.
    ///
    /// # Errors
    /// There is no /proc.
    pub fn own() -> io::Result<Self> {
        let called = std::env::args_os().next().map(PathBuf::from);
        let called = called.filter(|path| path.is_absolute());
        let is_this = |path: &PathBuf| identity(path) == identity(Path::new(RUNNING));
        if let Some(called) = called.filter(is_this) {
            return Ok(Self(called));
        }
        let own = std::env::current_exe()?.into_os_string().into_vec();
        // Where the file was replaced meanwhile, the system says so behind the path.
        let path = own.strip_suffix(b" (deleted)").unwrap_or(&own);
        Ok(Self(PathBuf::from(OsString::from_vec(path.to_owned()))))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether another file stands at the path than the one that runs.
    pub fn is_replaced(&self) -> bool {
        let now = identity(&self.0);
        now.is_some() && now != identity(Path::new(RUNNING))
    }
}

/// What makes two files one.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// A process that starts the successor, and leads the group that both belong to.
pub struct Launcher(Child);

impl Launcher {
    /// Starts `binary` so that `socket` is the successor's standard input.
    ///
    /// # Errors
    /// It cannot be executed.
    pub fn start(binary: &Binary, config: Option<&Path>, socket: UnixStream) -> io::Result<Self> {
        let mut command = Command::new(binary.path());
        command.arg("launch").stdin(OwnedFd::from(socket));
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        for name in OF_THIS_PROCESS {
            command.env_remove(name);
        }
        command.env(BY_STDIN, "stdin").spawn().map(Self)
    }

    /// Ends the launcher and whatever it started.
    pub fn kill(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id())
            && let Some(group) = Pid::from_raw(group)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.kill();
        self.reap();
    }

    /// The launcher ends as soon as it has started the successor.
    pub fn reap(&mut self) {
        let _ = self.0.wait();
    }
}

/// `tollgate launch`: starts the successor in a session of its own and ends, so that the successor
/// is a child of the first process, as a daemon that systemd started is.
///
/// # Errors
/// The binary cannot be executed.
pub fn launch(config: Option<&Path>) -> io::Result<()> {
    // It fails for a leader of a group; then there is a group already.
    let _ = setsid();
    let mut arguments: Vec<OsString> = vec!["run".into(), "--upgrade".into()];
    if let Some(config) = config {
        arguments.extend(["--config".into(), config.into()]);
    }
    Command::new(Binary::own()?.path())
        .args(arguments)
        .spawn()
        .map(drop)
}

/// The socket to the predecessor that started this process; standard input is empty afterwards.
///
/// # Errors
/// Standard input is no open file.
pub fn inherited_socket() -> io::Result<Option<UnixStream>> {
    if std::env::var_os(BY_STDIN).is_none() {
        return Ok(None);
    }
    let stdin = io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(nothing)?;
    Ok(Some(UnixStream::from(socket)))
}
