//! Lines by what became of them: the accounting law of the design's counting rule 2.
//!
//! Integers that add up, so that any split of the input gives the same numbers.

use std::ops::AddAssign;

/// How many lines of each sort were met. Always `lines = good + nodata + skipdata + rejected + headers + blank`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LineCounts {
    /// Physical lines.
    pub lines: u64,
    /// Records with log-status OK.
    pub good: u64,
    /// Records that say that nothing passed.
    pub nodata: u64,
    /// Records that say that AWS lost some.
    pub skipdata: u64,
    /// Lines that are none of the others.
    pub rejected: u64,
    /// Header lines.
    pub headers: u64,
    /// Empty lines.
    pub blank: u64,
    /// Lines that were searched as bytes and not looked at; none of the above counts them.
    #[serde(skip_serializing_if = "is_zero")]
    pub searched: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl AddAssign for LineCounts {
    fn add_assign(&mut self, o: Self) {
        self.lines += o.lines;
        self.good += o.good;
        self.nodata += o.nodata;
        self.skipdata += o.skipdata;
        self.rejected += o.rejected;
        self.headers += o.headers;
        self.blank += o.blank;
        self.searched += o.searched;
    }
}
