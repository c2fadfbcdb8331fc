//! A client for the demo's own requests: one connection each, read to its end.

use super::sample::Ask;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);

/// A page of the mock's or the keeper's window.
pub struct Page {
    pub status: u16,
    pub body: String,
}

impl Page {
    pub const fn is_ok(&self) -> bool {
        self.status == 200
    }
}

/// Asks for a page, which has to come with a length.
///
/// # Errors
/// Nobody is there, or what came is not HTTP.
pub async fn fetch(address: SocketAddr, path: &str) -> Result<Page> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let answer = timeout(EXCHANGE_MAX, exchange(address, head.as_bytes(), usize::MAX)).await??;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok(Page {
        status: status.context("not HTTP")?,
        body: body.to_owned(),
    })
}

/// Sends one request of the sample. What comes back is read and forgotten: the gateway's log says
/// what it was.
///
/// # Errors
/// The gateway cannot be reached, or does not come to an end.
pub async fn send(address: SocketAddr, ask: &Ask) -> Result<()> {
    let body = ask.body.bytes();
    let mut request = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\nuser-agent: tollgate-demo\r\nconnection: close\r\n\
         content-type: {}\r\ncontent-length: {}\r\n",
        ask.path,
        ask.body.content_type(),
        body.len()
    );
    for (name, value) in ask.fields {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let request = [request.as_bytes(), &body].concat();
    let exchange = exchange(address, &request, ask.leaves_after.unwrap_or(usize::MAX));
    timeout(EXCHANGE_MAX, exchange).await??;
    Ok(())
}

/// What comes back until the end, or until `bytes_max` have come. A connection that breaks is an
/// end as well.
async fn exchange(address: SocketAddr, request: &[u8], bytes_max: usize) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    while answer.len() < bytes_max {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    Ok(answer)
}
