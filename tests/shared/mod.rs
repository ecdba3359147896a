//! Third-party test data, which lies beside the repository: `FLOWTRAIL_SHARED`, else `../shared`.
//!
//! A test that needs it takes it by `mod shared;` and passes where it is absent, saying so.

#![allow(clippy::print_stdout, reason = "what is skipped is said")]
#![allow(unreachable_pub, reason = "each test is a crate of its own")]

use std::path::{Path, PathBuf};

/// A file or folder of it, if it is there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let given = std::env::var_os("FLOWTRAIL_SHARED").map(PathBuf::from);
    let root = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}
