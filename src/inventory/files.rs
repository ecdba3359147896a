//! `--inventory` files from disk into the graph.

use crate::error::{Error, Result};
use crate::input::{ReadOptions, Reader, Source};
use crate::inventory::Graph;
use std::path::PathBuf;

/// Adds what the files say; packed ones are unpacked.
///
/// # Errors
/// `List`, naming the file that cannot be used.
pub fn read_files(paths: &[PathBuf], read: ReadOptions, graph: &mut Graph) -> Result<()> {
    let mut reader = Reader::new(read);
    let mut text = Vec::new();
    for path in paths {
        let source = Source {
            name: path.display().to_string(),
            path: path.clone(),
            size: 0,
        };
        let unusable = |e: Error| Error::list(e.reason()).at(path);
        if let Some(damage) = reader.whole(&source, &mut text).map_err(unusable)? {
            return Err(unusable(damage));
        }
        graph.read_inventory(&text).map_err(unusable)?;
    }
    Ok(())
}
