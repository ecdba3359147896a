//! What reading an archive would take: some of its files are read, the rest is arithmetic.
//!
//! Time and size of states grow with the bytes read, at most: cells of the same flows in one hour fall together.

use super::{Inputs, take_some};
use crate::aggregate::{Progress, ScanStats};
use crate::error::Result;
use crate::input::{Archive, Family};
use crate::net::TimeWindow;
use rayon::ThreadPool;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// What was measured of a sample, and how much there is in all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// Files of flow logs and CloudTrail.
    pub files: u64,
    /// Their bytes as stored.
    pub bytes: u64,
    /// Files read.
    pub sample_files: u64,
    /// Their bytes.
    pub sample_bytes: u64,
    /// Seconds that reading them took.
    pub seconds: f64,
    /// Cells that they made.
    pub cells: u64,
    /// Bytes of their state.
    pub state: u64,
    /// Peak memory of reading them.
    pub memory: u64,
}

/// Bytes of the sample, of each log.
const SAMPLE: u64 = 64 << 20;
/// Files of the sample, of each log.
const FILES: usize = 64;
/// Bytes of memory that a cell takes while it is read and sorted.
const CELL: u64 = 400;

/// What one worker of several would do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    /// Files.
    pub files: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// Seconds, with as many threads as the sample had.
    pub seconds: f64,
    /// Peak memory in bytes.
    pub memory: u64,
    /// Bytes of its state.
    pub state: u64,
}

impl Plan {
    /// The share of one of so many workers.
    pub fn of(&self, workers: u64) -> Share {
        let workers = workers.max(1);
        let scale = self.bytes as f64 / self.sample_bytes.max(1) as f64 / workers as f64;
        let cells = self.cells as f64 * scale;
        Share {
            files: self.files.div_ceil(workers),
            bytes: self.bytes.div_ceil(workers),
            seconds: self.seconds * scale,
            memory: self.memory + (cells * CELL as f64) as u64,
            state: (self.state as f64 * scale) as u64,
        }
    }
}

/// Lists everything and reads a sample of it.
///
/// # Errors
/// As a scan's.
pub fn plan(inputs: &Inputs, pool: &ThreadPool) -> Result<Plan> {
    let window = inputs.window.unwrap_or(TimeWindow::ALL);
    let list = |paths: &[std::ffi::OsString], family, window| match paths {
        [] => Ok(Archive::default()),
        paths => Archive::discover_with(paths, family, window, &inputs.ingest.remote),
    };
    let mut flows = list(&inputs.flows, Family::FlowLogs, window)?;
    let mut trail = list(&inputs.trail, Family::Trail, TimeWindow::ALL)?;
    let count = |a: &Archive| a.sources.len() as u64;
    let (files, bytes) = (count(&flows) + count(&trail), flows.bytes() + trail.bytes());
    sample(&mut flows);
    sample(&mut trail);
    let (sample_files, sample_bytes) = (count(&flows) + count(&trail), flows.bytes() + trail.bytes());
    let began = Instant::now();
    let taken = take_some(inputs, flows, trail, None, pool, &|_| Arc::new(Progress::default()))?;
    let seconds = began.elapsed().as_secs_f64();
    let mut state = Counting(0);
    taken.write(&mut state)?;
    Ok(Plan {
        files,
        bytes,
        sample_files,
        sample_bytes,
        seconds,
        cells: taken.gathered.cells.len(),
        state: state.0,
        memory: ScanStats::peak_memory_now(),
    })
}

/// Keeps some files from all over the archive.
fn sample(archive: &mut Archive) {
    let step = archive.sources.len().div_ceil(FILES).max(1);
    let (mut n, mut sum) = (0, 0);
    archive.sources.retain(|source| {
        let chosen = n % step == 0 && (sum == 0 || sum + source.size <= SAMPLE);
        n += 1;
        sum += if chosen { source.size } else { 0 };
        chosen
    });
}

/// Counts what is written.
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
