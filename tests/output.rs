//! Where results go: a file is replaced whole, a link is replaced, a device or a pipe is written to and never replaced.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;

fn top(output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    command
        .args([
            "top",
            "samples/first/default-v2.log",
            "--by",
            "eni",
            "--format",
            "csv",
            "-o",
        ])
        .arg(output);
    command
}

fn direct() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("top.csv");
    assert!(top(&file).status().unwrap().success());
    fs::read(file).unwrap()
}

#[test]
fn a_link_is_replaced_and_its_target_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("real.csv"), folder.path().join("link.csv"));
    fs::write(&file, "old").unwrap();
    symlink(&file, &link).unwrap();
    assert!(top(&link).status().unwrap().success());
    assert_eq!(fs::read(&file).unwrap(), b"old");
    assert_eq!(fs::read(&link).unwrap(), direct());
}

#[test]
fn a_pipe_is_written_to_and_stays_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open both ways, neither side waits for the other; what is written fits into the pipe.
    let mut both = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    assert!(top(&pipe).status().unwrap().success());
    let mut read = direct();
    let expected = read.clone();
    both.read_exact(&mut read).unwrap();
    assert_eq!(read, expected);
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
