//! The request log's writer: a bounded queue and one thread, off the path of every request.

use super::metrics::Metrics;
use super::record::Record;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Records that may wait; what comes beyond is dropped and counted.
const QUEUE_MAX: usize = 16 * 1024;
/// How long records gather before they are written together.
const GATHER: Duration = Duration::from_millis(25);
/// Between two tries while the output fails.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes that may wait for an output that fails; while they wait the queue fills up behind them.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// How long a closing log may take.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The queue's near end.
pub struct Sink {
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    thread: thread::Thread,
}

struct Shared {
    queue: Mutex<Vec<Record>>,
    metrics: Arc<Metrics>,
    reopen: AtomicBool,
    closing: AtomicBool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Vec<Record>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    pub fn start(output: Output, metrics: Arc<Metrics>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            metrics,
            reopen: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        let far_end = Writer {
            shared: shared.clone(),
            output,
            pending: Vec::new(),
            failing: false,
        };
        let builder = thread::Builder::new().name("journal".to_owned());
        let writer = builder.spawn(|| far_end.run())?;
        Ok(Self {
            shared,
            thread: writer.thread().clone(),
            writer,
        })
    }

    pub fn push(&self, record: Record) {
        let mut queue = self.shared.queue();
        if queue.len() >= QUEUE_MAX {
            drop(queue);
            self.shared.metrics.log_dropped.inc();
            return;
        }
        queue.push(record);
        let first = queue.len() == 1;
        drop(queue);
        // The writer sleeps only while the queue is empty, so only the first has to wake it.
        if first {
            self.thread.unpark();
        }
    }

    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.thread.unpark();
    }

    pub fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
        let until = Instant::now() + CLOSE_MAX;
        // Whoever closes it second waits as well.
        while !self.writer.is_finished() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// The queue's far end.
struct Writer {
    shared: Arc<Shared>,
    output: Output,
    /// Lines that the output has not taken yet.
    pending: Vec<u8>,
    failing: bool,
}

impl Writer {
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer has this thread to itself, and gathers while it sleeps"
    )]
    fn run(mut self) {
        loop {
            let closing = self.shared.closing.load(Ordering::Acquire);
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.output.reopen();
            }
            if self.pending.len() < PENDING_BYTES_MAX {
                let records = std::mem::take(&mut *self.shared.queue());
                for record in &records {
                    append_line(&mut self.pending, record);
                }
            }
            if self.pending.is_empty() {
                if closing {
                    return;
                }
                thread::park();
                // Let a burst gather, so that it costs one write and not one each.
                thread::sleep(GATHER);
                continue;
            }
            let written = self.write();
            if !written && closing {
                return self.give_up();
            }
            thread::sleep(if written { GATHER } else { RETRY });
        }
    }

    /// Writes what is pending. What was taken before a failure is not written again, so that a disk
    /// that was full tears no line.
    fn write(&mut self) -> bool {
        let mut taken = 0;
        let outcome = self.output.write(&self.pending, &mut taken);
        self.pending.drain(..taken.min(self.pending.len()));
        match outcome {
            Ok(()) => {
                if self.failing {
                    tracing::info!(log = %self.output.name(), "the request log is written again");
                }
                self.failing = false;
                true
            }
            Err(fault) => {
                if !self.failing {
                    tracing::error!(
                        log = %self.output.name(), %fault,
                        "the request log cannot be written; records are kept until the queue is full, then dropped"
                    );
                }
                self.failing = true;
                self.shared.metrics.log_errors.inc();
                false
            }
        }
    }

    fn give_up(&self) {
        let lines = memchr::memchr_iter(b'\n', &self.pending).count();
        let lost = lines + self.shared.queue().len();
        tracing::error!(log = %self.output.name(), lost, "records of the request log were lost at the end");
    }
}

fn append_line(lines: &mut Vec<u8>, record: &Record) {
    let start = lines.len();
    match serde_json::to_writer(&mut *lines, record) {
        Ok(()) => lines.push(b'\n'),
        Err(fault) => {
            lines.truncate(start);
            tracing::error!(%fault, id = %record.id, "a record could not be written as JSON");
        }
    }
}

/// Where the lines go.
pub enum Output {
    Stdout,
    File { path: PathBuf, file: File },
}

impl Output {
    pub fn stdout() -> Self {
        Self::Stdout
    }

    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::File {
            path: path.to_owned(),
            file: open(path)?,
        })
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Opens the file under its name again; the old one stays in use where that fails.
    fn reopen(&mut self) {
        if let Self::File { path, file } = self {
            match open(path) {
                Ok(fresh) => *file = fresh,
                Err(fault) => {
                    tracing::error!(log = %path.display(), %fault, "the request log cannot be reopened");
                }
            }
        }
    }

    /// Writes all of `lines`, counting in `taken` what went out even where the rest fails.
    fn write(&mut self, lines: &[u8], taken: &mut usize) -> io::Result<()> {
        let mut rest = lines;
        if self.was_rotated() {
            self.reopen();
        }
        while !rest.is_empty() {
            let wrote = match self {
                Self::Stdout => io::stdout().write(rest),
                Self::File { file, .. } => file.write(rest),
            };
            match wrote {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    *taken += count;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::File { .. } => Ok(()),
        }
    }

    /// Whether another file, or none, now stands under the log's name.
    fn was_rotated(&self) -> bool {
        let Self::File { path, file } = self else {
            return false;
        };
        let (Ok(named), Ok(open)) = (std::fs::metadata(path), file.metadata()) else {
            return true;
        };
        (named.dev(), named.ino()) != (open.dev(), open.ino())
    }
}

/// Request logs hold users' traffic: readable by their owner and group only.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
}
