//! Any bytes as the body of a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::asks_for_what_it_says;

fuzz_target!(|body: &[u8]| asks_for_what_it_says(body));
