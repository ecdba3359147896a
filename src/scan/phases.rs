//! How long each phase of a run took.

use crate::aggregate::stats::Phase;
use std::time::Instant;

/// Wall time of each phase, for `--stats`.
pub(super) struct Phases {
    began: Instant,
    pub(super) done: Vec<Phase>,
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            began: Instant::now(),
            done: Vec::new(),
        }
    }
}

impl Phases {
    /// Leaves out what was measured elsewhere.
    pub(super) fn restart(&mut self) {
        self.began = Instant::now();
    }

    pub(super) fn next(&mut self, name: &'static str, bytes: u64) {
        let seconds = self.began.elapsed().as_secs_f64();
        tracing::info!(phase = name, seconds, bytes, "phase done");
        self.done.push(Phase { name, seconds, bytes });
        self.began = Instant::now();
    }
}
