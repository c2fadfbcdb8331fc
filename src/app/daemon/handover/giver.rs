//! The old process's side: starts a successor and gives it everything.

use super::launch::{Binary, Launcher};
use super::{Estate, GREETING, Parting};
use crate::app::daemon::control::wire::{FILES_MAX, Wire};
use crate::app::daemon::sockets::Sockets;
use crate::app::daemon::systemd;
use arc_swap::ArcSwap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Pid;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a successor may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long it may take from the word to serve until it does.
const SERVING_MAX: Duration = Duration::from_secs(10);
/// How long both serve, before the old one stops: a new one that dies of its first connections was
/// none, and systemd, which would not know of it yet, would start no other.
const PROBATION: Duration = Duration::from_millis(100);
/// How long it may take to tell a process something.
const HURRY_MAX: Duration = Duration::from_millis(100);
/// Processes that drain and wait for idle connections; older ones are told to hurry.
const PATIENT_MAX: usize = 16;

/// Why there is no successor. The process that was to be followed serves on.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    #[error("{path} cannot be executed: {source}", path = .path.display())]
    Launch { path: PathBuf, source: io::Error },
    #[error("the successor could not start: {0}")]
    Failed(String),
    #[error(
        "the successor ended before it took over; what it wrote to its standard error says why"
    )]
    Ended,
    #[error("the successor ended just after it took over")]
    Lost,
    #[error(
        "the successor ended as soon as it served; what it wrote to its standard error says why"
    )]
    Crashed,
    #[error(
        "the successor was not ready within {} s; what it wrote to its standard error may say why",
        READY_MAX.as_secs()
    )]
    Silent,
    #[error(
        "the successor was ready, but did not serve within {} s of being told to; try again",
        SERVING_MAX.as_secs()
    )]
    Stalled,
    #[error("the successor speaks {0:?}, which is no hand-over that this version knows")]
    Foreign(String),
    #[error(
        "this is the first process of its container, which ends with it: restart the container"
    )]
    First,
    #[error("the daemon was told to stop meanwhile")]
    Abandoned,
    #[error("the connection to the successor broke: {0}")]
    Broken(#[source] io::Error),
}

impl From<io::Error> for GiveError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset => Self::Ended,
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Broken(error),
        }
    }
}

/// A process that serves in the place of this one.
#[derive(Debug)]
pub struct Successor {
    pub pid: Pid,
    pub version: String,
    /// Open for as long as that process, or one that follows it, is there.
    pub socket: UnixStream,
}

/// What there is to give, and how.
pub struct Giver {
    binary: Binary,
    config: Option<PathBuf>,
    sockets: ArcSwap<Sockets>,
    /// Sockets to predecessors that still drain, the oldest first.
    drainers: Mutex<Vec<UnixStream>>,
    candidate: Mutex<Candidate>,
}

/// The process that is about to become the successor.
#[derive(Debug, Default)]
struct Candidate {
    socket: Option<UnixStream>,
    /// Nobody is to become it.
    abandoned: bool,
}

impl Giver {
    /// `config` is the file that this process was started with.
    pub fn new(
        binary: Binary,
        config: Option<PathBuf>,
        sockets: Arc<Sockets>,
        drainers: Vec<UnixStream>,
    ) -> Self {
        Self {
            binary,
            config,
            sockets: ArcSwap::new(sockets),
            drainers: Mutex::new(drainers),
            candidate: Mutex::default(),
        }
    }

    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// Starts a successor and hands over to it.
    ///
    /// # Errors
    /// There is none; nothing has changed then.
    pub fn start(&self, hand: &Hand<'_>) -> Result<Successor, GiveError> {
        if rustix::process::getpid().is_init() {
            return Err(GiveError::First);
        }
        let (own, its) = UnixStream::pair()?;
        self.expect(&own)?;
        let launched = Launcher::start(&self.binary, self.config.as_deref(), its);
        let mut launcher = launched.map_err(|source| GiveError::Launch {
            path: self.binary.path().to_owned(),
            source,
        })?;
        let given = Wire::new(own, READY_MAX)
            .map_err(GiveError::from)
            .and_then(|wire| {
                let greeting = wire.hear()?;
                self.give(wire, &greeting, hand)
            });
        match &given {
            Ok(_) => launcher.reap(),
            Err(_) => launcher.kill(),
        }
        given
    }

    /// Hands over to the process at the other end, which said `greeting`.
    ///
    /// # Errors
    /// It did not become a successor; nothing has changed then.
    pub fn give(
        &self,
        wire: Wire,
        greeting: &str,
        hand: &Hand<'_>,
    ) -> Result<Successor, GiveError> {
        self.expect(wire.socket())?;
        let given = self.converse(wire, greeting, hand);
        if given.is_err() {
            dismiss(lock(&self.candidate).socket.take());
        }
        given
    }

    fn converse(
        &self,
        wire: Wire,
        greeting: &str,
        hand: &Hand<'_>,
    ) -> Result<Successor, GiveError> {
        let (pid, version) = greeted(greeting)?;
        wire.set_patience(READY_MAX)?;
        let mut drainers = lock(&self.drainers);
        drainers.retain(is_there);
        self.bequeath(&wire, &drainers, hand)?;
        match wire.hear()?.split_once(' ') {
            None => {}
            Some((_, why)) => return Err(GiveError::Failed(why.to_owned())),
        }
        let parting = (hand.part)();
        let parting = serde_json::to_vec(&parting).map_err(io::Error::from)?;
        self.check_wanted()?;
        wire.set_patience(SERVING_MAX)?;
        wire.say(&format!("serve {}", parting.len()))?;
        wire.send(&parting)?;
        wire.hear().map_err(|error| match GiveError::from(error) {
            GiveError::Silent => GiveError::Stalled,
            other => other,
        })?;
        if ends_within(wire.socket(), PROBATION) {
            return Err(GiveError::Crashed);
        }
        self.accept()?;
        // It serves. What fails from here on does not undo that, but its death.
        systemd::name_main(pid);
        let settled = wire.say("main").and_then(|()| wire.hear());
        if settled.is_err() && !is_there(wire.socket()) {
            return Err(match systemd::is_there() {
                true => GiveError::Lost,
                false => GiveError::Ended,
            });
        }
        Ok(Successor {
            pid,
            version,
            socket: wire.into_socket(),
        })
    }

    /// Takes note of a predecessor that drains now.
    pub fn follow(&self, predecessor: Option<UnixStream>) {
        lock(&self.drainers).extend(predecessor);
        self.hurry_the_oldest();
    }

    /// Lets go of the listening sockets, once nothing is accepted here any more. One that nobody else
    /// has refuses from then on, instead of keeping clients in a queue that nobody empties.
    pub fn close(&self) {
        self.sockets.store(Arc::default());
    }

    /// Gives up what is under way: this process is to end, and nobody is to take its place.
    pub fn abandon(&self) {
        let mut candidate = lock(&self.candidate);
        candidate.abandoned = true;
        dismiss(candidate.socket.take());
    }

    /// Takes note of a process that is about to become the successor.
    fn expect(&self, socket: &UnixStream) -> Result<(), GiveError> {
        let mut candidate = lock(&self.candidate);
        if candidate.abandoned {
            return Err(GiveError::Abandoned);
        }
        candidate.socket = Some(socket.try_clone()?);
        Ok(())
    }

    fn check_wanted(&self) -> Result<(), GiveError> {
        match lock(&self.candidate).abandoned {
            true => Err(GiveError::Abandoned),
            false => Ok(()),
        }
    }

    /// The candidate is the successor from now on: it can be dismissed no more.
    fn accept(&self) -> Result<(), GiveError> {
        let mut candidate = lock(&self.candidate);
        if candidate.abandoned {
            return Err(GiveError::Abandoned);
        }
        candidate.socket = None;
        Ok(())
    }

    fn bequeath(
        &self,
        wire: &Wire,
        drainers: &[UnixStream],
        hand: &Hand<'_>,
    ) -> Result<(), GiveError> {
        let sockets = self.sockets.load();
        let (addresses, mut files): (Vec<_>, Vec<_>) = sockets.files().unzip();
        let room = FILES_MAX.saturating_sub(files.len());
        let youngest = drainers.len().saturating_sub(room);
        let drainers = drainers.get(youngest..).unwrap_or_default();
        files.extend(drainers.iter().map(AsFd::as_fd));
        let estate = Estate {
            listeners: addresses,
            drainers: drainers.len(),
            legacy: hand.legacy.map(Path::to_owned),
        };
        let block = serde_json::to_vec(&estate).map_err(io::Error::from)?;
        wire.say(&format!("estate {} {}", block.len(), files.len()))?;
        wire.send(&block)?;
        wire.send_files(&files)?;
        Ok(())
    }

    /// Each process that drains costs memory, so that only so many wait for idle connections.
    fn hurry_the_oldest(&self) {
        let mut drainers = lock(&self.drainers);
        drainers.retain(is_there);
        let hurried = drainers.len().saturating_sub(PATIENT_MAX);
        for socket in drainers.iter().take(hurried) {
            let told = socket.try_clone();
            let wire = told.and_then(|socket| Wire::new(socket, HURRY_MAX));
            let _ = wire.and_then(|wire| wire.say("hurry"));
        }
    }
}

/// What the giver asks of the rest of the process at the right moments.
pub struct Hand<'a> {
    /// The folder of what processes have counted.
    pub legacy: Option<&'a Path>,
    /// Writes down everything and tells what is not on disk, just before the successor serves.
    pub part: &'a dyn Fn() -> Parting,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who greets, and of which version.
fn greeted(greeting: &str) -> Result<(Pid, String), GiveError> {
    let words = greeting.strip_prefix(GREETING).unwrap_or_default();
    let mut words = words.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    match (pid.and_then(Pid::from_raw), greeting.split_once(' ')) {
        (Some(pid), _) => Ok((pid, words.next().unwrap_or("unknown").to_owned())),
        (None, Some(("failed", why))) => Err(GiveError::Failed(why.to_owned())),
        (None, _) => Err(GiveError::Foreign(greeting.to_owned())),
    }
}

/// Tells a candidate that it is not to serve, and whoever listens to it here to give up. What only ends
/// without this word has died.
fn dismiss(socket: Option<UnixStream>) {
    let Some(socket) = socket else { return };
    let told = socket.try_clone();
    let told = told.and_then(|told| Wire::new(told, HURRY_MAX));
    let _ = told.and_then(|wire| wire.say("stop"));
    let _ = socket.shutdown(Shutdown::Both);
}

/// Whether the process at the other end is still there.
fn is_there(socket: &UnixStream) -> bool {
    let mut byte = [0];
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    !matches!(
        rustix::net::recv(socket, &mut byte, flags),
        Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET)
    )
}

/// Whether that process ends within some time.
fn ends_within(socket: &UnixStream, time: Duration) -> bool {
    let Ok(time) = Timespec::try_from(time) else {
        return !is_there(socket);
    };
    let mut ended = [PollFd::new(socket, PollFlags::RDHUP)];
    let _ = poll(&mut ended, Some(&time));
    !is_there(socket)
}
