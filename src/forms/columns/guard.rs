//! A panic inside the Parquet decoder costs the file in hand and nothing else.
//!
//! The crate panics on some damaged files (a negative offset, a division by zero). Only calls of the decoder run in here,
//! never the counting: whoever counts is not torn apart in the middle.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// True while a panic of this thread is expected, and its message is no news.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`; a panic in it becomes an error.
pub(crate) fn guarded<R>(decode: impl FnOnce() -> Result<R>) -> Result<R> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(decode));
    QUIET.set(outer);
    result.unwrap_or_else(|_| Err(Error::format("damaged Parquet: the decoder gave up on it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let zero = std::hint::black_box(0);
        assert!(guarded(|| Ok(1 / zero)).is_err());
        assert_eq!(guarded(|| Ok(7)).unwrap(), 7);
    }
}
