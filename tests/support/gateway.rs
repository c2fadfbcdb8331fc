//! `tollgate run` as a child with a configuration of the test's own.

use super::client::{Answer, Client};
use super::mock::Mock;
use super::process::{Process, Scratch, free_address};
use super::request::Request;
use super::wait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Another process may take a port between our finding it free and the gateway's listening on it.
const STARTS: usize = 5;

/// Only the system's own services may take this port.
const DEAD: &str = "127.0.0.1:1";

/// What to write into the configuration. In every text `<mock>` stands for the mock's address,
/// `<dead>` for one where nobody listens, `<dir>` for a directory of the gateway's own.
pub struct Setup {
    mock: SocketAddr,
    listen: String,
    server: String,
    providers: String,
    rest: String,
}

impl Setup {
    /// `openai`, `anthropic` and the other providers that tests use most lead to the mock.
    pub fn new(mock: &Mock) -> Self {
        Self::leading_to(mock.address)
    }

    /// The same with a provider of the test's own in the mock's place.
    pub fn leading_to(mock: SocketAddr) -> Self {
        Self {
            mock,
            listen: "\"<listen>\"".to_owned(),
            server: "  threads: 1\n".to_owned(),
            providers: [
                "  openai: {base_url: \"http://<mock>/v1\"}\n",
                "  anthropic: {base_url: \"http://<mock>\"}\n",
                "  google-ai-studio: {base_url: \"http://<mock>\"}\n",
                "  aws-bedrock: {base_url: \"http://<mock>\"}\n",
                "  custom-echo: {base_url: \"http://<mock>\"}\n",
            ]
            .concat(),
            rest: String::new(),
        }
    }

    /// None of those: only what the test adds.
    pub fn without_providers(mut self) -> Self {
        self.providers.clear();
        self
    }

    /// The first listener speaks TLS, with these PEM files.
    pub fn tls(mut self, cert: &str, key: &str) -> Self {
        self.listen =
            format!("{{address: \"<listen>\", tls: {{cert: \"{cert}\", key: \"{key}\"}}}}");
        self
    }

    /// A line under `server:`, such as `max_body: 1MiB`.
    pub fn server(mut self, line: &str) -> Self {
        self.server += &format!("  {line}\n");
        self
    }

    /// No provider named so far is ever given a rest, whatever happened before.
    pub fn without_breakers(mut self) -> Self {
        let off = "{breaker: {enabled: false}, base_url:";
        self.providers = self.providers.replace("{base_url:", off);
        self
    }

    /// A line under `providers:`.
    pub fn provider(mut self, line: &str) -> Self {
        self.providers += &format!("  {line}\n");
        self
    }

    /// Whole top-level sections, such as `gateways:`.
    pub fn config(mut self, text: &str) -> Self {
        self.rest += text;
        self.rest += "\n";
        self
    }

    pub fn start(self) -> Gateway {
        for _ in 1..STARTS {
            if let Ok(gateway) = self.try_start() {
                return gateway;
            }
        }
        match self.try_start() {
            Ok(gateway) => gateway,
            Err(stderr) => panic!("the gateway does not start: {stderr}\n{}", self.text()),
        }
    }

    fn text(&self) -> String {
        format!(
            "server:\n  listen: [{}, {{address: \"<short>\", gateway: default}}]\n  \
             admin: \"<admin>\"\n{}providers:\n{}log: {{file: \"<dir>/requests.ndjson\"}}\n{}",
            self.listen, self.server, self.providers, self.rest
        )
    }

    fn try_start(&self) -> Result<Gateway, String> {
        let scratch = Scratch::new();
        let (address, short, admin) = (free_address(), free_address(), free_address());
        let path = scratch.join("tollgate.yaml");
        let text = self
            .text()
            .replace("<listen>", &address.to_string())
            .replace("<short>", &short.to_string())
            .replace("<admin>", &admin.to_string())
            .replace("<mock>", &self.mock.to_string())
            .replace("<dead>", DEAD)
            .replace("<dir>", &scratch.join("").display().to_string());
        fs::write(&path, text).unwrap();
        let arguments = ["run", "--config", path.to_str().unwrap()];
        let mut process = Process::start(&arguments, scratch);
        let ready = wait::within(wait::LONG, || match process.ended() {
            Some(status) => Some(Err(format!("{status}: {}", process.stderr()))),
            None => is_ready(admin).then_some(Ok(())),
        });
        match ready {
            Some(Ok(())) => {}
            Some(Err(said)) => return Err(said),
            None => return Err(format!("not ready: {}", process.stderr())),
        }
        Ok(Gateway {
            process,
            address,
            short,
            admin,
        })
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    let Ok(mut client) = Client::try_connect(admin) else {
        return false;
    };
    let asked = client.try_send(&Request::new("GET", "/readyz").bytes());
    asked.is_ok()
        && client
            .try_read_answer(false)
            .is_ok_and(|answer| answer.status == 200)
}

/// A gateway that runs as long as this lives.
pub struct Gateway {
    pub process: Process,
    /// The listener that is bound to no gateway.
    pub address: SocketAddr,
    /// The listener that is bound to the gateway `default`.
    pub short: SocketAddr,
    pub admin: SocketAddr,
}

impl Gateway {
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: &Request) -> Answer {
        let mut client = self.connect();
        client.send(&request.bytes());
        let answer = client.try_read_answer(request.method() == "HEAD");
        answer.unwrap_or_else(|error| panic!("{error}; {}", self.process.stderr()))
    }

    pub fn log_path(&self) -> PathBuf {
        self.process.scratch.join("requests.ndjson")
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The log's lines, once there are at least `count`.
    pub fn log(&self, count: usize) -> Vec<Value> {
        let text = wait::within(wait::LONG, || {
            let text = self.log_text();
            (text.ends_with('\n') && text.lines().count() >= count).then_some(text)
        });
        let Some(text) = text else {
            let (text, notes) = (self.log_text(), self.process.stderr());
            panic!("waited in vain for {count} lines of the log:\n{text}{notes}");
        };
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// The log's last line, once there are `count`.
    pub fn last_log(&self, count: usize) -> Value {
        self.log(count).pop().unwrap()
    }

    pub fn metrics_text(&self) -> String {
        let mut client = Client::connect(self.admin);
        client.send(&Request::new("GET", "/metrics").bytes());
        client.read_answer(false).text()
    }

    /// Every series, `name{label="value"}`, with its value.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.metrics_text();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let series = series.filter_map(|line| line.rsplit_once(' '));
        series
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// The sum over all series of a name.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics();
        let own = metrics
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name));
        own.map(|(_, value)| value).sum()
    }
}
