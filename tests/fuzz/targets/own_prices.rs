//! Any bytes as a user's own prices.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::own_prices_can_be_reckoned_with;

fuzz_target!(|text: &[u8]| own_prices_can_be_reckoned_with(text));
