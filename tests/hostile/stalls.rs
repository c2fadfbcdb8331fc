//! Clients that are slow, stop, end their half or vanish, in every phase of a request.

use super::case::Expect::{Closes, HangsUp, Survives};
use super::case::{Case, Step, chat, chat_with};
use crate::support::{CHAT, CHAT_PATH};

pub fn all() -> Vec<Case> {
    let send = |bytes: &[u8]| Step::Send(bytes.to_vec());
    let sound = chat_with(b"x-a: b");
    let short = chat(b"content-length: 500\r\n", b"{");
    let chunk = chat(b"transfer-encoding: chunked\r\n", b"5\r\nhel");
    let hang = chat_with(b"x-mock: hang");
    let endless = chat_with(b"x-mock: endless");
    let half = sound.len() / 2;
    let mut cases = vec![
        Case::script("nothing is sent", vec![], HangsUp),
        Case::script("three letters of a preface", vec![send(b"PRI")], HangsUp),
        Case::script("half a head", vec![send(&sound[..60])], Closes(408)),
        Case::script("a letter at a time", dribble(&sound), Closes(408)),
        Case::script("half a body", vec![send(&short)], Closes(408)),
        Case::script("half a chunk", vec![send(&chunk)], Closes(408)),
        Case::script(
            "a chunk without end",
            vec![send(&endless_chunk())],
            Closes(408),
        ),
        Case::script(
            "half a request, then the end",
            ended(&sound[..half]),
            HangsUp,
        ),
        Case::script("half a body, then the end", ended(&short), HangsUp),
        Case::script("half a chunk, then the end", ended(&chunk), HangsUp),
        Case::script("a whole request, then the end", ended(&sound), Survives),
        Case::script("the end at once", vec![Step::HalfClose], HangsUp),
    ];
    let resets: [(&str, &[u8]); 7] = [
        ("at once", b""),
        ("in the head", &sound[..60]),
        ("in the body", &short),
        ("in a chunk", &chunk),
        ("after the request", &sound),
        ("while the provider thinks", &hang),
        ("in the middle of a stream", &endless),
    ];
    for (name, bytes) in resets {
        let script = vec![send(bytes), Step::Pause, Step::Reset];
        cases.push(Case::script(&format!("RST {name}"), script, Survives));
    }
    cases
}

fn ended(bytes: &[u8]) -> Vec<Step> {
    vec![Step::Send(bytes.to_vec()), Step::HalfClose]
}

/// The first letters at a pace that would take many times the time there is.
fn dribble(bytes: &[u8]) -> Vec<Step> {
    let letters = bytes.chunks(1).take(40);
    letters.map(|letter| Step::Send(letter.to_vec())).collect()
}

fn endless_chunk() -> Vec<u8> {
    let head =
        format!("POST {CHAT_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n");
    format!("{head}transfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n{CHAT}").into_bytes()
}
