//! The daemon as plain processes: generations are told by their command line.

use crate::driver::{Driver, Said, all_processes, command_line, put, try_signal};
use crate::support::process::{self, Scratch};
use rustix::net::sockopt::socket_peercred;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Plain {
    scratch: Scratch,
    /// The first generation, which has to be waited for.
    children: Vec<Child>,
}

impl Plain {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        for folder in ["bin", "run", "state"] {
            fs::create_dir(scratch.join(folder)).unwrap();
        }
        let plain = Self {
            scratch,
            children: Vec::new(),
        };
        put(&process::binary(), &plain.binary());
        plain
    }

    fn run(&self, binary: &Path, command: &str) -> Command {
        let mut run = Command::new(binary);
        run.arg(command).arg("--config").arg(self.config());
        run.env_remove("RUST_LOG").stdin(Stdio::null());
        run.env("RUNTIME_DIRECTORY", self.scratch.join("run"));
        run.env("STATE_DIRECTORY", self.state());
        run
    }

    /// Whoever listens at the control socket.
    fn owner(&self) -> Option<u32> {
        let path = self.scratch.join("run").join("control.sock");
        let peer = socket_peercred(UnixStream::connect(path).ok()?).ok()?;
        u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
    }
}

impl Driver for Plain {
    fn start(&mut self) {
        let output = || {
            let path = self.scratch.join("notes");
            File::options().create(true).append(true).open(path)
        };
        let child = self
            .run(&self.binary(), "run")
            .stdout(output().unwrap())
            .stderr(output().unwrap())
            .spawn();
        self.children.push(child.unwrap());
    }

    fn main(&mut self) -> Option<u32> {
        let processes = self.processes();
        let owner = self.owner()?;
        processes.contains(&owner).then_some(owner)
    }

    fn processes(&mut self) -> Vec<u32> {
        for child in &mut self.children {
            child.try_wait().ok();
        }
        let config = self.config().display().to_string();
        let own = all_processes().into_iter().filter(|process| {
            let words = command_line(*process);
            words.get(1).is_some_and(|word| word == "run") && words.contains(&config)
        });
        own.collect()
    }

    fn reload(&mut self) -> Said {
        Said::of(&self.order("reload").wait_with_output().unwrap())
    }

    fn order(&mut self, word: &str) -> Child {
        // The operator's own binary: the one to be upgraded to may be none at all.
        let mut order = self.run(&process::binary(), word);
        order.stdout(Stdio::piped()).stderr(Stdio::piped());
        order.spawn().unwrap()
    }

    fn config(&self) -> PathBuf {
        self.scratch.join("tollgate.yaml")
    }

    fn binary(&self) -> PathBuf {
        self.scratch.join("bin").join("tollgate")
    }

    fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    fn notes(&mut self) -> String {
        fs::read_to_string(self.scratch.join("notes")).unwrap_or_default()
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        for process in self.processes() {
            try_signal(process, "KILL");
        }
        for child in &mut self.children {
            child.wait().ok();
        }
    }
}
