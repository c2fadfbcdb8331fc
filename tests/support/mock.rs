//! `tollgate mock` as a child, and its counters.

use super::client::Client;
use super::process::{Process, Scratch};
use super::request::Request;
use super::wait;
use serde_json::Value;
use std::net::SocketAddr;

/// A mock provider that runs as long as this lives.
pub struct Mock {
    pub process: Process,
    pub address: SocketAddr,
}

impl Mock {
    pub fn start() -> Self {
        Self::listening("127.0.0.1:0", None)
    }

    /// One with faults for requests that ask for none by themselves.
    pub fn scripted(script: &str) -> Self {
        Self::listening("127.0.0.1:0", Some(script))
    }

    /// One at this address, perhaps with a script.
    pub fn listening(address: &str, script: Option<&str>) -> Self {
        let scratch = Scratch::new();
        let path = scratch.join("script.yaml");
        let mut arguments = vec!["mock", "--listen", address];
        if let Some(script) = script {
            std::fs::write(&path, script).unwrap();
            arguments.extend(["--script", path.to_str().unwrap()]);
        }
        let mut process = Process::start(&arguments, scratch);
        let address = wait::until("the mock's address", || {
            if let Some(status) = process.ended() {
                panic!("the mock ended with {status}: {}", process.stderr());
            }
            let line = process.stdout();
            line.trim_end_matches('\n')
                .strip_prefix("mock provider on http://")
                .filter(|_| line.ends_with('\n'))
                .map(|address| address.parse().unwrap())
        });
        Self { process, address }
    }

    /// `connections`, `requests`, `bytes_in`, `bytes_out`, `aborted`, `paths`.
    pub fn stats(&self) -> Value {
        self.ask("GET", "/__mock/stats")
    }

    /// One number of the counters.
    pub fn count(&self, name: &str) -> u64 {
        self.stats()[name].as_u64().unwrap()
    }

    /// `method`, `path`, `query`, `headers` (pairs in order), `body_bytes`, `body_crc32`.
    pub fn last(&self) -> Value {
        self.ask("GET", "/__mock/last")
    }

    pub fn reset(&self) {
        self.ask("POST", "/__mock/reset");
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        let mut client = Client::connect(self.address);
        client.send(&Request::new(method, path).bytes());
        client.read_answer(false).json()
    }
}

/// The values of a field in what [`Mock::last`] or an echo shows.
pub fn shown<'a>(request: &'a Value, name: &str) -> Vec<&'a str> {
    let pairs = request["headers"].as_array().unwrap().iter();
    let named = pairs.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|pair| pair[1].as_str().unwrap()).collect()
}
