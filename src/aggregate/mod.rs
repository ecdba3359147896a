//! aggregate: how much did each interface send to whom, and when?

pub mod table;

pub use table::{Direction, EgressTable, Interface, Peer, Role, Row, Sample, Volume};
