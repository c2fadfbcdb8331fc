//! Where the demo takes place: addresses, a folder of its own, and the gateway's configuration.

use super::sample::TOKEN;
use crate::app::command::MOCK_LISTEN;
use crate::proxy::config::Config as Server;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The providers that the mock stands in for, and the path at which each begins there.
const MOCKED: &[(&str, &str)] = &[
    ("openai", "/v1"),
    ("anthropic", ""),
    ("google-ai-studio", ""),
    ("mistral", ""),
    ("cohere", ""),
    ("groq", "/openai/v1"),
    ("aws-bedrock", ""),
];
/// A base URL at which nobody answers: a port that only the system's own services may take.
const DEAD: &str = "http://127.0.0.1:1/v1";

/// The demo's addresses and files. The folder is removed when this is dropped.
pub struct Setting {
    /// Where clients on this machine reach the gateway.
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    pub mock: SocketAddr,
    folder: Folder,
}

/// Which ports are taken where the user has not named one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The usual ones, as far as they are free.
    Usual,
    Any,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Setting {
    /// Chooses the addresses and writes the gateway's configuration.
    ///
    /// # Errors
    /// `listen` is taken, or the folder cannot be written.
    pub fn prepare(listen: Option<SocketAddr>, ports: Ports) -> Result<Self> {
        let (listen, admin, mock) = choose_addresses(listen, ports)?;
        let name = format!("tollgate-demo-{}-{}", std::process::id(), listen.port());
        let folder = std::env::temp_dir().join(name);
        // Others on this machine have no business with the demo's log.
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("{} cannot be made", folder.display()))?;
        let setting = Self {
            gateway: reachable(listen),
            admin,
            mock,
            folder: Folder(folder),
        };
        let config = serde_yaml::to_string(&setting.config(listen))?;
        std::fs::write(setting.config_file(), config)?;
        Ok(setting)
    }

    fn config(&self, listen: SocketAddr) -> Value {
        let mocked = MOCKED.iter().map(|(slug, path)| {
            let base_url = format!("http://{}{path}", self.mock);
            ((*slug).to_owned(), json!({"base_url": base_url}))
        });
        let mut providers: Map<String, Value> = mocked.collect();
        let dead = json!({"base_url": DEAD, "dialect": "openai"});
        providers.insert("custom-dead".to_owned(), dead);
        json!({
            "server": {
                "listen": [{"address": listen.to_string(), "gateway": "default"}],
                "admin": self.admin.to_string(),
            },
            "providers": providers,
            "gateways": {
                "default": {},
                "frugal": {
                    "cache": {"ttl": "5m"},
                    "limits": [
                        // Not a fixed minute, which may end between two of the requests.
                        {"name": "burst", "requests": 2, "per": "1m", "technique": "sliding"},
                    ],
                },
                "locked": {"auth": {"required": true, "tokens": [{"name": "demo", "token": TOKEN}]}},
            },
            "log": {"file": self.log()},
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The gateway's request log.
    pub fn log(&self) -> PathBuf {
        self.folder.0.join("requests.ndjson")
    }

    fn config_file(&self) -> PathBuf {
        self.folder.0.join("tollgate.yaml")
    }

    pub fn mock_arguments(&self) -> [OsString; 3] {
        [
            "mock".into(),
            "--listen".into(),
            self.mock.to_string().into(),
        ]
    }

    pub fn gateway_arguments(&self) -> [OsString; 3] {
        ["run".into(), "--config".into(), self.config_file().into()]
    }

    /// The addresses to play with, and commands to begin with.
    pub fn invitation(&self) -> String {
        let Self {
            gateway,
            admin,
            mock,
            ..
        } = self;
        let log = self.log();
        let config = self.config_file();
        format!(
            r#"It is yours until Ctrl-C:

  gateway  http://{gateway}/v1/ACCOUNT/GATEWAY/PROVIDER/…  or short  http://{gateway}/PROVIDER/…
  admin    http://{admin}/metrics  /healthz  /readyz
  mock     http://{mock}/__mock/stats
  log      {log}
  config   {config}

A chat, a stream, and a gateway that wants a token:

  curl http://{gateway}/v1/me/default/openai/chat/completions -H 'content-type: application/json' -d '{{"model":"gpt-5-mini","messages":[{{"role":"user","content":"Hello"}}]}}'

  curl -N http://{gateway}/anthropic/v1/messages -H 'content-type: application/json' -H 'x-mock: chunk-delay=300' -d '{{"model":"claude-sonnet-4-5","max_tokens":64,"stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'

  curl -i http://{gateway}/v1/me/locked/openai/models -H 'cf-aig-authorization: Bearer {TOKEN}'

"#,
            log = log.display(),
            config = config.display(),
        )
    }
}

/// The gateway's, the keeper's and the mock's address. Whoever asks for port 0 gets any for all
/// three, so that demos side by side keep out of each other's way.
fn choose_addresses(
    listen: Option<SocketAddr>,
    ports: Ports,
) -> Result<(SocketAddr, SocketAddr, SocketAddr)> {
    let any = ports == Ports::Any || listen.is_some_and(|address| address.port() == 0);
    let bind = |usual: SocketAddr| match TcpListener::bind(usual) {
        Ok(listener) if !any => Ok(listener),
        _ => TcpListener::bind((usual.ip(), 0)),
    };
    let usual = Server::default();
    let usual_listen = usual.listen.first().map(|listen| listen.address);
    // All are held until the last is chosen, so that none is chosen twice.
    let gateway = match listen {
        Some(address) => TcpListener::bind(address)
            .with_context(|| format!("--listen: cannot listen on {address}"))?,
        None => bind(usual_listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into()))?,
    };
    let admin = bind(usual.admin)?;
    let mock = bind(MOCK_LISTEN)?;
    Ok((
        gateway.local_addr()?,
        admin.local_addr()?,
        mock.local_addr()?,
    ))
}

/// The unspecified address is reached on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}
