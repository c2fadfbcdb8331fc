//! An HTTP/2 client that shows every piece, in plain text and over TLS.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// No test waits longer than this for anything.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Clone)]
pub struct Client {
    send: SendRequest<Bytes>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
    pub pieces: usize,
}

impl Client {
    /// Plain text with prior knowledge.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    pub async fn connect_tls(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20);
        builder.initial_connection_window_size(16 << 20);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { send }
    }

    /// Sends a head and leaves the body to the caller.
    pub async fn open(
        &self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let mut send = self.send.clone().ready().await?;
        send.send_request(request, end)
    }

    /// A whole request and its whole answer.
    pub async fn ask(&self, request: Request<()>, body: Vec<u8>) -> Result<Answer, h2::Error> {
        let empty = body.is_empty();
        let (answer, stream) = self.open(request, empty).await?;
        // Whoever answers early may stop reading.
        let sending = tokio::spawn(async move {
            if !empty {
                send_all(stream, Bytes::from(body)).await.ok();
            }
        });
        let answer = tokio::time::timeout(WAIT_MAX, async { read(answer.await?).await });
        let answer = answer.await.expect("an answer in time");
        sending.abort();
        answer
    }
}

/// Sends a body within the windows that the other side gives.
pub async fn send_all(mut stream: SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(room) = room.transpose()? else {
            return Ok(());
        };
        let piece = body.split_to(room.min(body.len()));
        stream.send_data(piece, body.is_empty())?;
    }
    Ok(())
}

async fn read(answer: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let (mut body, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        pieces += 1;
        body.extend_from_slice(&piece);
    }
    Ok(Answer {
        status: head.status.as_u16(),
        fields: head.headers,
        body,
        pieces,
    })
}

/// A POST of JSON.
pub fn post(target: &str) -> http::request::Builder {
    let uri = format!("http://gateway.test{target}");
    let request = Request::builder().method("POST").uri(uri);
    request.header("content-type", "application/json")
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        let read = serde_json::from_slice(&self.body);
        read.unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// The status and the code of a refusal.
    pub fn refusal(&self) -> (u16, u64) {
        let code = self.json()["error"][0]["code"].as_u64();
        (
            self.status,
            code.unwrap_or_else(|| panic!("{}", self.text())),
        )
    }
}
