//! partial: how do many machines, or many runs, come to one result?
//!
//! What reading some files of an archive came to is written as a state ([`write()`]), before anything is decided that only
//! the whole can tell. States are folded, in any order and grouping, without a copy of a file counting twice
//! ([`Fold`]); whoever finishes the fold gets what one run over everything would have got. A shard is a choice of the
//! files that every machine makes for itself, the same way ([`Shard`]).

mod file;
mod fold;
mod head;
mod held;
mod overlap;
mod shard;

pub use file::{Blocks, Partial, write};
pub use fold::{Fold, Folded, One};
pub use head::{Head, Part, Rules};
pub use held::Held;
pub use overlap::Again;
pub use shard::{Shard, parse_shard};
