//! The files that a configuration is read from, and whether they have changed.

use crate::config::{self, Config, Faults};
use blake3::Hash;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// So much of each file is looked at: more than any of them may have.
const BYTES_MAX: u64 = 8 << 20;

#[derive(Default)]
pub struct Inputs {
    files: Vec<PathBuf>,
    /// What was in them at the last look.
    seen: Option<Hash>,
    /// The authorities that connections to providers go by, as they were at the start.
    authorities: Option<Hash>,
}

impl Inputs {
    /// The configuration that the process begins with, and its files.
    ///
    /// # Errors
    /// All its faults.
    pub fn load(path: Option<&Path>) -> Result<(Config, Self), Faults> {
        let mut inputs = Self::default();
        let mut config = inputs.read(path)?;
        if config.server.watch {
            // Which files there are is known only now, and they are to be looked at before they are
            // read.
            config = inputs.read(path)?;
        }
        inputs.authorities = config.server.ca_file.as_deref().map(digest);
        Ok((config, inputs))
    }

    /// Reads the configuration, and takes note of the files that it is read from.
    ///
    /// # Errors
    /// All its faults.
    pub fn read(&mut self, path: Option<&Path>) -> Result<Config, Faults> {
        // Looked at before they are read: what changes meanwhile is seen at the next look.
        self.look();
        let mut files = Vec::new();
        let read = config::load_noting(path, &mut files);
        if read.is_err() {
            // How far it was read depends on the fault, and any of those from before may mend it.
            let known = self.files.iter().filter(|file| !files.contains(file));
            let known: Vec<_> = known.cloned().collect();
            files.extend(known);
        }
        if files != self.files {
            self.files = files;
            self.look();
        }
        read
    }

    /// Whether there is something else in the files than at the last look.
    pub fn look(&mut self) -> bool {
        let mut all = blake3::Hasher::new();
        for file in &self.files {
            all.update(file.as_os_str().as_encoded_bytes());
            all.update(digest(file).as_bytes());
        }
        let now = Some(all.finalize());
        std::mem::replace(&mut self.seen, now) != now
    }

    /// Whether the file of authorities holds others than at the start.
    pub fn has_other_authorities(&self, config: &Config) -> bool {
        self.authorities != config.server.ca_file.as_deref().map(digest)
    }

    /// The folders that they stand in, and where they are links, those that the links lead to. Editors
    /// and Kubernetes put another file in a file's place, so the folder tells of it, and the file
    /// itself does not.
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let files = self.files.iter();
        let ends = files.clone().filter_map(|file| file.canonicalize().ok());
        let files = files.cloned().chain(ends);
        let folders = files.filter_map(|file| file.parent().map(Path::to_owned));
        let here = |folder: PathBuf| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder,
        };
        folders.map(here).collect()
    }
}

/// What is in a file; something of its own where it cannot be read.
fn digest(path: &Path) -> Hash {
    let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
    let mut bytes = Vec::new();
    let file = is_file.then(|| File::open(path));
    let read = file.map(|file| file.and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)));
    match read {
        Some(Ok(_)) => blake3::hash(&bytes),
        Some(Err(_)) | None => blake3::hash(b"cannot be read"),
    }
}
