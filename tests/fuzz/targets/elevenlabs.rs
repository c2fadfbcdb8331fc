//! Any bytes as an answer in Elevenlabs's dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::reads_alike;
use tollgate::dialect::Dialect;

fuzz_target!(|body: &[u8]| reads_alike(Some(Dialect::Elevenlabs), body));
