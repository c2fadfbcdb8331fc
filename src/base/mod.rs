//! Words of the machine: identifiers, keys, clock, secrets, money, digits, counts, sizes and periods; std and the crates lack them.

pub mod chance;
pub mod clock;
pub mod count;
pub mod digits;
pub mod id;
pub mod key;
pub mod money;
pub mod period;
pub mod secret;
pub mod size;
