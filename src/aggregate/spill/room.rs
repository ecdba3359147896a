//! Room in memory for what is learned of all keys at once: it is asked for before anything is kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// So many bytes.
#[derive(Debug)]
pub(in crate::aggregate) struct Room {
    left: AtomicU64,
    short: AtomicBool,
}

impl Room {
    /// Room for so many bytes.
    pub(in crate::aggregate) fn of(bytes: u64) -> Self {
        Room {
            left: AtomicU64::new(bytes),
            short: AtomicBool::new(false),
        }
    }

    /// Room for whatever comes.
    pub(in crate::aggregate) fn endless() -> Self {
        Room::of(u64::MAX)
    }

    /// Takes so many bytes; false if there are not so many, or there were too few before.
    pub(in crate::aggregate) fn take(&self, bytes: u64) -> bool {
        let less = |left: u64| left.checked_sub(bytes);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if taken.is_err() {
            self.short.store(true, Ordering::Relaxed);
        }
        !self.was_short()
    }

    /// True if there was too little.
    pub(in crate::aggregate) fn was_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }
}
