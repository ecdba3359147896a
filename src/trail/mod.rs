//! trail: who did what, from where, through which endpoint, and how many bytes did S3 count for it?
//!
//! [`read`] turns one file's bytes into borrowed [`TrailEvent`]s; [`TrailArchive`] keeps what is worth keeping of them,
//! mergeable; [`PrincipalIndex`] is the sorted result; [`summarise`] groups it.

mod archive;
mod counts;
mod distinct;
mod event;
mod filter;
mod grain;
mod identity;
mod index;
mod ingest;
mod issued;
mod json;
mod learn;
mod names;
mod notable;
mod read;
mod rewrite;
mod row;
mod presto;
mod sql;
mod state;
mod summary;
mod swift;
mod table;
mod time;

pub use archive::TrailArchive;
pub use counts::{Problem, TrailCounts, TrailReject};
pub use distinct::{Count, Distinct, EXACT_UP_TO};
pub use event::{Category, Issued, Resource, TrailEvent};
pub use filter::TrailFilter;
pub use grain::TrailGrain;
pub use identity::{IdentityKind, UserIdentity, is_instance_id, role_of_arn, session_of_arn};
pub use index::{Access, EXAMPLES, Principal, PrincipalIndex, TrailRow};
pub use ingest::{TrailRun, Wanted, read_archive, read_state};
pub use issued::IssuedSession;
pub use notable::Notable;
pub use read::read;
pub use sql::{Dialect, query};
pub use state::TrailState;
pub use summary::{Keys, Summary, TrailKey, summarise};
