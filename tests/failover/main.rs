//! One request and many providers: what fails is tried again or elsewhere, and the client is told one story.
#![cfg(test)]

mod commit;
mod load;
mod matrix;
mod refused;
mod retry;
mod shape;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod universal;
