//! Counters on disk: a journal of changes that all processes of this host append to and read.
//!
//! Everybody appends under one file lock, whole frames in one write, and reads what others appended
//! since. What a process holds is written too, and counts for as long as that process lives, which
//! its lock on a file of its own tells. A journal that has grown is written anew by whoever sees it
//! first; the others notice by its inode and read it from the start.

use super::frame::Frame;
use super::sheet::Change;
use crate::base::chance::random;
use std::collections::{HashMap, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const JOURNAL: &str = "counters.journal";
const FRESH: &str = "counters.journal.new";
const LOCK: &str = "counters.lock";
const KEY: &str = "counters.key";
const WRITER: &str = "counters.writer-";
/// A journal shorter than this is never written anew.
const SHORT_BYTES: u64 = 4 << 20;
/// How often what was written is forced to the disk at most.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// What may wait for a disk that takes nothing.
const BACKLOG_BYTES_MAX: usize = 16 << 20;

/// What the journal says since it was last read.
#[derive(Debug, Default)]
pub struct News {
    /// It was read from its start: what is known so far is to be forgotten.
    pub anew: bool,
    pub frames: Vec<Frame>,
}

/// What a process has to say of one counter.
pub struct Line {
    pub name: Frame,
    pub change: Change,
    /// It had stood empty, so that others may have dropped it.
    pub anew: bool,
}

pub struct Journal {
    folder: PathBuf,
    lock: File,
    /// Names this process; its file stays locked as long as it lives.
    writer: u64,
    _alive: File,
    file: File,
    inode: u64,
    read_to: u64,
    /// The length when it was last written anew.
    fresh_bytes: u64,
    named: HashSet<u128>,
    held_abroad: HashMap<u64, HashMap<u128, i64>>,
    backlog: Vec<u8>,
    synced: Option<Instant>,
}

impl Journal {
    /// Opens the journal of `folder`, or begins one.
    ///
    /// # Errors
    /// The folder cannot be made, or a file in it not be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let writer = u64::from_le_bytes(random()?);
        let alive = open(&writer_path(folder, writer))?;
        alive.lock()?;
        let lock = open(&folder.join(LOCK))?;
        let file = open(&folder.join(JOURNAL))?;
        Ok(Self {
            folder: folder.to_owned(),
            lock,
            writer,
            _alive: alive,
            file,
            // None has this: the first look reads everything.
            inode: 0,
            read_to: 0,
            fresh_bytes: 0,
            named: HashSet::new(),
            held_abroad: HashMap::new(),
            backlog: Vec::new(),
            synced: None,
        })
    }

    /// The key that this folder's ids are hashed with; made once.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn key(&mut self) -> io::Result<[u8; 32]> {
        self.enter()?;
        let key = self.find_key();
        self.leave();
        key
    }

    fn find_key(&self) -> io::Result<[u8; 32]> {
        let path = self.folder.join(KEY);
        let mut bytes = Vec::new();
        open(&path)?.read_to_end(&mut bytes)?;
        if let Ok(key) = bytes.try_into() {
            return Ok(key);
        }
        let key: [u8; 32] = random()?;
        let fresh = self.folder.join(format!("{KEY}.new"));
        let mut file = open(&fresh)?;
        file.write_all(&key)?;
        file.sync_data()?;
        fs::rename(&fresh, &path)?;
        Ok(key)
    }

    /// Keeps all other processes out until [`Journal::leave`].
    ///
    /// # Errors
    /// The lock cannot be taken.
    pub fn enter(&mut self) -> io::Result<()> {
        self.lock.lock()
    }

    pub fn leave(&mut self) {
        if let Err(fault) = self.lock.unlock() {
            tracing::warn!(%fault, "the counters' lock cannot be given back");
        }
    }

    /// What others wrote since the last time, and what the dead held. Only between `enter` and `leave`.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn listen(&mut self) -> io::Result<News> {
        let mut news = News::default();
        let inode = fs::metadata(self.folder.join(JOURNAL)).map_or(0, |file| file.ino());
        if inode != self.inode {
            self.file = open(&self.folder.join(JOURNAL))?;
            self.inode = self.file.metadata()?.ino();
            self.read_to = 0;
            self.named.clear();
            self.held_abroad.clear();
            news.anew = true;
        }
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.read_to))?;
        self.file.read_to_end(&mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((frame, after)) = Frame::read(rest) {
            rest = after;
            if let Some(frame) = frame {
                self.hear(frame, &mut news);
            }
        }
        self.read_to += (bytes.len() - rest.len()) as u64;
        if !rest.is_empty() {
            // Nobody else is writing: this is what a crash or a bad disk left.
            tracing::warn!(
                bytes = rest.len(),
                "the counters' journal ends in damage, which is cut off"
            );
            self.file.set_len(self.read_to)?;
        }
        if news.anew {
            self.fresh_bytes = self.read_to;
        }
        self.bury(&mut news);
        Ok(news)
    }

    /// Reads everything again at the next [`Journal::listen`].
    pub fn forget(&mut self) {
        self.inode = 0;
    }

    fn hear(&mut self, frame: Frame, news: &mut News) {
        match &frame {
            Frame::Name { id, .. } => {
                self.named.insert(*id);
            }
            Frame::Change { id, writer, change } if *writer == self.writer => {
                // What this process holds it knows itself.
                let (id, writer) = (*id, *writer);
                let change = Change { held: 0, ..*change };
                news.frames.push(Frame::Change { id, writer, change });
                return;
            }
            Frame::Change { id, writer, change } => {
                if change.held != 0 {
                    let held = self.held_abroad.entry(*writer).or_default();
                    *held.entry(*id).or_default() += change.held;
                }
            }
        }
        news.frames.push(frame);
    }

    /// Gives back what processes held that are dead.
    fn bury(&mut self, news: &mut News) {
        let folder = &self.folder;
        let dead = self
            .held_abroad
            .extract_if(|writer, _| !is_alive(folder, *writer));
        for (writer, held) in dead {
            for (id, held) in held.into_iter().filter(|(_, held)| *held != 0) {
                let change = Change {
                    held: -held,
                    ..Change::default()
                };
                news.frames.push(Frame::Change { id, writer, change });
            }
        }
    }

    /// Appends what this process has to say: changes, and the names of their counters where others
    /// may not know them. Only between `enter` and `leave`, after `listen`.
    ///
    /// # Errors
    /// The disk does not take it; it is tried again the next time.
    pub fn say(&mut self, lines: impl Iterator<Item = Line>) -> io::Result<()> {
        for Line { name, change, anew } in lines {
            let Frame::Name { id, .. } = name else {
                continue;
            };
            if self.named.insert(id) || anew {
                name.write(&mut self.backlog);
            }
            let writer = self.writer;
            Frame::Change { id, writer, change }.write(&mut self.backlog);
        }
        if self.backlog.is_empty() {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(self.read_to))?;
        if let Err(fault) = self.file.write_all(&self.backlog) {
            // A part of a frame must not stand before whole ones.
            self.file.set_len(self.read_to)?;
            if self.backlog.len() > BACKLOG_BYTES_MAX {
                self.backlog.clear();
                self.named.clear();
            }
            return Err(fault);
        }
        self.read_to += self.backlog.len() as u64;
        self.backlog.clear();
        self.synced.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Whether it would be much shorter if it were written anew.
    pub fn is_long(&self) -> bool {
        // What is not known at the moment must not be left out.
        self.inode != 0 && self.read_to > SHORT_BYTES.max(4 * self.fresh_bytes)
    }

    /// Writes it anew: `lines` are all counters with their changes, what this process holds among
    /// them. Only between `enter` and `leave`, after `listen` and `say`.
    ///
    /// # Errors
    /// The disk does not take it; the old one stays.
    pub fn rewrite(&mut self, lines: impl Iterator<Item = (Frame, Vec<Change>)>) -> io::Result<()> {
        let path = self.folder.join(FRESH);
        fs::remove_file(&path).or_else(|fault| match fault.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(fault),
        })?;
        let mut bytes = Vec::new();
        let mut named = HashSet::new();
        for (name, changes) in lines {
            let Frame::Name { id, .. } = name else {
                continue;
            };
            named.insert(id);
            name.write(&mut bytes);
            for change in changes {
                let writer = if change.held == 0 { 0 } else { self.writer };
                Frame::Change { id, writer, change }.write(&mut bytes);
            }
        }
        for (writer, held) in &self.held_abroad {
            for (id, held) in held.iter().filter(|(_, held)| **held != 0) {
                let (id, writer) = (*id, *writer);
                let change = Change {
                    held: *held,
                    ..Change::default()
                };
                Frame::Change { id, writer, change }.write(&mut bytes);
            }
        }
        let mut file = open(&path)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&path, self.folder.join(JOURNAL))?;
        File::open(&self.folder)?.sync_data()?;
        self.inode = file.metadata()?.ino();
        self.file = file;
        self.read_to = bytes.len() as u64;
        self.fresh_bytes = self.read_to;
        self.named = named;
        self.synced = None;
        Ok(())
    }

    /// Forces what was written to the disk, if that was a second ago; at once where `now` is true.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&mut self, now: bool) -> io::Result<()> {
        if self
            .synced
            .is_some_and(|since| now || since.elapsed() >= SYNC_EVERY)
        {
            self.synced = None;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(fault) = fs::remove_file(writer_path(&self.folder, self.writer)) {
            tracing::debug!(%fault, "a counters' writer file cannot be removed");
        }
    }
}

fn writer_path(folder: &Path, writer: u64) -> PathBuf {
    folder.join(format!("{WRITER}{writer:016x}"))
}

/// Whether the process that wrote as this one still runs; the file of a dead one is removed.
fn is_alive(folder: &Path, writer: u64) -> bool {
    let path = writer_path(folder, writer);
    let Ok(file) = File::open(&path) else {
        return false;
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => true,
        Ok(()) | Err(TryLockError::Error(_)) => {
            if let Err(fault) = fs::remove_file(&path) {
                tracing::debug!(%fault, "a counters' writer file cannot be removed");
            }
            false
        }
    }
}

/// For reading and writing, made where it is not there; for this user alone.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path)
}
