//! Room in memory for what is learned of all keys at once: it is asked for before anything is kept.

use std::cell::Cell;

/// So many bytes.
#[derive(Debug)]
pub(in crate::aggregate) struct Room {
    left: Cell<u64>,
    short: Cell<bool>,
}

impl Room {
    /// Room for so many bytes.
    pub(in crate::aggregate) fn of(bytes: u64) -> Self {
        Room {
            left: Cell::new(bytes),
            short: Cell::new(false),
        }
    }

    /// Room for whatever comes.
    pub(in crate::aggregate) fn endless() -> Self {
        Room::of(u64::MAX)
    }

    /// Takes so many bytes; false if there are not so many, or there were too few before.
    pub(in crate::aggregate) fn take(&self, bytes: u64) -> bool {
        match self.left.get().checked_sub(bytes) {
            Some(left) => self.left.set(left),
            None => self.short.set(true),
        }
        !self.short.get()
    }

    /// True if there was too little.
    pub(in crate::aggregate) fn was_short(&self) -> bool {
        self.short.get()
    }
}
