//! The binary under test as a child that never outlives its test.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The binary under test; `TOLLGATE_BIN` names it where tests run on another machine than the one that built them.
pub fn binary() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_tollgate");
    std::env::var_os("TOLLGATE_BIN").map_or_else(|| built.into(), PathBuf::from)
}

/// A directory of its own for each child, gone with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("run-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// `tollgate` with some arguments, its output in files.
pub struct Process {
    child: Child,
    pub scratch: Scratch,
}

impl Process {
    pub fn start(arguments: &[&str], scratch: Scratch) -> Self {
        let output = |name| File::create(scratch.join(name)).unwrap();
        let child = Command::new(binary())
            .args(arguments)
            .env_remove("RUST_LOG")
            // Each daemon in a place of its own, whoever runs the tests.
            .env("RUNTIME_DIRECTORY", scratch.join("runtime"))
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap();
        Self { child, scratch }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.scratch.join("stdout")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.scratch.join("stderr")).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal by its name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// A line of `/proc/PID/status` in KiB: `VmHWM`, `VmRSS`.
    pub fn memory_kib(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let words = found.unwrap().trim_start_matches(':').trim();
        words.trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An address on loopback where nobody listens at the moment.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
