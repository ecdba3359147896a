//! `--inventory` files from disk into the graph.

use crate::error::{Error, Result};
use crate::input::{ReadOptions, Reader, Source};
use crate::inventory::Graph;
use std::path::{Path, PathBuf};

/// Adds what the files say; packed ones are unpacked, and of a folder every `.json` in it is read.
///
/// # Errors
/// `List`, naming the file or folder that cannot be used.
pub fn read_files(paths: &[PathBuf], read: ReadOptions, graph: &mut Graph) -> Result<()> {
    let mut reader = Reader::new(read);
    let mut text = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            let unusable = |e: Error| Error::list(e.reason()).at(&file);
            let source = Source {
                name: file.display().to_string(),
                path: file.clone(),
                size: 0,
                object: None,
            };
            if let Some(damage) = reader.whole(&source, &mut text).map_err(unusable)? {
                return Err(unusable(damage));
            }
            graph.read_inventory(&text).map_err(unusable)?;
        }
    }
    Ok(())
}

/// The file itself, or the JSON files of a folder in order of name.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| Error::list(Error::from(e).reason()).at(path))?;
    let json = |p: &PathBuf| p.extension().is_some_and(|e| e == "json") || p.to_string_lossy().ends_with(".json.gz");
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(json).collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::list("no .json file in this folder").at(path));
    }
    Ok(files)
}
