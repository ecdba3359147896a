//! inventory: which interface, address, instance, role and endpoint belonged together, and when?
//!
//! Two teachers: the JSON answers of `aws ec2 describe-…` that the user hands over, and CloudTrail (`trail` adds its
//! facts through [`Graph::add`]). Both only add [`Fact`]s to a set, so any order of files and any number of workers
//! ends in the same graph; [`Graph::resolve`] turns the set into [`Inventory`], where each edge has the interval in
//! which it held and the API call that it is known from.

mod aws;
mod files;
mod graph;
mod known;
mod table;

pub use aws::Document;
pub use files::read_files;
pub use graph::{Fact, Graph, Mark, Origin, Relation};
pub use known::{Edge, Endpoint, FlowLog, Instance, Inventory, KnownInterface, Nat, Selector, Subnet};
