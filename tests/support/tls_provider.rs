//! A provider behind TLS: HTTP/2 by itself, HTTP/1.1 by passing the bytes on to a mock.

use super::h2::send_all;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The chunks of a stream's answer.
pub const CHUNKS: usize = 20;
const PACE: Duration = Duration::from_millis(20);

/// Serves until the runtime ends.
pub struct Provider {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    accepted: AtomicUsize,
    reset: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

/// What came with a request.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub sni: Option<String>,
    pub authority: String,
    pub host_fields: usize,
    pub path: String,
    pub length: Option<String>,
    pub fields: Vec<String>,
}

impl Provider {
    /// `mock` gets what is not HTTP/2.
    pub async fn start(config: Arc<ServerConfig>, mock: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = state.clone();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(config);
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).ok();
                let (acceptor, state) = (acceptor.clone(), shared.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    state.accepted.fetch_add(1, Ordering::Relaxed);
                    serve(state, stream, mock).await;
                });
            }
        });
        Self { address, state }
    }

    /// Connections whose handshake succeeded.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// Answers that the gateway did not want to the end.
    pub fn reset(&self) -> usize {
        self.state.reset.load(Ordering::Relaxed)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }
}

async fn serve(state: Arc<State>, mut stream: TlsStream<TcpStream>, mock: SocketAddr) {
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        let seen = Seen {
            sni,
            ..Seen::default()
        };
        state.seen.lock().unwrap().push(seen);
        let mut mock = TcpStream::connect(mock).await.unwrap();
        tokio::io::copy_bidirectional(&mut stream, &mut mock)
            .await
            .ok();
        return;
    }
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20);
    builder.initial_connection_window_size(16 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let seen = see(&request, sni.clone());
        state.seen.lock().unwrap().push(seen);
        let state = state.clone();
        tokio::spawn(async move {
            if answer(request, respond).await.is_err() {
                state.reset.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

fn see(request: &Request<h2::RecvStream>, sni: Option<String>) -> Seen {
    let authority = request.uri().authority().map(ToString::to_string);
    let fields = request.headers();
    let length = fields.get("content-length");
    Seen {
        sni,
        authority: authority.unwrap_or_default(),
        host_fields: fields.get_all("host").iter().count(),
        path: request.uri().path().to_owned(),
        length: length.map(|value| value.to_str().unwrap().to_owned()),
        fields: fields.keys().map(ToString::to_string).collect(),
    }
}

/// The body back, or a stream of events where the path asks for one.
async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let streams = request.uri().path().ends_with("/stream");
    let mut incoming = request.into_body();
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece?;
        incoming.flow_control().release_capacity(piece.len())?;
        body.extend_from_slice(&piece);
    }
    let kind = if streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    let head = Response::builder().header("content-type", kind).body(());
    let mut stream = respond.send_response(head.unwrap(), body.is_empty() && !streams)?;
    if !streams {
        return send_all(stream, body.into()).await;
    }
    for number in 0..CHUNKS {
        stream.send_data(format!("data: {number}\n\n").into(), number + 1 == CHUNKS)?;
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            reason = std::future::poll_fn(|context| stream.poll_reset(context)) => {
                return Err(reason?.into());
            }
        }
    }
    Ok(())
}
