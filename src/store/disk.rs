//! Entries as files, one each, bounded by the blocks that they take.
//!
//! A file is written under another name and then renamed, so a reader sees a whole file or none, and
//! two processes may share the directory: the old and the new one while a daemon is upgraded. What a
//! power cut or a bad disk leaves behind does not pass its checksum, and is removed. A file's time of
//! modification is the moment at which its entry is of no use any more.
//!
//! Nearly everything here waits for the disk: it is to be called where waiting is allowed.

use super::entry::{Entry, Key};
use super::health::Health;
use crate::base::clock::Moment;
use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, ResolveFlags, flock, fstat, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const BLOCK_BYTES: u64 = 4096;
/// No share of the bound is smaller than this, so that large entries find a place.
const SHARE_BYTES_MIN: u64 = 256 << 20;
const SHARES_MAX: u64 = 16;
/// What is half written for longer than this was given up: its process was killed.
const WRITING_MAX: Duration = Duration::from_secs(60);
/// Between a file's rename and the time that is put on it.
const DATING_MAX: Duration = Duration::from_secs(5);
/// What a file may be longer than the largest entry: head, label and lead.
const ROOM_BYTES: u64 = 1 << 20;
/// What is copied out of the system's memory at once takes a fraction of a millisecond.
const READ_NOW_BYTES_MAX: usize = 2 << 20;
const UNFINISHED: &str = "unfinished";

/// A directory of entries.
pub struct Disk {
    root: PathBuf,
    entry_bytes_max: u64,
    /// The blocks of each file that is known.
    files: Cache<Key, u32, Blocks, DefaultHashBuilder, Evicted>,
    pub health: Health,
    count: AtomicU64,
    /// Whether the file system can tell what it has in memory.
    reads_now: AtomicBool,
}

#[derive(Clone)]
struct Blocks;

impl Weighter<Key, u32> for Blocks {
    fn weight(&self, _: &Key, blocks: &u32) -> u64 {
        u64::from(*blocks)
    }
}

/// Collects the keys whose files have to go.
#[derive(Clone)]
struct Evicted;

impl Lifecycle<Key, u32> for Evicted {
    type RequestState = Vec<Key>;

    fn on_evict(&self, state: &mut Vec<Key>, key: Key, _: u32) {
        state.push(key);
    }
}

impl Disk {
    /// A directory that may not exist yet; `None` without room.
    pub fn new(root: PathBuf, bytes_max: u64, entry_bytes_max: u64) -> Option<Self> {
        let blocks = bytes_max / BLOCK_BYTES;
        let shares = (bytes_max / SHARE_BYTES_MIN).clamp(1, SHARES_MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(1024)
            .weight_capacity(blocks)
            .shards(usize::try_from(shares).unwrap_or(1))
            .build()
            .ok()?;
        let disk = Self {
            files: Cache::with_options(options, Blocks, DefaultHashBuilder::default(), Evicted),
            root,
            entry_bytes_max,
            health: Health::default(),
            count: AtomicU64::new(0),
            reads_now: AtomicBool::new(true),
        };
        if let Err(fault) = disk.make_folder(&disk.root.join(UNFINISHED)) {
            disk.health.failed(&disk.root, &fault);
        }
        Some(disk)
    }

    /// The entry of a key. A damaged one is removed.
    pub fn read(&self, key: &Key) -> Option<Entry> {
        let path = self.path(key);
        match self.read_file(&path) {
            Ok(bytes) => self.take(key, &path, bytes),
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                self.files.remove(key);
                None
            }
            Err(fault) => {
                self.health.failed(&path, &fault);
                None
            }
        }
    }

    /// The same without waiting: `None` also where the system does not have the whole file in memory,
    /// and where something would have to be removed.
    pub fn read_now(&self, key: &Key) -> Option<Entry> {
        if !self.reads_now.load(Ordering::Relaxed) {
            return None;
        }
        self.files.get(key)?;
        let bytes = match read_cached(&self.path(key)) {
            Ok(bytes) => bytes?,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                // Nor will it the next time.
                self.reads_now.store(false, Ordering::Relaxed);
                return None;
            }
            Err(_) => return None,
        };
        Entry::read(bytes, key, Moment::now()).ok()
    }

    fn take(&self, key: &Key, path: &Path, bytes: Bytes) -> Option<Entry> {
        let length = bytes.len() as u64;
        match Entry::read(bytes, key, Moment::now()) {
            Ok(entry) => {
                if self.files.get(key).is_none() {
                    self.enter(*key, length);
                }
                Some(entry)
            }
            Err(damaged) => {
                tracing::warn!(path = %path.display(), "{damaged}: removed");
                self.remove(key);
                None
            }
        }
    }

    fn read_file(&self, path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        let length = file
            .metadata()?
            .len()
            .min(self.entry_bytes_max + ROOM_BYTES);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        // One byte more than it may have shows that it has too many.
        file.take(length + 1).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    /// Writes an entry. A disk that fails is told once, and left alone for a while.
    pub fn write(&self, entry: &Entry) {
        if entry.bytes() as u64 > self.entry_bytes_max + ROOM_BYTES || !self.health.may_try() {
            return;
        }
        let path = self.path(&entry.key);
        let mut written = self.write_file(&path, &entry.file(), Some(entry.ends()));
        if matches!(&written, Err(fault) if fault.kind() == ErrorKind::NotFound) {
            // The first of its folder, or somebody has removed the directory.
            let made = path
                .parent()
                .map_or(Ok(()), |folder| self.make_folder(folder));
            let made = made.and_then(|()| self.make_folder(&self.root.join(UNFINISHED)));
            written = made.and_then(|()| self.write_file(&path, &entry.file(), Some(entry.ends())));
        }
        match written {
            Ok(()) => {
                self.health.worked();
                self.enter(entry.key, entry.bytes() as u64);
            }
            Err(fault) => self.health.failed(&path, &fault),
        }
    }

    fn write_file(&self, path: &Path, parts: &[Bytes], date: Option<SystemTime>) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let unfinished = self.root.join(UNFINISHED).join(name);
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&unfinished)?;
            for part in parts {
                file.write_all(part)?;
            }
            fs::rename(&unfinished, path)?;
            date.map_or(Ok(()), |date| file.set_modified(date))
        };
        let written = write();
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    pub fn remove(&self, key: &Key) {
        self.files.remove(key);
        let path = self.path(key);
        match fs::remove_file(&path) {
            Err(fault) if fault.kind() != ErrorKind::NotFound => self.health.failed(&path, &fault),
            _ => {}
        }
    }

    /// Notes a file's size; what has to give way for it is removed.
    fn enter(&self, key: Key, bytes: u64) {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX);
        let mut evicted = Vec::new();
        self.files.insert_with_lifecycle(key, blocks, &mut evicted);
        for key in evicted {
            self.remove(&key);
        }
    }

    /// Goes through the directory: learns what is there, forgets what is gone, and removes what has
    /// expired or was never finished.
    pub fn walk(&self) {
        let now = SystemTime::now();
        let is_older = |path: &Path, age: Duration| {
            let modified = fs::metadata(path).and_then(|data| data.modified());
            modified.is_ok_and(|at| now.duration_since(at).is_ok_and(|since| since > age))
        };
        for path in list(&self.root.join(UNFINISHED)) {
            if is_older(&path, WRITING_MAX) {
                let _ = fs::remove_file(path);
            }
        }
        self.files.retain(|key, _| self.path(key).exists());
        for path in list(&self.root)
            .flat_map(|folder| list(&folder))
            .flat_map(|folder| list(&folder))
        {
            let Some(key) = path.file_name().and_then(read_name) else {
                continue;
            };
            if is_older(&path, DATING_MAX) {
                self.remove(&key);
            } else if self.files.peek(&key).is_none()
                && let Ok(data) = fs::metadata(&path)
            {
                self.enter(key, data.len());
            }
        }
    }

    /// A small file beside the entries, by name; empty where there is none.
    ///
    /// # Errors
    /// It is there but cannot be read.
    pub fn read_note(&self, name: &str) -> io::Result<Vec<u8>> {
        match fs::read(self.root.join(name)) {
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    /// Changes such a file, one process after the other.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn change_note(&self, name: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<()> {
        self.make_folder(&self.root.join(UNFINISHED))?;
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(self.root.join("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let changed = change(&self.read_note(name)?);
        self.write_file(&self.root.join(name), &[changed.into()], None)
    }

    pub fn entries(&self) -> usize {
        self.files.len()
    }

    /// What the files take, in whole blocks.
    pub fn bytes(&self) -> u64 {
        self.files.weight() * BLOCK_BYTES
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn path(&self, key: &Key) -> PathBuf {
        let name = key.to_string();
        let (first, rest) = name.split_at_checked(2).unwrap_or_default();
        let (second, _) = rest.split_at_checked(2).unwrap_or_default();
        self.root.join(first).join(second).join(&name)
    }
}

/// A file that is in memory already; `None` where it is too large for that.
///
/// # Errors
/// Some of it would have to be waited for, or the system cannot tell.
fn read_cached(path: &Path) -> rustix::io::Result<Option<Bytes>> {
    // Without NOATIME each reading would be noted in the file system: a file is modified in the
    // future, when its entry ends.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOATIME;
    let file = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED)?;
    let length = usize::try_from(fstat(&file)?.st_size).unwrap_or(usize::MAX);
    if length > READ_NOW_BYTES_MAX {
        return Ok(None);
    }
    // One byte more than it has shows that it has grown.
    let mut bytes = vec![0; length + 1];
    let parts = &mut [IoSliceMut::new(&mut bytes)];
    let read = preadv2(&file, parts, 0, ReadWriteFlags::NOWAIT)?;
    bytes.truncate(read);
    Ok((read == length).then(|| bytes.into()))
}

fn list(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).ok().into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// The key in a file's name.
fn read_name(name: &OsStr) -> Option<Key> {
    let name = name.to_str().filter(|name| name.len() == 2 * Key::BYTES)?;
    let mut key = Key([0; Key::BYTES]);
    for (at, byte) in key.0.iter_mut().enumerate() {
        *byte = u8::from_str_radix(name.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests;
