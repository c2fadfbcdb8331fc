//! One accepted connection: counted bytes in and out, and watching whether the client is still there.

use super::head::{self, HEAD_BYTES_MAX};
use super::stats::Stats;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Received bytes are read in steps of at least this many.
const READ_BYTES: usize = 16 << 10;
/// After a FIN, how long the client may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// An RST makes some clients drop what they did not read yet, so it comes this much later.
const RESET_PAUSE: Duration = Duration::from_millis(10);

/// A client's connection.
pub struct Link {
    stream: TcpStream,
    stats: Arc<Stats>,
    /// Received and not consumed yet.
    pub received: BytesMut,
}

impl Link {
    pub fn new(stream: TcpStream, stats: Arc<Stats>) -> Self {
        Self {
            stream,
            stats,
            received: BytesMut::with_capacity(READ_BYTES),
        }
    }

    /// The next head; `None` when the client closed between two requests. A head that is too long
    /// is `InvalidData`, one that was broken off `UnexpectedEof`.
    pub async fn read_head(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            // A blank line before the request line is tolerated, as RFC 9112 2.2 asks.
            while self.received.starts_with(b"\r\n") {
                drop(self.received.split_to(2));
            }
            if let Some(end) = head::find_end(&self.received) {
                return Ok(Some(self.received.split_to(end).freeze()));
            }
            if self.received.len() > HEAD_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.fill_or_end().await? == 0 {
                let end = self.received.is_empty();
                return if end {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Reads more; the end of the stream is an `UnexpectedEof`.
    pub async fn fill(&mut self) -> io::Result<()> {
        match self.fill_or_end().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn fill_or_end(&mut self) -> io::Result<usize> {
        self.received.reserve(READ_BYTES);
        let count = self.stream.read_buf(&mut self.received).await?;
        self.stats.count_in(count);
        Ok(count)
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stats.count_out(bytes.len());
        Ok(())
    }

    /// Waits, and fails as soon as the client has left.
    pub async fn pause(&mut self, time: Duration) -> io::Result<()> {
        if time.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            left = self.outlast() => Err(left),
        }
    }

    /// Waits until the client has left, and says how it did.
    pub async fn outlast(&mut self) -> io::Error {
        while self.received.len() < HEAD_BYTES_MAX {
            if let Err(left) = self.fill().await {
                return left;
            }
        }
        std::future::pending().await
    }

    /// Ends the answer with a FIN and reads on until the client has left.
    pub async fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        loop {
            self.received.clear();
            if self.fill_or_end().await? == 0 {
                return Ok(());
            }
        }
    }

    /// Ends with a FIN; what the client still sends is read for a while, so that no RST overtakes
    /// the answer.
    pub async fn close(mut self) {
        tokio::time::timeout(LINGER, self.half_close()).await.ok();
    }

    /// Ends with an RST.
    pub async fn reset(self) {
        tokio::time::sleep(RESET_PAUSE).await;
        self.stream.set_zero_linger().ok();
    }
}
