//! The connections: accepting them, and one request after the other on each.

use super::answer::Answer;
use super::ask::{Ask, Fields};
use super::body::{self, BodyError};
use super::fault::{FaultError, Faults, KNOWN};
use super::head::Head;
use super::link::Link;
use super::script::{Script, Sight};
use super::send::{Manner, Next, send};
use super::shape::{self, Shape};
use super::stats::Stats;
use super::upload::Body;
use bytes::Bytes;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// After a failed accept, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

struct Mock {
    stats: Arc<Stats>,
    script: Option<Script>,
}

/// Serves until it is dropped; its connections end with it.
pub async fn serve(listener: TcpListener, script: Option<Script>) -> io::Result<()> {
    let mock = Arc::new(Mock {
        stats: Arc::default(),
        script,
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(mock.clone(), stream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection as open for as long as it lives.
struct Open(Arc<Stats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

async fn talk(mock: Arc<Mock>, stream: TcpStream) {
    mock.stats.open();
    let _open = Open(mock.stats.clone());
    stream.set_nodelay(true).ok();
    let mut link = Link::new(stream, mock.stats.clone());
    loop {
        let raw = match link.read_head().await {
            Ok(Some(raw)) => raw,
            Ok(None) => return,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                refuse(&mut link, 431, "the head is too long").await.ok();
                return link.close().await;
            }
            Err(_) => return,
        };
        let next = match Head::parse(&raw) {
            Ok(head) => exchange(&mock, &mut link, &raw, &head).await,
            Err(error) => refuse(&mut link, 400, &error.to_string()).await,
        };
        match next {
            Ok(Next::Again) => {}
            Ok(Next::Close) => return link.close().await,
            Ok(Next::Reset) => return link.reset().await,
            Ok(Next::Drop) => return,
            Err(_) => return mock.stats.count_aborted(),
        }
    }
}

/// One request and its answer. An error means that the client left before the end.
async fn exchange(mock: &Mock, link: &mut Link, raw: &Bytes, head: &Head<'_>) -> io::Result<Next> {
    if head.path.starts_with("/__mock/") {
        return exchange_control(mock, link, head).await;
    }
    mock.stats.count_request(head.path);
    let asked = match read_faults(head) {
        Ok(asked) => asked,
        Err(error) => return refuse_fault(link, &error).await,
    };
    let script = mock.script.as_ref().filter(|_| asked.is_none());
    let sight = Sight {
        method: head.method,
        path: head.path,
        model: "",
    };
    let mut faults = match script.filter(|script| !script.reads_model()) {
        Some(script) => script.find(sight).map_or_else(Cow::default, Cow::Borrowed),
        None => Cow::Owned(asked.unwrap_or_default()),
    };
    if faults.wire.early {
        return answer_early(mock, link, raw, head, &faults).await;
    }
    let (shape, path_model) = shape::find(head.method, head.path);
    let body = match read_body(link, head, shape.keeps_body()).await {
        Ok(body) => body,
        Err(BodyError::Link(left)) => return Err(left),
        Err(error @ BodyError::TooLarge) => return refuse(link, 413, &error.to_string()).await,
        Err(error @ BodyError::Chunk(_)) => return refuse(link, 400, &error.to_string()).await,
    };
    mock.stats.keep_last(raw, &body);
    let (fields, malformed) = read_fields(shape, &body);
    if let Some(script) = script.filter(|script| script.reads_model()) {
        let model = path_model
            .as_deref()
            .or(fields.model.as_deref())
            .unwrap_or_default();
        let found = script.find(Sight { model, ..sight });
        faults = found.map_or_else(Cow::default, Cow::Borrowed);
    }
    let ask = Ask {
        head,
        body: &body,
        fields,
        path_model,
        content: &faults.content,
    };
    let answer = match malformed {
        Some(error) if !faults.content.echo => refuse_body(shape, &ask, &error),
        _ => shape::answer(shape, &ask),
    };
    send(link, answer, &faults, manner(head)).await
}

/// What an answer depends on; nothing, and why, when the body should be JSON and is not.
fn read_fields(shape: Shape, body: &Body) -> (Fields<'_>, Option<serde_json::Error>) {
    if !shape.reads_json() {
        return (Fields::default(), None);
    }
    match serde_json::from_slice(&body.bytes) {
        Ok(fields) => (fields, None),
        Err(error) => (Fields::default(), Some(error)),
    }
}

/// The faults of the `x-mock` headers, or `None` without any.
fn read_faults(head: &Head<'_>) -> Result<Option<Faults>, FaultError> {
    if head.mock.is_empty() {
        return Ok(None);
    }
    let mut faults = Faults::default();
    for list in &head.mock {
        faults.add(list)?;
    }
    Ok(Some(faults))
}

async fn read_body(link: &mut Link, head: &Head<'_>, keep: bool) -> Result<Body, BodyError> {
    if head.expects_continue {
        link.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    body::read(link, head.framing, keep).await
}

/// Answers from the head alone, and only then reads the body away.
async fn answer_early(
    mock: &Mock,
    link: &mut Link,
    raw: &Bytes,
    head: &Head<'_>,
    faults: &Faults,
) -> io::Result<Next> {
    let (shape, path_model) = shape::find(head.method, head.path);
    let body = Body::default();
    mock.stats.keep_last(raw, &body);
    let ask = Ask {
        head,
        body: &body,
        fields: Fields::default(),
        path_model,
        content: &faults.content,
    };
    let next = send(link, shape::answer(shape, &ask), faults, manner(head)).await?;
    if next != Next::Again {
        return Ok(next);
    }
    match body::read(link, head.framing, false).await {
        Ok(_) => Ok(Next::Again),
        // The answer is out, so a client that stops sending now is no abort.
        Err(_) => Ok(Next::Close),
    }
}

async fn exchange_control(mock: &Mock, link: &mut Link, head: &Head<'_>) -> io::Result<Next> {
    match read_body(link, head, false).await {
        Ok(_) => {
            send(
                link,
                answer_control(mock, head),
                &Faults::default(),
                manner(head),
            )
            .await
        }
        Err(BodyError::Link(left)) => Err(left),
        Err(error) => refuse(link, 400, &error.to_string()).await,
    }
}

fn answer_control(mock: &Mock, head: &Head<'_>) -> Answer {
    match (head.method, head.path) {
        ("GET", "/__mock/stats") => Answer::value(&mock.stats.show()),
        ("GET", "/__mock/last") => Answer::value(&mock.stats.show_last()),
        ("POST", "/__mock/reset") => {
            mock.stats.reset();
            if let Some(script) = &mock.script {
                script.reset();
            }
            Answer::value(&json!({"reset": true}))
        }
        _ => {
            let known = "GET /__mock/stats, GET /__mock/last, POST /__mock/reset";
            Answer::value(&show_error(&format!("no such control; there are {known}"))).status(404)
        }
    }
}

fn manner(head: &Head<'_>) -> Manner {
    Manner {
        http10: head.http10,
        closes: head.closes,
        bodiless: head.method == "HEAD",
    }
}

fn refuse_body(shape: Shape, ask: &Ask<'_>, error: &serde_json::Error) -> Answer {
    let mut shown = shape::error::show(shape.family(), 400, ask);
    let message = Value::from(format!("the mock cannot read the request body: {error}"));
    for path in ["/error/message", "/message"] {
        if let Some(place) = shown.pointer_mut(path) {
            *place = message.clone();
        }
    }
    Answer::value(&shown).status(400)
}

async fn refuse_fault(link: &mut Link, error: &FaultError) -> io::Result<Next> {
    let known: Vec<Value> = KNOWN
        .iter()
        .map(|(fault, does)| json!({"fault": fault, "does": does}))
        .collect();
    let mut shown = show_error(&error.to_string());
    shape::openai::insert(&mut shown, "known", Some(json!(known)));
    close_with(link, Answer::value(&shown).status(400)).await
}

async fn refuse(link: &mut Link, status: u16, message: &str) -> io::Result<Next> {
    close_with(link, Answer::value(&show_error(message)).status(status)).await
}

/// Answers, and closes, since a body may be left unread.
async fn close_with(link: &mut Link, answer: Answer) -> io::Result<Next> {
    let manner = Manner {
        http10: false,
        closes: true,
        bodiless: false,
    };
    send(link, answer, &Faults::default(), manner).await
}

fn show_error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "mock_error", "param": null, "code": null}})
}
