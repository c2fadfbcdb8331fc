//! Where standard error is systemd's journal, every line of the notes has its level.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use support::process::Scratch;

/// What the command writes to standard error, which is the journal if `JOURNAL_STREAM` says so.
fn stderr(scratch: &Scratch, text: &str, as_journal: bool) -> String {
    let (config, notes) = (scratch.join("tollgate.yaml"), scratch.join("notes"));
    fs::write(&config, text).unwrap();
    let output = File::create(&notes).unwrap();
    let inode = output.metadata().unwrap().ino() + u64::from(!as_journal);
    let stream = format!("{}:{inode}", output.metadata().unwrap().dev());
    let ended = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["check", "--config"])
        .arg(&config)
        .env("JOURNAL_STREAM", stream)
        .env_remove("RUST_LOG")
        .stderr(output)
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(1));
    fs::read_to_string(notes).unwrap()
}

#[test]
fn a_failed_command_is_an_error_in_the_journal_and_plain_text_elsewhere() {
    let scratch = Scratch::new();
    let told = stderr(&scratch, "servers: {}\n", true);
    assert!(told.lines().count() > 3, "{told}");
    assert!(told.lines().all(|line| line.starts_with("<3>")), "{told}");
    let plain = stderr(&scratch, "servers: {}\n", false);
    assert_eq!(told.replace("<3>", ""), plain);
    assert!(!plain.contains("<3>"), "{plain}");
}
