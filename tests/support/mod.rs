//! What the tests of the real binary share.
//!
//! A mock provider and a gateway as child processes, and clients that show the bytes.
#![expect(dead_code, reason = "each test file uses the part that it needs")]

pub mod client;
pub mod corpus;
pub mod gateway;
pub mod h2;
pub mod mock;
pub mod packing;
pub mod process;
pub mod request;
pub mod tls;
pub mod tls_provider;
pub mod wait;

// Aliases, which unlike a `use` may stay unused.
pub type Mock = mock::Mock;
pub type Request = request::Request;
pub type Setup = gateway::Setup;

/// A small chat request.
pub const CHAT: &str =
    r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say naïve in 東京."}]}"#;
/// The same, streamed.
pub const CHAT_STREAM: &str = r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Say naïve in 東京."}]}"#;
/// Where they go.
pub const CHAT_PATH: &str = "/v1/acc/default/openai/chat/completions";

/// A path at which the mock can be reached whatever is asked for.
pub const ECHO_PATH: &str = "/v1/acc/default/custom-echo/anything";

/// What the provider received.
pub fn echo(gateway: &gateway::Gateway, request: Request) -> serde_json::Value {
    let what = String::from_utf8_lossy(&request.head()).into_owned();
    let answer = gateway.send(&request.mock("echo"));
    assert_eq!(answer.status, 200, "{what}{}", answer.text());
    answer.json()
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next(&mut state).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Sizes from 1 to `max` that add up to `total`.
pub fn random_sizes(total: usize, max: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let (mut sizes, mut left) = (Vec::new(), total);
    while left > 0 {
        let size = (next(&mut state) as usize % max + 1).min(left);
        sizes.push(size);
        left -= size;
    }
    sizes
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

/// A chat request of exactly `length` bytes (76 at least), padded with text.
pub fn chat_of(length: usize) -> Vec<u8> {
    let (lead, tail) = (
        r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":""#,
        r#""}]}"#,
    );
    let room = length - lead.len() - tail.len();
    let noise = noise(room, length as u64);
    let text = noise.iter().map(|byte| char::from(b'a' + byte % 26));
    let body = [lead, &text.collect::<String>(), tail].concat();
    assert_eq!(body.len(), length);
    body.into_bytes()
}
