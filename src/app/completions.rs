//! `tollgate completions`, and the manual pages: both made of the command line's own definition, so that they cannot become stale.

use super::command::Arguments;
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

/// What the command line's definition does not say.
const MANUAL_TAIL: &str = include_str!("completions/manual.roff");

/// Writes the script with which `shell` completes commands and options.
///
/// # Errors
/// The output cannot be written.
pub fn write(shell: Shell, output: &mut impl Write) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tollgate", &mut script);
    Ok(output.write_all(&script)?)
}

/// Writes `tollgate.1`, and a page for each command, into a folder that is made where it lacks.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn write_manual(folder: &Path) -> Result<()> {
    let told = || format!("{} cannot be written to", folder.display());
    std::fs::create_dir_all(folder).with_context(told)?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(told)?;
    let main = folder.join("tollgate.1");
    let mut main = OpenOptions::new()
        .append(true)
        .open(main)
        .with_context(told)?;
    main.write_all(MANUAL_TAIL.as_bytes()).with_context(told)
}
