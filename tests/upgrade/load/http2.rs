//! Clients of HTTP/2: many requests at once on a connection, and a new connection after each GOAWAY.

use super::question::Question;
use super::tally::{Phase, Trouble};
use super::wire::{Stream, WAIT_MAX, Wire, limit};
use super::{FAILURE_PAUSE, Group, Shared};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Until the load stops, one connection after the other.
pub async fn work(shared: Arc<Shared>, group: Group) {
    while shared.is_running() {
        let began = Instant::now();
        match connect(&shared, &group).await {
            Ok(client) => {
                let mut streams = JoinSet::new();
                for _ in 0..group.at_once {
                    let (shared, group) = (shared.clone(), group.clone());
                    streams.spawn(ask_on(shared, group, client.clone()));
                }
                while let Some(ended) = streams.join_next().await {
                    ended.unwrap();
                }
            }
            Err(trouble) => {
                // A request that would have been.
                let event = format!("unsent-{}", shared.number());
                shared.tally.sent(group.kind, &event);
                shared.tally.ended(group.kind, &event, began, Err(trouble));
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

async fn connect(shared: &Shared, group: &Group) -> Result<SendRequest<Bytes>, Trouble> {
    let stream = Stream::connect(&shared.target, group.wire).await?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1 << 20);
    builder.initial_connection_window_size(16 << 20);
    let handshake = async { builder.handshake(stream).await.map_err(io::Error::other) };
    let (client, connection) = limit(Phase::Handshake, handshake).await?;
    tokio::spawn(connection);
    shared.tally.connected(group.kind);
    Ok(client)
}

/// One request after the other, until the connection takes no more of them or the load stops.
async fn ask_on(shared: Arc<Shared>, group: Group, client: SendRequest<Bytes>) {
    loop {
        shared.think(group.think.clone()).await;
        if !shared.is_running() {
            return;
        }
        // GOAWAY, or the end between two requests: the next one goes over a new connection.
        let Ok(client) = client.clone().ready().await else {
            return;
        };
        let question = shared
            .book
            .question(group.asks, group.kind, shared.number());
        shared.tally.sent(group.kind, &question.event);
        let began = Instant::now();
        let result = ask(client, &group, &question, began).await;
        let failed = result.is_err();
        shared
            .tally
            .ended(group.kind, &question.event, began, result);
        if failed {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}

/// The time to the head of the answer.
async fn ask(
    mut client: SendRequest<Bytes>,
    group: &Group,
    question: &Question,
    began: Instant,
) -> Result<Duration, Trouble> {
    let scheme = match group.wire {
        Wire::H2 | Wire::Tls => "https",
        Wire::H2c | Wire::Plain => "http",
    };
    let uri = format!("{scheme}://gateway.test{}", question.target);
    let mut request = Request::post(uri);
    for (name, value) in &question.fields {
        request = request.header(*name, value);
    }
    let request = request.body(()).unwrap();
    let sent = client.send_request(request, false);
    let (answer, mut stream) = sent.map_err(|error| Trouble::new(Phase::Write, error))?;
    let body = Bytes::from(question.body.clone());
    let sent = stream.send_data(body, true);
    sent.map_err(|error| Trouble::new(Phase::Write, error))?;
    let answer = within(Phase::Head, answer).await?;
    let time = began.elapsed();
    let status = answer.status();
    let mut incoming = answer.into_body();
    let mut body = Vec::new();
    while let Some(piece) = within(Phase::Body, async { incoming.data().await.transpose() })
        .await
        .map_err(|trouble| Trouble {
            what: format!("{} after {} bytes of the body", trouble.what, body.len()),
            ..trouble
        })?
    {
        incoming.flow_control().release_capacity(piece.len()).ok();
        body.extend_from_slice(&piece);
        if status == 200
            && let Some(fault) = question.expect.fault(&body, false)
        {
            return Err(Trouble::new(Phase::Body, fault));
        }
    }
    if status != 200 {
        let text = String::from_utf8_lossy(&body);
        return Err(Trouble::new(Phase::Head, format!("{status}: {text}")));
    }
    match question.expect.fault(&body, true) {
        Some(fault) => Err(Trouble::new(Phase::Body, fault)),
        None => Ok(time),
    }
}

async fn within<T>(
    phase: Phase,
    what: impl Future<Output = Result<T, h2::Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(WAIT_MAX, what).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Trouble::new(phase, error)),
        Err(_) => Err(Trouble::new(phase, "nothing happened")),
    }
}
