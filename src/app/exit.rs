//! How the process ends: 0 fine, 1 the user's input is at fault, 2 usage, 70 ours.

use super::mock::MockError;
use crate::config::Faults;
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

impl Failure {
    /// Says on standard error what went wrong, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Input(fault) => eprintln!("tollgate: {fault:#}"),
            Self::Config(faults) => eprint!("{faults}"),
        }
        ExitCode::from(1)
    }
}
