//! The memory map: the only unsafe code of this room, with the answer to a file that is cut short under its map.
//!
//! A plain file is mapped and parsed in place. Reading a page that the file has lost raises SIGBUS, which would end the
//! process. So each map stands in a table; the signal's handler puts zeros under the rest of *our* map, leaves a note and
//! returns: the parser meets zeros, which no record holds, and the reader tells that the file changed
//! ([`Reader::change`](super::Reader::change)). A signal for any other address goes to whoever had it before.
//! `--no-mmap` reads files instead.

use memmap2::{Advice, Mmap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// More than this is not asked for at once.
#[cfg(target_os = "linux")]
const MOST_EXPECTED: usize = 64 << 20;

/// A file in memory, from its start to its end.
#[derive(Debug)]
pub struct Map {
    map: Mmap,
    guard: guard::Guard,
    cut: Arc<AtomicBool>,
}

/// Maps a whole file for reading.
///
/// # Errors
/// Whatever the system says; an empty file cannot be mapped, nor more files at once than are watched over.
pub fn map(file: &File) -> io::Result<Map> {
    #[expect(unsafe_code, reason = "a memory map is only as constant as the file")]
    // SAFETY: the map is read-only and private to the worker that asked for it. Bytes of a file that another process
    // changes meanwhile may change under us: parsers take any bytes and never assume that a byte stays as it was read.
    // A file that is cut short is answered by the guard, for as long as the map lives.
    let map = unsafe { Mmap::map(file)? };
    // Advice only: a system that does not know it reads the same bytes.
    let _ = map.advise(Advice::Sequential);
    let guard = guard::Guard::over(&map)?;
    let cut = Arc::default();
    Ok(Map { map, guard, cut })
}

impl Map {
    /// Asks for a part of it that will be read next: all of its pages come by one call, where each few would cost a fault.
    pub fn expect(&self, part: Range<usize>) {
        #[cfg(target_os = "linux")]
        if part.start < part.end && part.end <= self.map.len() && part.len() <= MOST_EXPECTED {
            // Advice only: what is not there now is asked for again when it is read.
            let _ = self.map.advise_range(Advice::PopulateRead, part.start, part.len());
        }
        #[cfg(not(target_os = "linux"))]
        let _ = part;
    }

    /// Becomes true, at the latest when the map is given back, if bytes of the file were gone when they were read.
    pub fn cut(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cut)
    }
}

impl std::ops::Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // Before the map itself goes: from here on its addresses are nobody's.
        if self.guard.release() {
            self.cut.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(unix)]
mod guard {
    use std::io;
    use std::ptr::{null, null_mut};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Once, OnceLock};

    /// One map: its addresses, and whether some of them had lost their file.
    #[derive(Debug)]
    struct Slot {
        start: AtomicUsize,
        end: AtomicUsize,
        cut: AtomicBool,
    }

    /// As many maps as can be watched over at once: one a thread is in use.
    static SLOTS: [Slot; 512] = [const {
        Slot {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            cut: AtomicBool::new(false),
        }
    }; 512];
    static PAGE: AtomicUsize = AtomicUsize::new(4096);
    /// What was done about SIGBUS before.
    static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

    /// Watches over one map.
    #[derive(Debug)]
    pub(super) struct Guard(&'static Slot);

    impl Guard {
        pub(super) fn over(map: &[u8]) -> io::Result<Guard> {
            static INSTALLED: Once = Once::new();
            INSTALLED.call_once(install);
            let start = map.as_ptr().addr();
            let free = |s: &&Slot| {
                s.start
                    .compare_exchange(0, start, Ordering::AcqRel, Ordering::Relaxed)
                    .is_ok()
            };
            let Some(slot) = SLOTS.iter().find(free) else {
                return Err(io::Error::other("too many maps at once"));
            };
            slot.cut.store(false, Ordering::Relaxed);
            slot.end.store(start + map.len(), Ordering::Release);
            Ok(Guard(slot))
        }

        /// Gives the slot back; true if the file was cut.
        pub(super) fn release(&self) -> bool {
            let cut = self.0.cut.load(Ordering::Relaxed);
            self.0.end.store(0, Ordering::Release);
            self.0.start.store(0, Ordering::Release);
            cut
        }
    }

    #[expect(unsafe_code, reason = "a signal's handler is set by a system call")]
    fn install() {
        // SAFETY: the structures are plain numbers, for which all zeros is a value; they live through the calls. The
        // handler does only what a handler may: it reads and writes atomics and calls mmap and sigaction.
        unsafe {
            if let Ok(size) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
                PAGE.store(size.max(1), Ordering::Relaxed);
            }
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, null(), &mut before) != 0 || BEFORE.set(before).is_err() {
                return;
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_bus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigaction(libc::SIGBUS, &action, null_mut());
        }
    }

    #[expect(unsafe_code, reason = "what the system hands a handler is a raw pointer")]
    extern "C" fn on_bus(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO the system passes a valid structure, and for SIGBUS it holds the address.
        let address = unsafe { (*info).si_addr() }.addr();
        let holds = |s: &&Slot| {
            (s.start.load(Ordering::Acquire)..s.end.load(Ordering::Acquire)).contains(&address) && address != 0
        };
        if let Some(slot) = SLOTS.iter().find(holds) {
            let page = address & !(PAGE.load(Ordering::Relaxed) - 1);
            let length = slot.end.load(Ordering::Acquire).saturating_sub(page);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            slot.cut.store(true, Ordering::Relaxed);
            // SAFETY: the range lies inside a map of ours that is alive, since the thread that reads it is in this
            // handler; it is replaced by zeros of the same protection, so every borrow of it stays valid to read.
            let zeros = unsafe { libc::mmap(page as *mut libc::c_void, length, libc::PROT_READ, flags, -1, 0) };
            if zeros != libc::MAP_FAILED {
                return;
            }
        }
        // Not ours, or no memory: as before us. The instruction runs again and raises the signal again.
        let before = BEFORE.get().map_or(null(), std::ptr::from_ref);
        // SAFETY: the structure is the one that the system gave, or none is given.
        unsafe {
            libc::sigaction(signal, before, null_mut());
        }
    }
}

#[cfg(not(unix))]
mod guard {
    /// Elsewhere a mapped file cannot be cut.
    #[derive(Debug)]
    pub(super) struct Guard;

    impl Guard {
        pub(super) fn over(_: &[u8]) -> std::io::Result<Guard> {
            Ok(Guard)
        }

        pub(super) fn release(&self) -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; bytes]).unwrap();
        file
    }

    #[test]
    fn a_file_that_is_cut_short_reads_as_zeros_and_says_so() {
        let (file, other) = (file(1 << 20), file(1 << 20));
        let (map_, whole) = (map(&file).unwrap(), map(&other).unwrap());
        let (cut, uncut) = (map_.cut(), whole.cut());
        file.set_len(5_000).unwrap();
        assert_eq!((map_[4_999], map_[5_000]), (b'x', 0));
        assert!(map_[1 << 16..].iter().all(|b| *b == 0));
        assert!(whole.iter().all(|b| *b == b'x'));
        drop((map_, whole));
        assert!(cut.load(Ordering::Relaxed) && !uncut.load(Ordering::Relaxed));
    }

    #[test]
    fn threads_that_read_cut_files_at_once_all_end() {
        std::thread::scope(|scope| {
            for size in 1..9 {
                scope.spawn(move || {
                    let file = file(size << 18);
                    let map = map(&file).unwrap();
                    file.set_len(0).unwrap();
                    assert_eq!(map.iter().filter(|b| **b != 0).count(), 0);
                });
            }
        });
    }

    #[test]
    fn places_are_given_back() {
        let file = file(1);
        for _ in 0..2_000 {
            map(&file).unwrap();
        }
    }
}
