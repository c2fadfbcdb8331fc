//! Any bytes as an answer in a dialect that nobody named.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::reads_alike;

fuzz_target!(|body: &[u8]| reads_alike(None, body));
