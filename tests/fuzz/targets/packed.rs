//! Any bytes as an answer in every content encoding, packed and as they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::unpacks_alike;

fuzz_target!(|body: &[u8]| unpacks_alike(body));
