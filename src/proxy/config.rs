//! What a user writes under `server`.

use crate::base::{period::Period, secret::Secret, size::Size};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The daemon's sockets and what it accepts on them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: Vec<Listen>,
    /// `/metrics`, `/healthz`, `/readyz`: never on a public listener.
    #[serde(deserialize_with = "read_address")]
    pub admin: SocketAddr,
    /// Worker threads; 0 means one per core.
    pub threads: usize,
    /// The largest JSON body; what is streamed (uploads, audio, batches) is not held and not limited.
    pub max_body: Size,
    /// The largest request head: request line and header fields.
    pub max_head: Size,
    /// From the first byte of a connection (or the last answer's end plus `keepalive`) to the end
    /// of the request head.
    pub head_timeout: Period,
    /// Between two reads of a request body.
    pub body_timeout: Period,
    /// How long an idle client connection is kept.
    pub keepalive: Period,
    /// How long running requests may go on after SIGTERM.
    pub drain: Period,
    /// How long they may after another process has taken over.
    pub upgrade_drain: Period,
    /// Where `tollgate reload` and `tollgate upgrade` find the running process; `None` is the
    /// system's or the user's own place.
    pub runtime_dir: Option<PathBuf>,
    /// Whether the configuration is reloaded when its files change.
    pub watch: bool,
    /// Who shows it may change things on the admin listener; without one nobody may.
    pub admin_token: Option<Secret>,
    /// PEM file with the certificate authorities to trust for providers, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Listen {
                address: SocketAddr::from(([127, 0, 0, 1], 8787)),
                tls: None,
                gateway: None,
            }],
            admin: SocketAddr::from(([127, 0, 0, 1], 9787)),
            threads: 0,
            max_body: Size::new(25 << 20),
            max_head: Size::new(64 << 10),
            head_timeout: Period::from_secs(10),
            body_timeout: Period::from_secs(30),
            keepalive: Period::from_secs(60),
            drain: Period::from_secs(30),
            upgrade_drain: Period::from_secs(15 * 60),
            runtime_dir: None,
            watch: false,
            admin_token: None,
            ca_file: None,
        }
    }
}

/// One public listener: an address, or `{address, tls, gateway}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<Tls>,
    /// The gateway that short paths (`/{provider}/…`) on this listener mean.
    pub gateway: Option<String>,
}

/// PEM files of a listener's certificate chain and key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// Why a text is no address to listen on. Before the `;` what is wrong, after it how to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(
        "the address names no IP to listen on; write 127.0.0.1:PORT for this machine only, \
         0.0.0.0:PORT for every network"
    )]
    NoIp,
    #[error("the address has no port; write IP:PORT, as in 127.0.0.1:8787")]
    NoPort,
    #[error("the port is not a number from 0 to 65535; write IP:PORT, as in 127.0.0.1:8787")]
    BadPort,
    #[error("an IPv6 address stands in brackets before its port; write \"[::1]:8787\", in quotes")]
    NoBrackets,
    #[error("a listener needs an IP, not a host name; write IP:PORT, as in 127.0.0.1:8787")]
    HostName,
}

/// Reads `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`, which means 127.0.0.1.
pub fn parse_address(text: &str) -> Result<SocketAddr, AddressError> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(AddressError::NoBrackets);
    }
    if text.parse::<u64>().is_ok() {
        return Err(AddressError::NoIp);
    }
    let (host, port) = text.rsplit_once(':').ok_or(AddressError::NoPort)?;
    match host {
        "" => Err(AddressError::NoIp),
        _ if port.is_empty() => Err(AddressError::NoPort),
        _ if port.parse::<u16>().is_err() => Err(AddressError::BadPort),
        "localhost" => {
            let port = port.parse().map_err(|_| AddressError::BadPort)?;
            Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        }
        _ if host.contains(':') => Err(AddressError::NoBrackets),
        _ => Err(AddressError::HostName),
    }
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    deserializer.deserialize_any(AddressVisitor)
}

struct AddressVisitor;

impl Visitor<'_> for AddressVisitor {
    type Value = SocketAddr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8787")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SocketAddr, E> {
        parse_address(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SocketAddr, E> {
        Err(E::custom(AddressError::NoIp))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SocketAddr, E> {
        Err(E::custom(AddressError::NoPort))
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListenVisitor)
    }
}

struct ListenVisitor;

impl<'de> Visitor<'de> for ListenVisitor {
    type Value = Listen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as 127.0.0.1:8787, or {address, tls, gateway}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Listen, E> {
        let address = AddressVisitor.visit_str(text)?;
        Ok(Listen {
            address,
            tls: None,
            gateway: None,
        })
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Listen, E> {
        Err(E::custom(AddressError::NoIp))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Listen, E> {
        Err(E::custom(AddressError::NoPort))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Listen, A::Error> {
        let Map {
            address,
            tls,
            gateway,
        } = Map::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Listen {
            address,
            tls,
            gateway,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    #[serde(deserialize_with = "read_address")]
    address: SocketAddr,
    #[serde(default)]
    tls: Option<Tls>,
    #[serde(default)]
    gateway: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&str, AddressError>) {
        let read = parse_address(text).map(|address| address.to_string());
        assert_eq!(read, expect.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn an_ip_or_localhost_with_a_port_is_an_address() {
        check("0.0.0.0:8787", Ok("0.0.0.0:8787"));
        check("localhost:1", Ok("127.0.0.1:1"));
        check("[::]:443", Ok("[::]:443"));
    }

    #[test]
    fn what_is_no_address_says_how_to_write_it() {
        check(":8787", Err(AddressError::NoIp));
        check("8787", Err(AddressError::NoIp));
        check("127.0.0.1", Err(AddressError::NoPort));
        check("localhost", Err(AddressError::NoPort));
        check("127.0.0.1:", Err(AddressError::NoPort));
        check("127.0.0.1:http", Err(AddressError::BadPort));
        check("127.0.0.1:65536", Err(AddressError::BadPort));
        check("gateway.example:80", Err(AddressError::HostName));
        check("::1", Err(AddressError::NoBrackets));
        check("fe80::zz:80", Err(AddressError::NoBrackets));
    }

    #[test]
    fn a_listener_is_an_address_or_a_map() {
        let read = |text| serde_yaml::from_str::<Listen>(text).unwrap();
        assert_eq!(read("127.0.0.1:8787"), Config::default().listen[0]);
        let listen = read("{address: '[::1]:443', tls: {cert: c, key: k}, gateway: acme}");
        assert_eq!(
            listen.tls,
            Some(Tls {
                cert: "c".into(),
                key: "k".into()
            })
        );
        assert_eq!(listen.gateway.as_deref(), Some("acme"));
        for text in ["8787", "1.5", "{}", "{address: 8787}", "[]"] {
            assert!(serde_yaml::from_str::<Listen>(text).is_err(), "{text}");
        }
    }
}
