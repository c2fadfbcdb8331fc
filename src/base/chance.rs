//! Bytes that nobody can guess.

use std::fs::File;
use std::io::{self, Read};

/// # Errors
/// The system gives none.
pub fn random<const COUNT: usize>() -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
