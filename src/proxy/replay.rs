//! The client's session, able to send its body again.
//!
//! Once the body was read, every attempt gets it whole, whatever its size and framing; until then all
//! passes through.
//!
//! Pingora forwards a body as it comes and keeps only 64 KiB of it for a second attempt. A session
//! of its "custom" kind may hold more: this one answers for the body itself and leaves the rest to
//! the real session inside. It is also where the deadlines of an exchange are kept, because Pingora
//! polls it for as long as the exchange runs.

use super::gate::Held;
use super::parts;
use super::seat::Seat;
use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::{Error, ErrorType, Result};
use pingora_timeout::timeout;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// The session in disguise.
pub struct Replay {
    inner: Option<ServerSession>,
    seat: Arc<Seat>,
    held: Held,
    /// The end was queued, and nobody was told yet.
    ended: bool,
    /// One timer a request, set again only when a deadline comes nearer.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Replay {
    pub fn new(mut inner: ServerSession, seat: Arc<Seat>) -> Self {
        inner.set_proxy_tasks_enabled(true);
        Self {
            inner: Some(inner),
            seat,
            held: Held::default(),
            ended: false,
            alarm: None,
        }
    }

    /// What may go out now, as this client can read it.
    fn pass(&mut self, tasks: Vec<HttpTask>) -> Option<Vec<HttpTask>> {
        let mut tasks = self.held.pass(tasks, &self.seat.gate)?;
        for task in &mut tasks {
            if let HttpTask::Header(head, _) = task {
                parts::fit(head, self.inner_mut());
            }
        }
        Some(tasks)
    }

    #[expect(clippy::expect_used, reason = "only drop takes the session out")]
    fn inner(&self) -> &ServerSession {
        self.inner.as_ref().expect("present until dropped")
    }

    #[expect(clippy::expect_used, reason = "only drop takes the session out")]
    fn inner_mut(&mut self) -> &mut ServerSession {
        self.inner.as_mut().expect("present until dropped")
    }

    /// Waits for the client, or for the next deadline.
    async fn read_or_lapse(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        // Seen once: every event of the exchange asks anew, and an early alarm is no event.
        let next = self.seat.deadlines.next(Instant::now());
        let Some((at, lapse)) = next.filter(|_| !self.seat.is_filling()) else {
            let seat = self.seat.clone();
            return wait_for_client(self.inner_mut(), &seat, no_body_expected).await;
        };
        let at = at.into();
        loop {
            let alarm = self
                .alarm
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if at < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(at);
            }
            let Some(inner) = self.inner.as_mut() else {
                return Err(Error::new(ErrorType::InternalError));
            };
            tokio::select! {
                biased;
                read = wait_for_client(inner, &self.seat, no_body_expected) => return read,
                () = alarm.as_mut() => {
                    // The alarm may be that of an earlier deadline, since moved on.
                    if Instant::now() >= at.into_std() {
                        return Err(lapse.error());
                    }
                    alarm.as_mut().reset(at);
                }
            }
        }
    }
}

/// Waits until the client sends or leaves; where the answer is read on without it, its leaving is
/// noted, and nothing comes from it any more.
async fn wait_for_client(
    inner: &mut ServerSession,
    seat: &Seat,
    no_body_expected: bool,
) -> Result<Option<Bytes>> {
    if !seat.has_left() {
        match inner.read_body_or_idle(no_body_expected).await {
            Err(_) if no_body_expected && seat.drains() => seat.leave(),
            read => return read,
        }
    }
    std::future::pending().await
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.seat.give_back(self.inner.take());
    }
}

#[async_trait]
impl CustomSession for Replay {
    // The body, which is ours once it was read.

    fn is_body_done(&mut self) -> bool {
        self.seat.body().is_some() || self.inner_mut().is_body_done()
    }

    fn is_body_empty(&mut self) -> bool {
        match self.seat.body() {
            Some(body) => body.is_empty(),
            None => self.inner_mut().is_body_empty(),
        }
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match self.seat.body() {
            Some(body) => (!body.is_empty()).then(|| body.clone()),
            None => self.inner().get_retry_buffer(),
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.seat.body().is_none() && self.inner().retry_buffer_truncated()
    }

    fn enable_retry_buffering(&mut self) {
        if self.seat.body().is_none() {
            self.inner_mut().enable_retry_buffering();
        }
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.seat.body().is_some() {
            return Ok(None);
        }
        self.inner_mut().read_request_body().await
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let held = self.seat.body().is_some();
        if no_body_expected || held || self.inner_mut().is_body_done() {
            return self.read_or_lapse(true).await;
        }
        self.inner_mut().read_body_or_idle(false).await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner_mut().drain_request_body().await
    }

    /// Pingora calls this at the end of a good answer and of an error alike; what becomes of the
    /// connection is the door's decision.
    async fn finish(&mut self) -> Result<()> {
        if self.seat.has_left() {
            return Ok(());
        }
        self.inner_mut().finish_body().await?;
        self.seat.finish();
        Ok(())
    }

    // The rest is the real session's.

    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    async fn write_response_header(
        &mut self,
        mut resp: Box<ResponseHeader>,
        _end: bool,
    ) -> Result<()> {
        parts::fit(&mut resp, self.inner_mut());
        if self.seat.closes_after() {
            self.inner_mut().set_keepalive(None);
        }
        self.inner_mut().write_response_header(resp).await
    }

    async fn write_response_header_ref(&mut self, resp: &ResponseHeader, _end: bool) -> Result<()> {
        self.inner_mut().write_response_header_ref(resp).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner_mut().write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let Some(tasks) = self.pass(tasks) else {
            return Ok(false);
        };
        let ended = tasks.iter().any(HttpTask::is_end);
        let failed = |task: &HttpTask| matches!(task, HttpTask::Failed(_));
        if !self.seat.drains() || tasks.iter().any(failed) {
            return self.inner_mut().response_duplex_vec(tasks).await;
        }
        if !self.seat.has_left() {
            match self.inner_mut().response_duplex_vec(tasks).await {
                Ok(done) => return Ok(done),
                Err(_) => self.seat.leave(),
            }
        }
        Ok(ended)
    }

    // An answer that others read as well must not wait for this client. Pingora's queue is for that; it
    // has none for HTTP/2, whose clients hold the others up when they stop reading.

    fn proxy_tasks_enabled(&self) -> bool {
        self.seat.is_filling() && self.inner().supports_proxy_task_api()
    }

    fn send_proxy_task(&mut self, task: HttpTask) {
        let Some(tasks) = self.pass(vec![task]) else {
            return;
        };
        for task in tasks {
            self.ended |= task.is_end();
            if !self.seat.has_left() {
                self.inner_mut().send_downstream_proxy_task(task);
            }
        }
    }

    fn has_pending_proxy_tasks(&self) -> bool {
        if self.seat.has_left() {
            return self.ended;
        }
        self.inner().has_pending_downstream_proxy_tasks()
    }

    async fn write_proxy_tasks(&mut self) -> Result<bool> {
        if !self.seat.has_left() {
            let stall = self.get_write_timeout().unwrap_or(Duration::MAX);
            let written = self.inner_mut().write_downstream_proxy_tasks();
            if let Ok(Ok(done)) = timeout(stall, written).await {
                return Ok(done);
            }
            self.seat.leave();
        }
        Ok(std::mem::take(&mut self.ended))
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner().request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner_mut().shutdown().await;
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    fn is_upgrade_req(&self) -> bool {
        self.inner().is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner().was_upgraded()
    }

    // Messages beside the body, which HTTP/1 and HTTP/2 clients do not send.

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
