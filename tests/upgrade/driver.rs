//! What starts, upgrades and reloads the daemon: plain processes, or systemd.

use crate::plain::Plain;
use crate::systemd::Systemd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// `systemd` here has the scenarios work on the unit `tollgate`, as root, instead of on plain processes.
const CHOICE: &str = "TOLLGATE_DRIVER";

/// Runs one daemon, through all its generations.
pub trait Driver: Send {
    /// Starts it with the configuration at [`Driver::config`], and returns at once.
    fn start(&mut self);
    /// The process that serves, where one does.
    fn main(&mut self) -> Option<u32>;
    /// All generations that live.
    fn processes(&mut self) -> Vec<u32>;
    /// What the operator types to have the configuration read again.
    fn reload(&mut self) -> Said;
    /// What the operator types to have the binary taken anew.
    fn upgrade(&mut self) -> Said {
        Said::of(&self.order("upgrade").wait_with_output().unwrap())
    }
    /// The command `tollgate` with `word`, under way.
    fn order(&mut self, word: &str) -> Child;
    fn config(&self) -> PathBuf;
    /// Where its binary stands. Another is put there by renaming.
    fn binary(&self) -> PathBuf;
    /// A directory in which it may write.
    fn state(&self) -> PathBuf;
    /// Its own notes.
    fn notes(&mut self) -> String;
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Said {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stderr: String,
}

/// The one that was chosen.
pub fn choose() -> Box<dyn Driver> {
    match std::env::var(CHOICE).as_deref() {
        Ok("systemd") => Box::new(Systemd::new()),
        Ok("plain") | Err(_) => Box::new(Plain::new()),
        Ok(other) => panic!("{CHOICE}={other}: neither plain nor systemd"),
    }
}

pub fn is_systemd() -> bool {
    std::env::var(CHOICE).is_ok_and(|choice| choice == "systemd")
}

/// A number that the environment may set.
pub fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name);
    value.map_or(default, |value| value.parse().unwrap())
}

impl Said {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Sends a signal by its name, such as `HUP`.
pub fn signal(process: u32, name: &str) {
    let process = process.to_string();
    let sent = Command::new("kill").args(["-s", name, &process]).status();
    let sent = sent.unwrap();
    assert!(sent.success(), "SIG{name} to {process}: {sent}");
}

/// The same to a process that may have ended meanwhile.
pub fn try_signal(process: u32, name: &str) {
    let process = process.to_string();
    let sent = Command::new("kill").args(["-s", name, &process]).output();
    drop(sent.unwrap());
}

/// Puts a file in another's place, at one blow. Another process copies it: while this one has a file open to write
/// it, so has whatever another thread is just about to start, and a binary in that state cannot be run.
pub fn put(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    let copied = Command::new("cp").arg(from).arg(&beside).status().unwrap();
    assert!(copied.success(), "{}: {copied}", from.display());
    std::fs::rename(&beside, to).unwrap();
}

/// The words of a process' command line; none where it has ended.
pub fn command_line(process: u32) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let words = text
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// Every process of this machine that is not a zombie.
pub fn all_processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.parse().ok()).collect()
}
