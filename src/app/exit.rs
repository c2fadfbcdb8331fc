//! How the process ends: 0 fine, 1 the user's input is at fault, 2 usage, 70 ours.

use super::mock::MockError;
use super::notes;
use crate::config::Faults;
use std::fmt;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// What the user gave cannot be used: the configuration, an address, a file.
    Input(anyhow::Error),
    /// The configuration's faults, each with its place and mend.
    Config(Faults),
}

impl From<anyhow::Error> for Failure {
    fn from(fault: anyhow::Error) -> Self {
        Self::Input(fault)
    }
}

impl From<MockError> for Failure {
    fn from(fault: MockError) -> Self {
        Self::Input(fault.into())
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Config(faults)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(fault) => write!(f, "{fault:#}"),
            Self::Config(faults) => write!(f, "{faults}"),
        }
    }
}

impl Failure {
    /// Says on standard error what went wrong, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        notes::write_error(&match self {
            Self::Input(fault) => format!("tollgate: {fault:#}\n"),
            Self::Config(faults) => faults.to_string(),
        });
        ExitCode::from(1)
    }
}
