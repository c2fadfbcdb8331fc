//! The listening sockets: opened before anything else, kept for the successor.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

/// Connections that wait to be accepted, as far as the system allows (net.core.somaxconn): they do so
/// while a process starts, or ends.
const BACKLOG: i32 = 65_535;

/// Listening sockets by the address that the configuration names.
#[derive(Debug, Default)]
pub struct Sockets(BTreeMap<SocketAddr, TcpListener>);

impl Sockets {
    /// Those that another process, or systemd, left behind. One that is not bound is none.
    pub fn inherited(sockets: impl IntoIterator<Item = TcpListener>) -> Self {
        let bound = |socket: TcpListener| Some((socket.local_addr().ok()?, socket));
        Self(sockets.into_iter().filter_map(bound).collect())
    }

    /// Opens every address of `wanted`, each with the key of the configuration that names it; takes
    /// it from `self` where it is there. What nobody wants any more comes back as well.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn claim(mut self, wanted: &[(&str, SocketAddr)]) -> Result<(Self, Vec<SocketAddr>)> {
        let mut claimed = BTreeMap::new();
        for (key, address) in wanted {
            let socket = match self.0.remove(address) {
                Some(socket) => socket,
                None => TcpListener::bind(address)
                    .with_context(|| format!("{key}: cannot listen on {address}"))?,
            };
            socket.set_nonblocking(true)?;
            rustix::net::listen(&socket, BACKLOG)?;
            claimed.insert(*address, socket);
        }
        Ok((Self(claimed), self.0.into_keys().collect()))
    }

    /// The same socket once more, for whoever accepts from it.
    ///
    /// # Errors
    /// `address` was not claimed, or no file descriptor is left.
    pub fn socket(&self, address: SocketAddr) -> Result<TcpListener> {
        let socket = self.0.get(&address).context("a socket was not opened")?;
        Ok(socket.try_clone()?)
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.keys().copied()
    }

    pub fn files(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        let file = |(address, socket): (&SocketAddr, _)| (*address, AsFd::as_fd(socket));
        self.0.iter().map(file)
    }
}

impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self
            .addresses()
            .map(|address| address.to_string())
            .collect();
        f.write_str(&addresses.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_taken_and_the_rest_is_opened() {
        let old = TcpListener::bind("127.0.0.1:0").unwrap();
        let unwanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = |socket: &TcpListener| socket.local_addr().unwrap();
        let (kept, removed, new) = (address(&old), address(&unwanted), address(&free));
        drop(free);

        let inherited = Sockets::inherited([old, unwanted]);
        let wanted = [("server.listen", kept), ("server.admin", new)];
        let (sockets, gone) = inherited.claim(&wanted).unwrap();
        assert_eq!(gone, [removed]);
        for address in [kept, new] {
            assert_eq!(
                sockets.socket(address).unwrap().local_addr().unwrap(),
                address
            );
        }
        assert!(sockets.socket(removed).is_err());
    }

    #[test]
    fn a_taken_address_says_which_key_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = [("server.admin", taken.local_addr().unwrap())];
        let error = Sockets::default().claim(&wanted).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("server.admin: cannot listen on 127.0.0.1:")
        );
    }
}
