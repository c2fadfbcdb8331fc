//! The log on outputs that do not take all of it.

use super::*;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::io::{Read, Seek};

/// A file that has room for so many bytes.
fn small_disk(room: u64) -> File {
    let file = memfd_create("disk", MemfdFlags::ALLOW_SEALING).unwrap();
    let file = File::from(file);
    file.set_len(room).unwrap();
    fcntl_add_seals(&file, SealFlags::GROW).unwrap();
    file
}

#[test]
fn a_line_that_a_full_disk_cuts_short_is_taken_back() {
    let lines: Vec<u8> = (0..1000_u32)
        .flat_map(|number| format!("line {number}\n").into_bytes())
        .collect();
    let mut disk = small_disk(8192);
    let mut taken = 0;
    append(&disk, &lines, &mut taken).unwrap_err();
    let mut written = Vec::new();
    disk.rewind().unwrap();
    disk.read_to_end(&mut written).unwrap();
    assert!(written.len() > 8000, "{}", written.len());
    assert_eq!(written.last(), Some(&b'\n'));
    // What is left begins with the line that was taken back.
    assert_eq!(taken, written.len());
    assert_eq!([&written, &lines[taken..]].concat(), lines);
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error_at_once() {
    let folder = std::env::temp_dir().join(format!("tollgate-pipe-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("log");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let refused = open(&path).unwrap_err().to_string();
    assert_eq!(
        refused,
        "it is a pipe that nobody reads; start its reader first"
    );
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut taken = 0;
    append(&open(&path).unwrap(), b"line\n", &mut taken).unwrap();
    assert_eq!(taken, 5);
    drop(reader);
    std::fs::remove_dir_all(folder).unwrap();
}
