//! Any bytes as the price that a request brings along.
#![no_main]

use libfuzzer_sys::fuzz_target;
use property::custom_cost_can_be_reckoned_with;

fuzz_target!(|text: &[u8]| custom_cost_can_be_reckoned_with(text));
