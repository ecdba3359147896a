//! attribute: which principal used this interface, this instance, this address, at that time?
//!
//! Flow logs know addresses, CloudTrail knows names. [`Attribution::who`] joins them by everything that ties an address
//! to a caller, strongest first (design.md, "Attribution"), and shows every candidate with its class and the reason in
//! words, never one silently. Private address ranges overlap between networks, so a private address is joined only
//! through a VPC endpoint of the right network and account, or through an interface that the inventory knows.

mod balance;
mod evidence;
mod gateway;
mod owners;
mod question;
mod reconcile;
mod subject;
mod verdict;

pub use balance::{Balance, Bounds, Payload, Way};
pub use evidence::Attribution;
pub use gateway::PassedOn;
pub use question::{Question, Toward};
pub use reconcile::{Line, Reconciliation, is_observable};
pub use verdict::{Class, Principal};
