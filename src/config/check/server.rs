//! Checks `server`: addresses that clash, gateways that listeners name, and bounds.

use crate::base::size::Size;
use crate::config::Config;
use crate::config::findings::{Findings, Spot};
use crate::config::place::Path;
use crate::config::typed::did_you_mean;
use crate::proxy;
use std::net::SocketAddr;

const THREADS_MAX: usize = 1024;
const LISTENERS_MAX: usize = 64;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    let path = Path::top().key("server");
    check_addresses(&config.server, &path, findings);
    check_gateways(config, &path, findings);
    check_bounds(&config.server, &path, findings);
}

fn check_addresses(server: &proxy::config::Config, path: &Path, findings: &mut Findings<'_>) {
    let list = path.key("listen");
    let count = server.listen.len();
    if count == 0 && !findings.lost_items(&list) {
        findings.add(
            &list,
            Spot::Value,
            "no listener is left",
            "write one address, as in [\"127.0.0.1:8787\"]",
        );
    }
    if count > LISTENERS_MAX {
        findings.add(
            &list,
            Spot::Key,
            "there are too many listeners",
            "write at most 64",
        );
        return;
    }
    for (index, listen) in server.listen.iter().enumerate() {
        let earlier = server
            .listen
            .iter()
            .take(index)
            .position(|other| clash(other.address, listen.address));
        if let Some(earlier) = earlier {
            let place = address_path(&list.item(index), findings);
            let first = name(&list.item(earlier), findings);
            findings.add(
                &place,
                Spot::Value,
                format!("{first} already takes this port"),
                "give each listener a port of its own, or remove one of the two",
            );
        }
    }
    let admin = path.key("admin");
    if let Some(index) = server
        .listen
        .iter()
        .position(|listen| clash(listen.address, server.admin))
    {
        // Where the user did not write the admin address, the listener is what they can change.
        let (place, other) = match findings.has(&admin) {
            true => (admin, name(&list.item(index), findings)),
            false => (
                address_path(&list.item(index), findings),
                name(&admin, findings),
            ),
        };
        findings.add(
            &place,
            Spot::Value,
            format!("{other} already takes this port"),
            "give the admin listener a port of its own, as in 127.0.0.1:9787",
        );
    }
}

/// The address within a listener, where it is written as a map.
fn address_path(listen: &Path, findings: &Findings<'_>) -> Path {
    let address = listen.key("address");
    if findings.has(&address) {
        address
    } else {
        listen.clone()
    }
}

/// What to call the owner of a port, in words of the text.
fn name(path: &Path, findings: &Findings<'_>) -> String {
    let (_, original) = findings.places.locate(path);
    let default = if findings.has(path) {
        ""
    } else {
        ", by default,"
    };
    format!("{original}{default}")
}

/// Whether both sockets cannot be opened. Port 0 lets the system choose.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let same = one.ip().to_canonical() == other.ip().to_canonical();
    let every = |address: SocketAddr| address.ip().is_unspecified();
    // A listener on [::] takes IPv4 as well; one on 0.0.0.0 leaves IPv6 alone.
    let covers = |wide: SocketAddr, narrow: SocketAddr| {
        every(wide) && (wide.is_ipv6() || wide.is_ipv4() == narrow.is_ipv4())
    };
    one.port() == other.port()
        && one.port() != 0
        && (same || covers(one, other) || covers(other, one))
}

fn check_gateways(config: &Config, path: &Path, findings: &mut Findings<'_>) {
    let mut names: Vec<&str> = config.gateways.keys().map(String::as_str).collect();
    if !names.contains(&"default") {
        names.push("default");
    }
    for (index, listen) in config.server.listen.iter().enumerate() {
        let Some(gateway) = &listen.gateway else {
            continue;
        };
        if gateway != "default" && !config.gateways.contains_key(gateway) && !findings.is_full() {
            findings.add(
                &path.key("listen").item(index).key("gateway"),
                Spot::Value,
                "there is no gateway of this name",
                format!(
                    "{}name one of {}, or add it under `gateways`",
                    did_you_mean(gateway, &names),
                    names
                        .iter()
                        .take(20)
                        .copied()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            );
        }
    }
}

fn check_bounds(server: &proxy::config::Config, path: &Path, findings: &mut Findings<'_>) {
    if server.threads > THREADS_MAX {
        let fix = "write at most 1024, or 0 for one per core";
        findings.add(
            &path.key("threads"),
            Spot::Value,
            "these are too many threads",
            fix,
        );
    }
    let sizes = [
        (
            "max_body",
            server.max_body,
            Size::new(1 << 10),
            Size::new(1 << 30),
            "1KiB to 1GiB",
        ),
        (
            "max_head",
            server.max_head,
            Size::new(4 << 10),
            Size::new(1 << 20),
            "4KiB to 1MiB",
        ),
    ];
    for (key, size, min, max, range) in sizes {
        if size < min || size > max {
            let what = format!(
                "`{key}` is too {}",
                if size < min { "small" } else { "large" }
            );
            findings.add(
                &path.key(key),
                Spot::Value,
                what,
                format!("write a size from {range}"),
            );
        }
    }
    let periods = [
        ("head_timeout", server.head_timeout),
        ("body_timeout", server.body_timeout),
        ("keepalive", server.keepalive),
    ];
    for (key, period) in periods {
        if period.is_zero() {
            let what = format!("`{key}` is zero, so nothing would ever come in time");
            findings.add(
                &path.key(key),
                Spot::Value,
                what,
                "write a period such as 10s",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_address_takes_the_port_of_a_narrow_one() {
        let clashes = |one: &str, other: &str| clash(one.parse().unwrap(), other.parse().unwrap());
        assert!(clashes("127.0.0.1:80", "127.0.0.1:80"));
        assert!(clashes("0.0.0.0:80", "127.0.0.1:80"));
        assert!(clashes("127.0.0.1:80", "[::]:80"));
        assert!(!clashes("0.0.0.0:80", "[::1]:80"));
        assert!(!clashes("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!clashes("127.0.0.1:0", "127.0.0.1:0"));
    }
}
