//! trail: who did what, from where, through which endpoint, and how many bytes did S3 count for it?
//!
//! [`read`] turns one file's bytes into borrowed [`TrailEvent`]s.

mod event;
mod identity;
mod json;
mod read;
mod rewrite;
mod split;

pub use event::{Category, Issued, Resource, TrailEvent};
pub use identity::{IdentityKind, UserIdentity, is_instance_id, role_of_arn, session_of_arn};
pub use read::{Problem, TrailCounts, TrailReject, read};
