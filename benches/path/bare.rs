//! The framework's floor: a Pingora pass-through that decides nothing.

use anyhow::Result;
use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Connections to the provider that are kept; the gateway keeps as many.
const POOL_MAX: usize = 1024;

struct Pass {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Pass {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _context: &mut (),
    ) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// Passes all that comes to `listen` on to `upstream`, with one thread, until killed.
pub fn run(listen: &str, upstream: &str) -> Result<ExitCode> {
    let upstream: SocketAddr = upstream.parse()?;
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: POOL_MAX,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(upstream, false, String::new());
    let mut service = http_proxy_service(&server.configuration, Pass { peer });
    service.add_tcp(listen);
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(ExitCode::SUCCESS)
}
