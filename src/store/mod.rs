//! store: is this file what was written, whole, and by whom can it be read?
//!
//! State that outlives a run (baselines) goes through one frame with a magic, a version, a kind, lengths and a SHA-256 over
//! all of it, so that a damaged file is refused and never read as an empty one. It is written beside its target, synced and
//! renamed, under a lock: whoever is killed leaves the old state or the new one.

pub mod begun;
mod frame;
mod save;
mod wire;

pub use begun::Begun;
pub use frame::{Kind, LARGEST_PACKED, LARGEST_UNPACKED, is_kind, pack, read, read_next, unpack};
pub use save::{Lock, replace, replace_by};
pub use wire::{Reader, Writer};
