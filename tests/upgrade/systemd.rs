//! The daemon as the unit `tollgate` of the systemd that runs here.

use crate::driver::{Driver, Said, all_processes, command_line, put};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const UNIT: &str = "tollgate.service";
const BINARY: &str = "/usr/bin/tollgate";

pub struct Systemd {
    /// The binary as it was installed.
    kept: PathBuf,
}

impl Systemd {
    /// The unit is installed, and made to begin afresh.
    pub fn new() -> Self {
        let kept = PathBuf::from("/run/tollgate-test-binary");
        if kept.exists() {
            put(&kept, Path::new(BINARY));
        } else {
            std::fs::copy(BINARY, &kept).unwrap();
        }
        let driver = Self { kept };
        driver.clear();
        driver
    }

    fn clear(&self) {
        systemctl(&["stop", UNIT]);
        systemctl(&["reset-failed", UNIT]);
        for folder in ["/var/log/tollgate", "/var/lib/tollgate"] {
            let folder = std::fs::canonicalize(folder);
            let entries = folder.and_then(std::fs::read_dir);
            for entry in entries.into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    std::fs::remove_dir_all(path).unwrap();
                } else {
                    std::fs::remove_file(path).unwrap();
                }
            }
        }
    }

    /// A property of the unit.
    pub fn show(name: &str) -> String {
        let output = Command::new("systemctl")
            .args(["show", UNIT, "--value", "-p", name])
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout)
            .trim()
            .to_owned()
    }
}

fn systemctl(arguments: &[&str]) -> Said {
    Said::of(&Command::new("systemctl").args(arguments).output().unwrap())
}

impl Driver for Systemd {
    fn start(&mut self) {
        let said = systemctl(&["start", "--no-block", UNIT]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    fn main(&mut self) -> Option<u32> {
        let process = Self::show("MainPID").parse().ok()?;
        (process != 0).then_some(process)
    }

    fn processes(&mut self) -> Vec<u32> {
        let own = all_processes().into_iter().filter(|process| {
            let words = command_line(*process);
            words.first().is_some_and(|word| word == BINARY)
                && words.get(1).is_some_and(|word| word == "run")
        });
        own.collect()
    }

    fn reload(&mut self) -> Said {
        systemctl(&["reload", UNIT])
    }

    fn order(&mut self, word: &str) -> Child {
        // The operator's own binary: the one to be upgraded to may be none at all.
        let mut order = Command::new(&self.kept);
        order.env("RUNTIME_DIRECTORY", "/run/tollgate");
        order.arg(word).arg("--config").arg(self.config());
        order.stdout(Stdio::piped()).stderr(Stdio::piped());
        order.spawn().unwrap()
    }

    fn config(&self) -> PathBuf {
        PathBuf::from("/etc/tollgate/tollgate.yaml")
    }

    fn binary(&self) -> PathBuf {
        PathBuf::from(BINARY)
    }

    fn state(&self) -> PathBuf {
        PathBuf::from("/var/lib/tollgate")
    }

    fn notes(&mut self) -> String {
        let output = Command::new("journalctl")
            .args(["-u", UNIT, "--no-pager", "-o", "cat", "-n", "300"])
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        systemctl(&["stop", UNIT]);
        put(&self.kept, Path::new(BINARY));
    }
}
