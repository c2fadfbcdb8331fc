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
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

/// What is longer goes out by itself.
const GATHERED_BYTES_MAX: usize = 4096;

/// A connection; Pingora gathers by itself only on those that its own services accept.
#[derive(Debug)]
pub struct Buffered(BufWriter<Stream>);

impl Buffered {
    pub fn new(stream: Stream) -> Self {
        Self(BufWriter::with_capacity(GATHERED_BYTES_MAX, stream))
    }
}

impl Drop for Buffered {
    /// An answer that is broken off is not to look as if it had never begun: what was gathered leaves,
    /// as far as the socket takes it at once.
    fn drop(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut self.0).poll_flush(&mut nobody);
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_read(context, room)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

// The rest is the connection's own.

#[async_trait]
impl Shutdown for Buffered {
    async fn shutdown(&mut self) {
        // Whoever is gone need not get the rest.
        let _ = tokio::io::AsyncWriteExt::flush(&mut self.0).await;
        self.0.get_mut().shutdown().await;
    }
}

#[async_trait]
impl Peek for Buffered {
    async fn try_peek(&mut self, room: &mut [u8]) -> io::Result<bool> {
        self.0.get_mut().try_peek(room).await
    }
}

impl UniqueID for Buffered {
    fn id(&self) -> UniqueIDType {
        self.0.get_ref().id()
    }
}

impl Ssl for Buffered {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.0.get_ref().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.0.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.0.get_ref().selected_alpn_proto()
    }
}

impl GetTimingDigest for Buffered {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.get_ref().get_timing_digest()
    }
}

impl GetProxyDigest for Buffered {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.get_ref().get_proxy_digest()
    }
}

impl GetSocketDigest for Buffered {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.get_ref().get_socket_digest()
    }
}
