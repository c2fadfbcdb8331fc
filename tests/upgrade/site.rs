//! A gateway with all its listeners, a mock behind it, and a load before it.

use crate::driver::{self, Driver, Said};
use crate::load::ledger;
use crate::load::tally::Report;
use crate::load::{Load, Mix, Target};
use crate::support::client::{Answer, Client};
use crate::support::process::free_address;
use crate::support::tls::Authority;
use crate::support::{CHAT, CHAT_PATH, Mock, Request, wait};
use crate::systemd::Systemd;
use crate::turn::Turn;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one change of generations may take, on a machine that is busy with other things.
const CHANGE_MAX: Duration = Duration::from_secs(60);
/// The former generations are given the rest of their streams and of their idle connections.
const PARTING_MAX: Duration = Duration::from_secs(150);

/// Another process may take a port between our finding it free and the daemon's listening on it.
const STARTS: usize = 5;

pub struct Site {
    pub driver: Box<dyn Driver>,
    pub mock: Mock,
    pub target: Target,
    pub admin: SocketAddr,
    /// The configuration as it was written first.
    pub text: String,
    _turn: Turn,
}

impl Site {
    /// `rest` has top-level sections, in which `<state>` stands for a directory to write in.
    pub fn start(rest: &str) -> Self {
        Self::start_with("", rest)
    }

    /// The same with lines under `server:`, each on a line and indented by two.
    pub fn start_with(server: &str, rest: &str) -> Self {
        let turn = Turn::wait();
        let mock = Mock::start();
        let driver = driver::choose();
        let authority = Authority::new();
        let target = Target {
            plain: free_address(),
            tls: free_address(),
            http1: authority.client(&["http/1.1"]),
            http2: authority.client(&["h2"]),
            mock: mock.address,
        };
        let mut site = Self {
            driver,
            mock,
            target,
            admin: free_address(),
            text: String::new(),
            _turn: turn,
        };
        let folder = site.driver.config().parent().unwrap().to_owned();
        fs::create_dir_all(&folder).unwrap();
        let identity = authority.issue(&["localhost"]);
        fs::write(folder.join("cert.pem"), identity.cert).unwrap();
        fs::write(folder.join("key.pem"), identity.key).unwrap();
        for _ in 1..STARTS {
            if site.comes_up(server, rest) {
                return site;
            }
            site.target.plain = free_address();
            site.target.tls = free_address();
            site.admin = free_address();
        }
        assert!(site.comes_up(server, rest), "{}", site.driver.notes());
        site
    }

    /// Whether it serves; where another process took a port of its meanwhile, it ends at once.
    fn comes_up(&mut self, server: &str, rest: &str) -> bool {
        self.text = self.compose(server, rest);
        self.configure(&self.text);
        self.driver.start();
        let ready = wait::within(CHANGE_MAX, || {
            let ended = !driver::is_systemd() && self.driver.processes().is_empty();
            (ended || self.ready() == Some(200)).then_some(!ended)
        });
        ready.unwrap_or_else(|| panic!("not ready: {}", self.driver.notes()))
    }

    fn compose(&self, server: &str, rest: &str) -> String {
        let Target { plain, tls, .. } = &self.target;
        let text = format!(
            "server:\n  threads: 2\n  admin: \"{}\"\n  listen:\n    - \"{plain}\"\n    \
             - {{address: \"{tls}\", tls: {{cert: cert.pem, key: key.pem}}}}\n{server}\
             providers:\n  openai: {{base_url: \"http://{mock}/v1\"}}\n  \
             custom-echo: {{base_url: \"http://{mock}\"}}\n\
             log: {{file: \"<state>/requests.ndjson\"}}\n{rest}\n",
            self.admin,
            mock = self.mock.address,
        );
        text.replace("<state>", &self.driver.state().display().to_string())
    }

    /// Writes the configuration; nobody is told.
    pub fn configure(&self, text: &str) {
        let path = self.driver.config();
        let beside = path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &path).unwrap();
    }

    pub fn load(&self, mix: &Mix) -> Load {
        Load::start(self.target.clone(), mix)
    }

    pub fn wait_ready(&mut self) {
        let ready = wait::within(CHANGE_MAX, || (self.ready() == Some(200)).then_some(()));
        assert!(ready.is_some(), "not ready: {}", self.driver.notes());
    }

    /// The status of `/readyz`, where somebody answers.
    pub fn ready(&self) -> Option<u16> {
        let mut client = Client::try_connect(self.admin).ok()?;
        client.try_send(&Request::get("/readyz").bytes()).ok()?;
        client
            .try_read_answer(false)
            .ok()
            .map(|answer| answer.status)
    }

    /// The only process there is.
    pub fn process(&mut self) -> u32 {
        let processes = self.driver.processes();
        assert_eq!(processes.len(), 1, "{}", self.driver.notes());
        processes[0]
    }

    pub fn main(&mut self) -> u32 {
        let main = wait::within(CHANGE_MAX, || self.driver.main());
        main.unwrap_or_else(|| panic!("no main process: {}", self.driver.notes()))
    }

    /// Waits until another process than `former` is the main one.
    pub fn wait_main(&mut self, former: u32) -> u32 {
        let main = wait::within(CHANGE_MAX, || {
            self.driver.main().filter(|main| *main != former)
        });
        main.unwrap_or_else(|| panic!("{former} is still main: {}", self.driver.notes()))
    }

    /// One upgrade by command, which must succeed with another main process.
    pub fn upgrade(&mut self) -> u32 {
        let former = self.main();
        let said = self.driver.upgrade();
        self.check_done(&said);
        self.wait_main(former)
    }

    /// One reload by command, which must succeed.
    pub fn reload(&mut self) {
        let said = self.driver.reload();
        self.check_done(&said);
    }

    pub fn check_done(&mut self, said: &Said) {
        assert_eq!(
            said.code,
            Some(0),
            "{}\n{}",
            said.stderr,
            self.driver.notes()
        );
    }

    /// A command must have failed because of the user, and have said why in a line.
    pub fn check_refused(&mut self, said: &Said, why: &str) {
        assert_eq!(said.code, Some(1), "{said:?}\n{}", self.driver.notes());
        if driver::is_systemd() {
            // systemctl says where to look; the reason is in the journal.
            return;
        }
        assert!(said.stderr.contains(why), "{}", said.stderr);
    }

    /// Waits until so many generations are left.
    pub fn wait_processes(&mut self, count: usize) {
        let done = wait::within(PARTING_MAX, || {
            (self.driver.processes().len() == count).then_some(())
        });
        assert!(
            done.is_some(),
            "{:?} live, {count} should: {}",
            self.driver.processes(),
            self.driver.notes()
        );
    }

    /// One request on a connection of its own, which nothing else counts.
    pub fn ask(&self, request: &Request) -> Answer {
        let mut client = Client::connect(self.target.plain);
        client.send(&request.bytes());
        client.read_answer(false)
    }

    pub fn chat(&self) -> Answer {
        self.ask(&Request::json(CHAT_PATH, CHAT))
    }

    /// Waits until nobody listens there any more.
    pub fn wait_refused(&self, address: SocketAddr) {
        wait::until("a closed port", || {
            let connected = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            connected.is_err_and(refused).then_some(())
        });
    }

    /// The sum over all series of a name.
    pub fn metric(&self, name: &str) -> f64 {
        let mut client = Client::connect(self.admin);
        client.send(&Request::get("/metrics").bytes());
        let text = client.read_answer(false).text();
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let own = series.filter(|(series, _)| series.split('{').next() == Some(name));
        own.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
    }

    /// systemd never had to start it anew, and keeps its three sockets and no other.
    pub fn check_not_restarted(&self) {
        if driver::is_systemd() {
            assert_eq!(Systemd::show("NRestarts"), "0");
            assert_eq!(Systemd::show("NFileDescriptorStore"), "3");
        }
    }

    /// How many files the only process has open.
    pub fn open_files(&mut self) -> usize {
        let process = self.process();
        fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
    }

    pub fn log_text(&self) -> String {
        let path = self.driver.state().join("requests.ndjson");
        fs::read_to_string(path).unwrap_or_default()
    }

    /// The log holds a line for each request of the load, and no other.
    pub fn check_log(&mut self, report: &Report) {
        let right = wait::within(wait::LONG, || {
            ledger::faults(&self.log_text(), report)
                .is_empty()
                .then_some(())
        });
        if right.is_none() {
            let faults = ledger::faults(&self.log_text(), report);
            let shown = faults
                .iter()
                .take(20)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n");
            panic!("{} faults in the log:\n{shown}", faults.len());
        }
    }

    /// Nothing failed, everything is in the log once, and one process is left.
    pub fn check_unnoticed(&mut self, report: &Report) {
        println!("{report}");
        if report.failed() > 0 {
            println!("{}", self.driver.notes());
        }
        report.check_unnoticed();
        self.wait_processes(1);
        self.check_log(report);
        let notes = self.driver.notes();
        assert!(!notes.contains("panicked"), "{notes}");
    }
}
