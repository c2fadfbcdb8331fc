//! What the process itself takes of its host, as metrics with the names that all of Prometheus's clients have.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The instruments, which look at the process whenever the metrics are read.
pub struct Process {
    started: Gauge,
    cpu: Counter,
    open_fds: IntGauge,
    max_fds: IntGauge,
    resident: IntGauge,
    threads: IntGauge,
}

impl Process {
    /// # Errors
    /// A name or help text is none.
    pub fn new() -> Result<Self, prometheus::Error> {
        let process = Self {
            started: Gauge::new(
                "process_start_time_seconds",
                "When the process began, in seconds since 1970.",
            )?,
            cpu: Counter::new(
                "process_cpu_seconds_total",
                "CPU time that the process has used.",
            )?,
            open_fds: IntGauge::new("process_open_fds", "Open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "File descriptors that may be open.")?,
            resident: IntGauge::new(
                "process_resident_memory_bytes",
                "Memory that the process holds.",
            )?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        process.started.set(now.unwrap_or_default().as_secs_f64());
        Ok(process)
    }

    fn members(&self) -> [&dyn Collector; 6] {
        [
            &self.started,
            &self.cpu,
            &self.open_fds,
            &self.max_fds,
            &self.resident,
            &self.threads,
        ]
    }

    /// Looks anew. What the kernel does not tell stays as it was.
    fn refresh(&self) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = Duration::new(
            u64::try_from(cpu.tv_sec).unwrap_or(0),
            u32::try_from(cpu.tv_nsec).unwrap_or(0),
        );
        // Two may read the metrics at once.
        let more = seconds.as_secs_f64() - self.cpu.get();
        self.cpu.inc_by(more.max(0.0));
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // The folder itself is open while it is read.
            let count = fds.count().saturating_sub(1);
            self.open_fds.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let max = getrlimit(Resource::Nofile).current;
        let max = max.and_then(|max| i64::try_from(max).ok());
        self.max_fds.set(max.unwrap_or(i64::MAX));
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(kib) = line(&status, "VmRSS:") {
            self.resident.set(kib.saturating_mul(1024));
        }
        if let Some(threads) = line(&status, "Threads:") {
            self.threads.set(threads);
        }
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.members()
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        let members = self.members().into_iter();
        members.flat_map(Collector::collect).collect()
    }
}

/// The number in the line of `/proc/self/status` that begins with `name`.
fn line(status: &str, name: &str) -> Option<i64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_tells_of_itself() {
        let process = Process::new().unwrap();
        assert_eq!(process.collect().len(), process.desc().len());
        let first = process.cpu.get();
        assert!(process.resident.get() > 1 << 20);
        assert!(process.threads.get() >= 1);
        assert!(process.open_fds.get() >= 3 && process.open_fds.get() <= process.max_fds.get());
        let mut sum = 0_u64;
        while process.cpu.get() < first + 0.001 {
            sum = std::hint::black_box(sum.wrapping_add(1));
            process.refresh();
        }
    }
}
