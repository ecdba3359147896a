//! The memory map: the only unsafe code of this room.
//!
//! A plain file is mapped and parsed in place. `--no-mmap` reads it instead.

use memmap2::{Advice, Mmap};
use std::fs::File;
use std::io;

/// Maps a whole file for reading, from its start to its end.
///
/// # Errors
/// Whatever the system says; an empty file cannot be mapped.
pub fn map(file: &File) -> io::Result<Mmap> {
    #[expect(unsafe_code, reason = "a memory map is only as constant as the file")]
    // SAFETY: the map is read-only and private to the worker that asked for it. Bytes of a file that another process
    // changes meanwhile may change under us: parsers take any bytes and never assume that a byte stays as it was read.
    // A file that is cut short raises SIGBUS; the user who scans files that others truncate takes `--no-mmap`.
    let map = unsafe { Mmap::map(file)? };
    // Advice only: a system that does not know it reads the same bytes.
    let _ = map.advise(Advice::Sequential);
    Ok(map)
}
