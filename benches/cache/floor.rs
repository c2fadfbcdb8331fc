//! The framework's floor: Pingora's proxy, that gives a ready-made answer out of memory and decides nothing.

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};
use std::process::ExitCode;

struct Answer {
    body: Bytes,
}

#[async_trait]
impl ProxyHttp for Answer {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        _context: &mut (),
    ) -> pingora::Result<bool> {
        let downstream = session.as_downstream_mut();
        while downstream.read_request_body().await?.is_some() {}
        let mut head = ResponseHeader::build_no_case(200, Some(4))?;
        head.insert_header("content-type", "application/json")?;
        head.insert_header("content-length", self.body.len())?;
        downstream.write_response_header(Box::new(head)).await?;
        downstream
            .write_response_body(self.body.clone(), true)
            .await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _context: &mut (),
    ) -> pingora::Result<Box<HttpPeer>> {
        Err(Error::new(ErrorType::ConnectNoRoute))
    }
}

/// Answers all that comes to `listen` with a body of `length` bytes, with one thread, until killed.
pub fn run(listen: &str, length: &str) -> Result<ExitCode> {
    let body = Bytes::from(vec![b'x'; length.parse()?]);
    let conf = ServerConf {
        threads: 1,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Answer { body });
    service.add_tcp(listen);
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(ExitCode::SUCCESS)
}
