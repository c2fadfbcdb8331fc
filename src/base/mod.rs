//! Words of the machine: identifiers, clock, secrets, money, counts, sizes and periods; std and the crates lack them.

pub mod chance;
pub mod clock;
pub mod count;
pub mod id;
pub mod money;
pub mod period;
pub mod secret;
pub mod size;
