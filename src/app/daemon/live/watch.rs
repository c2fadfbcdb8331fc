//! Notices when files of the configuration change.

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing may happen before the files are looked at: whoever writes several of them is done.
const QUIET: Duration = Duration::from_millis(500);
/// How long it is waited for that quiet.
const QUIET_WITHIN: Duration = Duration::from_secs(5);

/// Who is told of keys that need an upgrade.
pub type NeedsUpgrade = Box<dyn Fn(Vec<&'static str>) + Send + Sync>;

/// Watches folders for as long as it lives.
pub struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Watch {
    /// Calls `look` after changes, until it says that nobody cares any more.
    ///
    /// # Errors
    /// The system cannot watch any more folders, or no thread be started.
    pub fn start(look: impl Fn() -> bool + Send + 'static) -> notify::Result<Self> {
        let (teller, news) = mpsc::sync_channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_err() || event.is_ok_and(|event| is_of_note(event.kind)) {
                // Where one such word is on its way already, or nobody listens any more, it is not
                // missed.
                let _ = teller.try_send(());
            }
        })?;
        let builder = thread::Builder::new().name("watch".to_owned());
        builder.spawn(move || listen(&news, look))?;
        Ok(Self {
            watcher,
            folders: BTreeSet::new(),
        })
    }

    /// Watches these folders, as far as they are there, and no others.
    pub fn follow(&mut self, mut folders: BTreeSet<PathBuf>) {
        for folder in self.folders.difference(&folders) {
            if let Err(fault) = self.watcher.unwatch(folder) {
                tracing::debug!(%fault, folder = %folder.display(), "a folder is watched no more");
            }
        }
        folders.retain(|folder| {
            if self.folders.contains(folder) {
                return true;
            }
            let watched = self.watcher.watch(folder, RecursiveMode::NonRecursive);
            if let Err(fault) = &watched {
                tracing::warn!(%fault, folder = %folder.display(), "a folder of the configuration cannot be watched");
            }
            watched.is_ok()
        });
        self.folders = folders;
    }
}

/// Whether a file may have another content from now on. A file that is still written says nothing:
/// whoever writes it closes it.
fn is_of_note(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => true,
        // A link, or a whole file that was given another name; what is only begun is closed later.
        EventKind::Create(_) => true,
        EventKind::Any | EventKind::Other => true,
        EventKind::Access(_) | EventKind::Modify(_) => false,
    }
}

fn listen(news: &Receiver<()>, look: impl Fn() -> bool) {
    while news.recv().is_ok() {
        let until = Instant::now() + QUIET_WITHIN;
        while Instant::now() < until && news.recv_timeout(QUIET).is_ok() {}
        if !look() {
            return;
        }
    }
}
