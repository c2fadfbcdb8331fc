//! The servers as processes: started, pinned to a core, asked what they used, and ended.

use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");
/// The unit of `/proc/PID/stat`, which Linux fixes for all that reads it.
const TICK: Duration = Duration::from_millis(10);
/// How long a server may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// The cores where there are two: the measured server has one for itself.
const DRIVER_CORE: &str = "0";
const SERVER_CORE: &str = "1";

/// Whether processes are pinned to cores.
pub struct Pins(bool);

impl Pins {
    /// They are where there is `taskset` and a second core.
    pub fn find() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let taskset = Command::new("taskset")
            .args(["-c", SERVER_CORE, "true"])
            .stderr(Stdio::null())
            .status();
        Self(cores > 1 && taskset.is_ok_and(|status| status.success()))
    }

    /// Pins this process; to be called before it has a second thread.
    pub fn pin_driver(&self) {
        if self.0 {
            let id = std::process::id().to_string();
            let mut taskset = Command::new("taskset");
            // Unpinned is worse, not wrong.
            let _ = taskset
                .args(["-pc", DRIVER_CORE, &id])
                .stdout(Stdio::null())
                .status();
        }
    }

    /// Runs a program as the measured server.
    pub fn server(&self, program: &Path) -> Command {
        self.command(SERVER_CORE, program)
    }

    fn command(&self, core: &str, program: &Path) -> Command {
        if !self.0 {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program);
        command
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 {
            "pinned: the server on core 1, mock and driver on core 0"
        } else {
            "not pinned to cores"
        })
    }
}

/// A folder of this run, gone after it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn create() -> Result<Self> {
        let name = format!("tollgate-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server; it ends when this is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    pub begun: Instant,
}

/// The mock provider.
pub fn mock(pins: &Pins, folder: &Folder) -> Result<Process> {
    let mut command = pins.command(DRIVER_CORE, Path::new(TOLLGATE));
    command.args(["mock", "--listen", "127.0.0.1:0"]);
    command.stdout(Stdio::piped());
    let mut process = Process::start(command, folder, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let said = process.child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line)?;
    let (_, address) = line.trim().rsplit_once('/').context("no address")?;
    process.address = address.parse()?;
    Ok(process)
}

/// The provider with ready-made answers: this program in another role.
pub fn canned(pins: &Pins, folder: &Folder) -> Result<Process> {
    let address = free_address()?;
    let mut command = pins.command(DRIVER_CORE, &std::env::current_exe()?);
    command.args(["canned", &address.to_string()]);
    command.stdout(Stdio::null());
    let process = Process::start(command, folder, address)?;
    process.wait_until_it_listens()?;
    Ok(process)
}

/// The pass-through: this program in another role.
pub fn bare(pins: &Pins, folder: &Folder, mock: SocketAddr) -> Result<Process> {
    let address = free_address()?;
    let mut command = pins.server(&std::env::current_exe()?);
    command.args(["bare", &address.to_string(), &mock.to_string()]);
    command.stdout(Stdio::null());
    Process::start(command, folder, address)
}

/// The gateway with its defaults: metrics and log are on.
pub fn gateway(pins: &Pins, folder: &Folder, mock: SocketAddr) -> Result<Process> {
    let providers = format!("providers: {{openai: {{base_url: \"http://{mock}/v1\"}}}}\n");
    let (process, _) = gateway_with(pins, folder, "tollgate", &providers)?;
    Ok(process)
}

/// A gateway of that name with this configuration, and its admin listener.
pub fn gateway_with(
    pins: &Pins,
    folder: &Folder,
    name: &str,
    config: &str,
) -> Result<(Process, SocketAddr)> {
    let (address, admin) = (free_address()?, free_address()?);
    let log = folder.0.join(format!("{name}.ndjson"));
    let place = folder.0.join(format!("{name}.run"));
    let place = place.display();
    let config = format!(
        "server: {{listen: [\"{address}\"], admin: \"{admin}\", threads: 1, runtime_dir: \"{place}\"}}\n\
         log: {{file: \"{}\"}}\n{config}",
        log.display()
    );
    let path = folder.0.join(format!("{name}.yaml"));
    fs::write(&path, config)?;
    let mut command = pins.server(Path::new(TOLLGATE));
    command.args(["run", "--config"]).arg(path);
    command.stdout(Stdio::null());
    Ok((Process::start(command, folder, address)?, admin))
}

/// What a server says to a GET.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

/// A port of this machine on which nobody listens.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Process {
    pub fn start(mut command: Command, folder: &Folder, address: SocketAddr) -> Result<Self> {
        let notes = File::options()
            .create(true)
            .append(true)
            .open(folder.0.join("stderr"))?;
        command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(notes);
        let begun = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("{:?}", command.get_program()))?;
        Ok(Self {
            child,
            address,
            begun,
        })
    }

    /// Until a connection is taken.
    pub fn wait_until_it_listens(&self) -> Result<()> {
        while TcpStream::connect(self.address).is_err() {
            ensure!(
                self.begun.elapsed() < START_MAX,
                "{} is silent",
                self.address
            );
            std::thread::park_timeout(TICK);
        }
        Ok(())
    }

    /// What the process used until now.
    pub fn cpu(&self) -> Result<Cpu> {
        Cpu::read(self.child.id())
    }

    /// Resident memory.
    pub fn memory_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: f64 = kib.context("no VmRSS")?.trim().parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process, user and kernel.
pub struct Cpu {
    /// By thread, exact, where the kernel keeps it.
    threads: HashMap<String, Duration>,
    /// Of the whole process, in ticks.
    whole: Duration,
}

impl Cpu {
    fn read(id: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').context("no command in stat")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let (Some(user), Some(kernel)) = (fields.get(11), fields.get(12)) else {
            bail!("no times in stat");
        };
        let ticks = user.parse::<u32>()? + kernel.parse::<u32>()?;
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{id}/task"))? {
            let entry = entry?;
            // A thread may end at any time.
            let Ok(line) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let nanos = line.split_ascii_whitespace().next().unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            threads.insert(name, Duration::from_nanos(nanos.parse()?));
        }
        Ok(Self {
            threads,
            whole: TICK * ticks,
        })
    }

    /// What was used since `earlier`: by the threads' own count, or, where that is not kept or a
    /// thread has ended since, in ticks.
    pub fn since(&self, earlier: &Self) -> Duration {
        let mut ids = earlier.threads.keys();
        if earlier.threads.is_empty() || !ids.all(|id| self.threads.contains_key(id)) {
            return self.whole.saturating_sub(earlier.whole);
        }
        let total = |cpu: &Self| cpu.threads.values().sum::<Duration>();
        total(self).saturating_sub(total(earlier))
    }
}
