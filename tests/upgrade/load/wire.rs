//! Connecting, in plain text and over TLS, and seeing whether a connection is still open.

use super::Target;
use super::tally::{Phase, Trouble};
use socket2::SockRef;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Nothing takes longer than this but on a machine without a free core; what does has failed.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Plain,
    Tls,
    H2c,
    H2,
}

/// A connection to the gateway.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub async fn connect(target: &Target, wire: Wire) -> Result<Self, Trouble> {
        let (address, tls) = match wire {
            Wire::Plain | Wire::H2c => (target.plain, None),
            Wire::Tls => (target.tls, Some(&target.http1)),
            Wire::H2 => (target.tls, Some(&target.http2)),
        };
        let stream = limit(Phase::Connect, TcpStream::connect(address)).await?;
        stream.set_nodelay(true).ok();
        let Some(tls) = tls else {
            return Ok(Self::Plain(stream));
        };
        let connector = TlsConnector::from(tls.clone());
        let name = "localhost".try_into().unwrap();
        let stream = limit(Phase::Handshake, connector.connect(name, stream)).await?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if wire == Wire::H2 && agreed != Some(b"h2") {
            return Err(Trouble::new(Phase::Handshake, "HTTP/2 was not agreed on"));
        }
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Whether the other side has not closed it, as far as that can be seen now. Bytes that nobody asked for are
    /// trouble.
    pub async fn is_open(&mut self) -> Result<bool, Trouble> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        };
        match SockRef::from(tcp).peek(&mut [MaybeUninit::uninit()]) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Ok(error.kind() == io::ErrorKind::WouldBlock),
        }
        // Under TLS it may be a ticket, or the notice of the end.
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let read =
            poll_fn(|context| Poll::Ready(Pin::new(&mut *self).poll_read(context, &mut buffer)));
        match read.await {
            Poll::Pending => Ok(true),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Ok(false),
            Poll::Ready(Ok(())) => Err(Trouble::new(Phase::Write, "bytes between two answers")),
            Poll::Ready(Err(_)) => Ok(false),
        }
    }
}

/// The result of something on a socket that has to come in time.
pub async fn limit<T>(
    phase: Phase,
    what: impl Future<Output = io::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(WAIT_MAX, what).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Trouble::io(phase, &error)),
        Err(_) => Err(Trouble::new(phase, "nothing happened")),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
