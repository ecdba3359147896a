//! `--max-memory` and `--temp-dir`: what may be held in memory of what grows with the number of keys, and where the rest goes.

use clap::Args;
use flowtrail::aggregate::Memory;
use std::path::PathBuf;

/// A bound of memory.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct MemoryArgs {
    /// Memory for what grows with the number of keys, as 512MiB or 2G; 64 MiB beside it serve the rest. Without it: all
    /// that there is
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_memory: Option<u64>,
}

/// Where sums go that do not fit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct TempArgs {
    /// The folder in which sums wait that do not fit --max-memory, in a file without a name; without it TMPDIR
    #[arg(long, value_name = "DIR", requires = "max_memory")]
    pub(crate) temp_dir: Option<PathBuf>,
}

impl MemoryArgs {
    /// The bound, if there is one.
    pub(crate) fn bound(&self, temp: Option<&TempArgs>) -> Option<Memory> {
        let folder = temp.and_then(|t| t.temp_dir.clone());
        Some(Memory {
            bytes: self.max_memory?,
            folder: folder.unwrap_or_else(std::env::temp_dir),
        })
    }
}

/// `512MiB`, `512M` (the same), `512MB` (decimal), or bytes.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 14] = [
        ("", 1),
        ("B", 1),
        ("K", 1 << 10),
        ("KIB", 1 << 10),
        ("KB", 1_000),
        ("M", 1 << 20),
        ("MIB", 1 << 20),
        ("MB", 1_000_000),
        ("G", 1 << 30),
        ("GIB", 1 << 30),
        ("GB", 1_000_000_000),
        ("T", 1 << 40),
        ("TIB", 1 << 40),
        ("TB", 1_000_000_000_000),
    ];
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    let bytes = scale.and_then(|scale| number.parse::<u64>().ok()?.checked_mul(scale));
    bytes.ok_or_else(|| format!("`{text}` is no size: give 512MiB, 2G, or bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let read = |t| size(t).ok();
        assert_eq!(read("512MiB"), Some(512 << 20));
        assert_eq!(
            (read("2G"), read("2 GB"), read("7")),
            (Some(2 << 30), Some(2_000_000_000), Some(7))
        );
        assert_eq!(
            (read(""), read("-1"), read("1.5G"), read("1X")),
            (None, None, None, None)
        );
        assert_eq!(read("99999999T"), None);
    }
}
