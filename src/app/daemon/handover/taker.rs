//! The new process's side: asks for everything, and serves when it is told to.

use super::{Estate, GREETING, Parting, launch};
use crate::app::daemon::control::{self, place, wire::Wire};
use crate::app::daemon::sockets::Sockets;
use crate::app::daemon::systemd;
use crate::config::Config;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How long the predecessor may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection to the predecessor, until it has handed over.
#[derive(Debug)]
pub struct Taker(Wire);

/// What the predecessor left.
pub struct Inheritance {
    pub sockets: Sockets,
    /// Sockets to older processes that still drain.
    pub drainers: Vec<UnixStream>,
    /// The folder of what processes have counted.
    pub legacy: Option<PathBuf>,
}

/// Who is to serve.
pub enum Turn {
    /// This process, in the other's place, which told this last.
    Ours(Box<Parting>),
    /// This process: the predecessor has died meanwhile, and nobody else will start another.
    Alone,
}

impl Taker {
    /// Reaches the predecessor: the one that started this process, else the daemon that runs with
    /// `config`'s runtime folder.
    ///
    /// # Errors
    /// There is none.
    pub fn connect(config: Option<&Config>) -> Result<Self> {
        let wire = match launch::inherited_socket()? {
            Some(socket) => Wire::new(socket, PATIENCE)?,
            None => knock(config.context("there is no configuration")?)?,
        };
        Ok(Self(wire))
    }

    /// Asks for everything.
    ///
    /// # Errors
    /// The predecessor is gone, or speaks another version.
    pub fn receive(&self) -> Result<Inheritance> {
        let pid = std::process::id();
        let greeting = format!("{GREETING} {pid} {}", env!("CARGO_PKG_VERSION"));
        self.0.say(&greeting)?;
        let answer = self
            .0
            .hear()
            .context("the running process did not hand over")?;
        let mut words = answer.split(' ');
        let (Some("estate"), Some(Ok(length)), Some(Ok(files))) = (
            words.next(),
            words.next().map(str::parse),
            words.next().map(str::parse),
        ) else {
            bail!("the running process did not hand over: {answer}");
        };
        let estate: Estate = serde_json::from_slice(&self.0.receive(length)?)?;
        let mut files = self.0.receive_files(files)?.into_iter();
        let listeners = files.by_ref().take(estate.listeners.len());
        let sockets = Sockets::inherited(listeners.map(TcpListener::from));
        Ok(Inheritance {
            sockets,
            drainers: files.map(UnixStream::from).collect(),
            legacy: estate.legacy,
        })
    }

    /// Says that this process could serve, and waits for the word to do so.
    ///
    /// # Errors
    /// The predecessor does not want it; or is gone, and systemd will start another with the sockets
    /// that it keeps.
    pub fn ready(&self) -> Result<Turn> {
        self.0.say("ready")?;
        match self.0.hear() {
            Ok(word) => match word.strip_prefix("serve ").map(str::parse) {
                Some(Ok(length)) => {
                    let parting = serde_json::from_slice(&self.0.receive(length)?)?;
                    Ok(Turn::Ours(parting))
                }
                _ => bail!("the running process did not hand over: {word}"),
            },
            Err(error) if systemd::is_there() => {
                Err(error).context("the running process ended while it handed over")
            }
            Err(error) if has_died(&error) => Ok(Turn::Alone),
            Err(error) => Err(error).context("the running process did not hand over"),
        }
    }

    /// Says that this process serves, and waits until it is the main one.
    ///
    /// # Errors
    /// It has, before systemd was told of this process: systemd will start another one, with the
    /// sockets that it keeps. Or it wants no successor any more.
    pub fn serving(&self) -> Result<()> {
        let main = self.0.say("serving").and_then(|()| self.0.hear());
        match main {
            Ok(word) if word == "main" => Ok(()),
            Ok(word) => bail!("the running process took it back: {word}"),
            Err(error) if has_died(&error) && !systemd::is_there() => Ok(()),
            Err(error) => Err(error).context("the running process ended while it handed over"),
        }
    }

    /// Says that all is done. Gives the socket on which the predecessor, which drains now, can be told
    /// something.
    pub fn settled(self) -> UnixStream {
        // It may have died; then there is nobody to tell.
        let _ = self.0.say("settled");
        self.0.into_socket()
    }

    /// A way to break the connection while another thread listens to it.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn breaker(&self) -> std::io::Result<UnixStream> {
        self.0.socket().try_clone()
    }

    /// Says why this process cannot take over.
    pub fn fail(&self, why: &str) {
        // The predecessor may be gone, or may have heard enough.
        let _ = self.0.say(&format!("failed {why}"));
    }
}

/// Whether this is how a connection to a process ends that has died; one that does not want its
/// successor says so.
fn has_died(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset)
}

/// Asks the daemon that answers on the control socket.
fn knock(config: &Config) -> Result<Wire> {
    let folder = place::runtime_dir(config)
        .context("no running daemon can be found without a runtime folder (server.runtime_dir)")?;
    let path = place::socket(&folder);
    let socket = UnixStream::connect(&path).with_context(|| {
        let path = path.display();
        format!("no daemon to take over from answers at {path}; start without --upgrade")
    })?;
    let wire = Wire::new(socket, PATIENCE)?;
    wire.say(&format!("{} handover", control::GREETING))?;
    Ok(wire)
}
