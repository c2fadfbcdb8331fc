//! The demo's child processes: this program under its other commands.

use anyhow::{Context, Error, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child as Process, Command};
use tokio::time::{sleep, timeout};

/// How long a child may take to end by itself before it is killed.
const STOP_MAX: Duration = Duration::from_secs(3);
/// Between two looks whether a child is still there.
const PAUSE: Duration = Duration::from_millis(50);

/// The children, in the order in which they were started. Dropped, they are killed.
#[derive(Default)]
pub struct Children(Vec<Child>);

struct Child {
    name: &'static str,
    process: Process,
    /// What it writes to standard error.
    notes: PathBuf,
}

impl Children {
    /// Starts this program with `arguments`; what it says goes to a file in `folder`.
    ///
    /// # Errors
    /// The program or the file cannot be opened.
    pub fn start(
        &mut self,
        name: &'static str,
        arguments: &[OsString],
        folder: &Path,
    ) -> Result<()> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let notes = folder.join(format!("{name}.err"));
        let process = Command::new(program)
            .args(arguments)
            // Not where a daemon that is in earnest is looked for.
            .env("RUNTIME_DIRECTORY", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&notes)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the {name} cannot be started"))?;
        self.0.push(Child {
            name,
            process,
            notes,
        });
        Ok(())
    }

    /// Waits until a child ends, which none should, and says what it said last.
    pub async fn fall(&mut self) -> Error {
        loop {
            if let Some(fault) = self.fallen() {
                return fault;
            }
            sleep(PAUSE).await;
        }
    }

    /// The last words of a child that has ended.
    pub fn fallen(&mut self) -> Option<Error> {
        self.0.iter_mut().find_map(|child| {
            let status = child.process.try_wait().ok().flatten()?;
            let said = std::fs::read_to_string(&child.notes).unwrap_or_default();
            let said = said.trim_end();
            Some(anyhow!(
                "the {} ended ({status}) and said:\n{said}",
                child.name
            ))
        })
    }

    /// Ends the children, the last first: with SIGTERM, and where that is not enough by force.
    pub async fn stop(&mut self) {
        while let Some(mut child) = self.0.pop() {
            let id = child.process.id().and_then(|id| i32::try_from(id).ok());
            if let Some(pid) = id.and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            if timeout(STOP_MAX, child.process.wait()).await.is_err() {
                let _ = child.process.kill().await;
            }
        }
    }
}
