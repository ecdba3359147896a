//! lookup: who talked to this address, how much, and on whose credentials?
//!
//! One key in (an address, a network, an interface, an instance, a principal, a bucket, an object), one [`Card`] out, over
//! raw logs and without an index: bytes are searched as a grep would, only hits are parsed.

pub mod answer;
mod asked;
pub mod basis;
mod calls;
pub mod card;
mod destinations;
mod history;
pub mod key;
pub mod needle;
pub mod objects;
pub mod records;
pub mod resolve;
pub mod search;
pub mod sections;
mod sentences;
mod traffic;

pub use answer::{Answer, Request, Sources, Stored, look_up};
pub use card::Card;
pub use key::{Key, subjects};
pub use objects::of_objects;
pub use records::Records;
pub use resolve::Estate;
