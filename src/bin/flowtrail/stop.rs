//! Ctrl-C and SIGTERM: what is half written goes away, what was there before stays, and the exit code names the signal.
//!
//! Nothing partial is ever put in place of a result or a state: those appear whole, by a rename, or not at all. So there is
//! nothing to save when a signal comes; a thread that waits for it removes the files that were begun and ends the process.
//! A second signal ends it at once.

use crate::run;
use flowtrail::store::begun;

/// Starts to wait for signals. Where that cannot be, they end the process as the system does.
#[cfg(unix)]
pub(crate) fn listen() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it, the second finds it up.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&again));
        let _ = signal_hook::flag::register(signal, Arc::clone(&again));
    }
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else {
        return;
    };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
            let _ended = begun::end();
            run::warn(&format!(
                "stopped by {name}: no result was written, and what stood on standard output is incomplete"
            ));
            signal_hook::low_level::exit(128 + signal);
        }
    });
}

/// Elsewhere the system ends the process.
#[cfg(not(unix))]
pub(crate) fn listen() {}
