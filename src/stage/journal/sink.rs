//! The request log's writer: a bounded queue and one thread, off the path of every request.

use super::metrics::Metrics;
use super::record::Record;
use rustix::fs::{FlockOperation, OFlags, fcntl_setfl, flock};
use rustix::io::Errno;
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Records that may wait, and their bytes; what comes beyond is dropped and counted.
const QUEUE_MAX: usize = 16 * 1024;
const QUEUE_BYTES_MAX: usize = 32 << 20;
/// So many bytes are written at once, while they are still in the processor's cache.
const BURST_BYTES: usize = 64 << 10;
/// How long records gather before they are written together.
const GATHER: Duration = Duration::from_millis(25);
/// Between two tries while the output fails.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes that may wait for an output that fails; while they wait the queue fills up behind them.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// How long another process may write, and the pause between two looks whether it does.
const LOCK_MAX: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// How long a closing log may take.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The queue's near end. With it the writer ends, once it has written everything.
pub struct Sink {
    tail: Tail,
}

/// A log that is written, and perhaps about to end.
#[derive(Clone)]
pub struct Tail {
    shared: Arc<Shared>,
    writer: Arc<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    metrics: Arc<Metrics>,
    reopen: AtomicBool,
    /// Nobody writes any more.
    closing: AtomicBool,
    /// The process ends: what the output does not take now is lost.
    ending: AtomicBool,
}

/// Records as lines: written down where they were made, they need not be carried to another thread to be forgotten
/// there.
#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    records: usize,
    /// The writer sleeps until it is woken.
    idle: bool,
}

thread_local! {
    /// Room for a line, made once.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
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
            ending: AtomicBool::new(false),
        });
        let far_end = Writer {
            shared: shared.clone(),
            output,
            pending: Vec::new(),
            failing: false,
        };
        let builder = thread::Builder::new().name("journal".to_owned());
        let writer = builder.spawn(|| far_end.run())?;
        let writer = Arc::new(writer);
        Ok(Self {
            tail: Tail { shared, writer },
        })
    }

    pub fn tail(&self) -> Tail {
        self.tail.clone()
    }

    pub fn push(&self, record: &Record) {
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        record.write(&mut line);
        let shared = &self.tail.shared;
        let mut queue = shared.queue();
        let before = queue.lines.len();
        let fits = queue.records < QUEUE_MAX && before + line.len() <= QUEUE_BYTES_MAX;
        let mut wake = false;
        if fits {
            queue.lines.extend_from_slice(&line);
            queue.records += 1;
            let burst = before < BURST_BYTES && queue.lines.len() >= BURST_BYTES;
            wake = std::mem::take(&mut queue.idle) || burst;
        }
        drop(queue);
        if wake {
            self.tail.wake();
        }
        if !fits {
            shared.metrics.log_dropped.inc();
        }
        let _ = LINE.try_with(|room| room.set(line));
    }

    pub fn reopen(&self) {
        self.tail.shared.reopen.store(true, Ordering::Release);
        self.tail.wake();
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.tail.close();
    }
}

impl Tail {
    /// Writes out what is queued, and ends; waits for it at most a few seconds.
    pub fn end(&self) {
        self.shared.ending.store(true, Ordering::Release);
        self.close();
        let until = Instant::now() + CLOSE_MAX;
        // Whoever ends it second waits as well.
        while !self.has_ended() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub fn has_ended(&self) -> bool {
        self.writer.is_finished()
    }

    fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.writer.thread().unpark();
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
    fn run(mut self) {
        loop {
            let closing = self.shared.closing.load(Ordering::Acquire);
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.output.reopen();
            }
            if self.pending.len() < PENDING_BYTES_MAX {
                self.take();
            }
            if self.pending.is_empty() {
                if closing {
                    return;
                }
                thread::park();
                // Let a burst gather, so that it costs one write and not one each.
                thread::park_timeout(GATHER);
                continue;
            }
            let written = self.write();
            if !written && closing && self.shared.ending.load(Ordering::Acquire) {
                return self.give_up();
            }
            thread::park_timeout(if written { GATHER } else { RETRY });
        }
    }

    /// Takes what is queued. The room that was made for it is used in turns.
    fn take(&mut self) {
        let mut queue = self.shared.queue();
        queue.records = 0;
        if self.pending.is_empty() {
            std::mem::swap(&mut self.pending, &mut queue.lines);
            queue.lines.shrink_to(PENDING_BYTES_MAX);
        } else {
            self.pending.append(&mut queue.lines);
        }
        queue.idle = self.pending.is_empty();
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
        let lost = lines + self.shared.queue().records;
        tracing::error!(log = %self.output.name(), lost, "records of the request log were lost at the end");
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
        if self.was_rotated() {
            self.reopen();
        }
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout();
                write_on(&mut stdout, lines, taken)?;
                stdout.flush()
            }
            Self::File { file, .. } => append(file, lines, taken),
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

/// Appends whole lines. While one process takes over from another both write to the file, so a line
/// that a full disk cut short would run into the other's next one: it is taken back, under a lock.
fn append(mut file: &File, lines: &[u8], taken: &mut usize) -> io::Result<()> {
    let locked = lock(file);
    let outcome = write_on(&mut file, lines, taken);
    if outcome.is_err() && locked {
        let out = lines.get(..*taken).unwrap_or_default();
        let whole = memchr::memrchr(b'\n', out).map_or(0, |end| end + 1);
        let cut = u64::try_from(*taken - whole).unwrap_or(u64::MAX);
        let length = file.metadata().ok().map(|found| found.len());
        if cut > 0
            && let Some(length) = length.and_then(|length| length.checked_sub(cut))
            && file.set_len(length).is_ok()
        {
            *taken = whole;
        }
    }
    if locked {
        let _ = flock(file, FlockOperation::Unlock);
    }
    outcome
}

/// Waits until no other process writes; not for ever, as one that was stopped might have the lock.
fn lock(file: &File) -> bool {
    let until = Instant::now() + LOCK_MAX;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return true,
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => {
                thread::park_timeout(LOCK_PAUSE);
            }
            Err(_) => return false,
        }
    }
}

fn write_on(out: &mut impl Write, lines: &[u8], taken: &mut usize) -> io::Result<()> {
    let mut rest = lines;
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                *taken += count;
                rest = rest.get(count..).unwrap_or_default();
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Request logs hold users' traffic: readable by their owner and group only. A pipe that nobody reads is an error,
/// where a plain opening would wait for a reader.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|fault| match fault.raw_os_error() {
            Some(number) if number == Errno::NXIO.raw_os_error() => {
                io::Error::other("it is a pipe that nobody reads; start its reader first")
            }
            _ => fault,
        })?;
    // Only the opening: a write may wait for its reader.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
