//! Gathers what is written until it is flushed, so that a short answer's head and body leave in one piece.

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};
use tokio::time::Sleep;

/// What is longer goes out by itself.
const GATHERED_BYTES_MAX: usize = 4096;

/// A client that takes nothing for this long is gone.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);

/// A connection; Pingora gathers by itself only on those that its own services accept.
#[derive(Debug)]
pub struct Buffered {
    inner: BufWriter<Stream>,
    /// Runs while the client takes nothing. Pingora's own timeouts leave some flushes out.
    stall: Option<Pin<Box<Sleep>>>,
}

impl Buffered {
    pub fn new(stream: Stream) -> Self {
        Self {
            inner: BufWriter::with_capacity(GATHERED_BYTES_MAX, stream),
            stall: None,
        }
    }

    /// What came of a write, unless the client has stalled for too long.
    fn bound<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(CLIENT_STALL)));
        stall
            .as_mut()
            .poll(context)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Buffered {
    /// An answer that is broken off is not to look as if it had never begun: what was gathered leaves,
    /// as far as the socket takes it at once.
    fn drop(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.inner).poll_flush(&mut nobody);
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.inner.get_mut()).poll_read(context, room)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.bound(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.bound(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.bound(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

// The rest is the connection's own.

#[async_trait]
impl Shutdown for Buffered {
    async fn shutdown(&mut self) {
        // Whoever is gone need not get the rest.
        let _ = tokio::io::AsyncWriteExt::flush(&mut self.inner).await;
        self.inner.get_mut().shutdown().await;
    }
}

#[async_trait]
impl Peek for Buffered {
    async fn try_peek(&mut self, room: &mut [u8]) -> io::Result<bool> {
        self.inner.get_mut().try_peek(room).await
    }
}

impl UniqueID for Buffered {
    fn id(&self) -> UniqueIDType {
        self.inner.get_ref().id()
    }
}

impl Ssl for Buffered {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ref().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.get_ref().selected_alpn_proto()
    }
}

impl GetTimingDigest for Buffered {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_ref().get_timing_digest()
    }
}

impl GetProxyDigest for Buffered {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_ref().get_proxy_digest()
    }
}

impl GetSocketDigest for Buffered {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_ref().get_socket_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// A connection with something to be flushed, whose client has stalled for all the time that it had.
    async fn stalled(stream: Stream) -> Buffered {
        let mut buffered = Buffered::new(stream);
        buffered.write_all(b"eight or more").await.unwrap();
        buffered.stall = Some(Box::pin(tokio::time::sleep(Duration::ZERO)));
        buffered
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_for_too_long_is_gone() {
        let (ours, _client) = duplex(8);
        let mut stream = stalled(Box::new(ours)).await;
        let fault = stream.flush().await.unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn whoever_takes_something_has_all_the_time_again() {
        let (ours, mut client) = duplex(64);
        let mut stream = stalled(Box::new(ours)).await;
        stream.flush().await.unwrap();
        assert!(stream.stall.is_none());
        let mut read = [0; 13];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"eight or more");
    }
}
