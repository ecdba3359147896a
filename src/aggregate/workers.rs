//! The one place where work is spread over threads (rayon).
//!
//! Tasks are handed out in order from one counter; each worker has a state of its own and no lock. States come back in
//! no useful order, so whatever is made of them must be a commutative sum.

use rayon::ThreadPool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `step` on every index below `tasks`, on all threads of `pool`; returns the workers' states.
pub fn run<S: Send>(
    pool: &ThreadPool,
    tasks: usize,
    state: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, usize) + Sync,
) -> Vec<S> {
    let next = AtomicUsize::new(0);
    pool.broadcast(|_| {
        let mut mine = state();
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return mine;
            }
            step(&mut mine, task);
        }
    })
}

/// Said of a file at which the program itself failed.
pub(crate) const FAULT: &str = "flowtrail failed at it, which is a fault of the program: please report it";

/// Does one task; a fault of ours in it must not cost the others. What was counted before it stays; whoever calls names
/// the file, see [`FAULT`].
pub(crate) fn guarded<T>(task: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(task)).ok()
}

/// A pool of `threads` threads; 0 means one per core.
///
/// # Errors
/// `Usage` if the system cannot start so many.
pub fn pool(threads: usize) -> crate::Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("flowtrail-{i}"))
        .build()
        .map_err(|e| crate::Error::usage(format!("cannot start {threads} threads: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let states = run(&pool(threads).unwrap(), 1_000, Vec::new, |s: &mut Vec<usize>, i| {
                s.push(i)
            });
            let mut all = states.concat();
            all.sort_unstable();
            assert_eq!(all, (0..1_000).collect::<Vec<_>>());
        }
    }
}
